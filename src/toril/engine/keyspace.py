"""Looks through the server's keys for those of one queue."""

from __future__ import annotations

from collections.abc import AsyncIterator

from toril.engine.codec import to_text
from toril.engine.keys import RESERVED_IDS
from toril.engine.scripts.runner import ScriptRunner

#: Keys the server looks at in one step.
_STEP = 1000

#: What only a queue has under its name, by type.
_LISTS, _SETS = ("wait", "paused", "active"), ("delayed", "completed", "failed")


def is_job_id(text: str) -> bool:
    """Whether ``<base>:<text>`` can be a job's hash, and is not a key of the queue itself."""
    if not text or text.endswith((":lock", ":logs")) or any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        return False
    return text.split(":", 1)[0] not in RESERVED_IDS or text.startswith("repeat:")


class Keyspace:
    """The keys of one queue, found by SCAN: a walk over the whole database in short steps.

    Where a queue is named ``a`` and another ``a:b``, the keys of the second look like those of jobs of the
    first; they are told apart by the second one's id counter.
    """

    def __init__(self, scripts: ScriptRunner) -> None:
        self._ask, self._keys = scripts.ask, scripts.keys
        self._queues: dict[str, bool] = {}

    async def scan(self, pattern: str, kind: str | None = None) -> AsyncIterator[list[str]]:
        """Suffixes of the queue's keys, in steps; one may come twice.

        Args:
            pattern: what the suffix matches: ``*``, ``?``, ``[…]`` and ``\\`` as Redis reads them.
            kind: only keys of this type (``hash``, ``string``, …).
        """
        base = f"{self._keys.base}:"
        options = ("TYPE", kind) if kind else ()
        cursor = b"0"
        while True:
            cursor, found = await self._ask(
                "SCAN", cursor, "MATCH", _escape(base) + pattern, "COUNT", _STEP, *options
            )
            suffixes = [to_text(key)[len(base) :] for key in found]
            yield [suffix for suffix in suffixes if not await self._is_other_queues(suffix)]
            if cursor == b"0":
                return

    async def delete(self, suffixes: list[str]) -> None:
        """Delete keys, whatever they hold."""
        if suffixes:
            await self._ask("UNLINK", *(self._keys.of(suffix) for suffix in suffixes))

    async def _is_other_queues(self, suffix: str) -> bool:
        parts = suffix.split(":")
        for length in range(1, len(parts)):
            name = ":".join(parts[:length])
            if name not in self._queues:
                self._queues[name] = await self._is_queue(name)
            if self._queues[name]:
                return True
        return False

    async def _is_queue(self, name: str) -> bool:
        if await self._type_of(f"{name}:id") != "string":
            return False
        if name not in RESERVED_IDS:
            return True
        # A debounce marker or a limiter's counter for something called "id".
        kinds = {kind: await self._type_of(f"{name}:{kind}") for kind in (*_LISTS, *_SETS)}
        return any(kinds[kind] == "list" for kind in _LISTS) or any(kinds[kind] == "zset" for kind in _SETS)

    async def _type_of(self, suffix: str) -> str:
        return to_text(await self._ask("TYPE", self._keys.of(suffix)))


def _escape(text: str) -> str:
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)
