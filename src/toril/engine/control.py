"""What can be done with a whole queue."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import Any

from toril.engine.backoff import seconds, to_ms
from toril.engine.codec import to_text
from toril.engine.core import QueueCore
from toril.engine.keyspace import Keyspace, is_job_id
from toril.errors import OptionError, QueueStateError

#: Jobs looked at or deleted by one script call, which holds the server up for a few ms.
_STEP = 500

#: For removals by place: the list may move on by so many between the look and the call.
_SLACK = 200

#: Names of states as ``clean`` takes them → lists and sets that hold such jobs; see ``lua/clean_list.lua``.
_CLEANABLE = {
    "completed": ("completed",),
    "failed": ("failed",),
    "delayed": ("delayed",),
    "active": ("active",),
    "wait": ("wait", "overflow"),
    "waiting": ("wait", "overflow"),
    "paused": ("paused", "overflow"),
}
_LISTS = frozenset({"wait", "paused", "active"})


class QueueControl(QueueCore):
    """Changes a queue as a whole. What concerns many jobs is done in short steps; others work in between."""

    async def pause(self) -> None:
        """Let no worker, Node's or ours, start jobs of this queue; running ones go on. Adding goes on too."""
        await self.scripts.run("pause", 1)
        self.hooks.emit("paused")

    async def resume(self) -> None:
        """Undo ``pause``."""
        await self.scripts.run("pause", 0)
        self.hooks.emit("resumed")

    async def empty(self) -> None:
        """Delete all jobs that wait, also those on a paused queue and delayed ones.

        The next runs of schedules stay, so that schedules go on; so do running and finished jobs.
        """
        for place in ("wait", "paused", "overflow", "delayed"):
            async for _ in self._clean(place, "", 0):
                pass

    async def clean(self, grace: float | timedelta, state: str = "completed", limit: int = 0) -> list[str]:
        """Delete jobs of one state that have been left alone for some time; returns their ids.

        What counts is when a job finished; if it has not, when it was last started; else when it was added.
        Jobs that a worker holds and the next runs of schedules stay.

        Args:
            grace: seconds that have to have passed.
            state: ``completed``, ``failed``, ``delayed``, ``waiting`` (or ``wait``), ``paused`` or
                ``active``; of active jobs only those whose worker is gone.
            limit: how many at most; the oldest or next ones go. 0 is any number.

        Raises:
            OptionError: no grace, or no such state.
        """
        if grace is None:
            raise OptionError("You must define a grace period.")
        grace_ms = int(to_ms(seconds(grace, "grace")))
        if state not in _CLEANABLE:
            raise OptionError(f"Cannot clean unknown queue type {state}; types: {', '.join(_CLEANABLE)}")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise OptionError(f"limit must be a whole number of at least 0, got {limit!r}")
        cleaned: list[str] = []
        for place in await self._places(state):
            left = limit - len(cleaned) if limit else 0
            if limit and left == 0:
                break
            async for ids in self._clean(place, grace_ms, left):
                cleaned += ids
        self.hooks.emit("cleaned", cleaned, state)
        return cleaned

    async def remove_jobs(self, pattern: str) -> list[str]:
        """Delete the jobs whose id matches; returns their ids. Those that a worker holds stay.

        Walks over all keys of the server's database, in steps.

        Args:
            pattern: ``*`` any text, ``?`` one character, ``[ab]`` one of these; ``\\`` before one of them
                takes its meaning away.
        """
        if not isinstance(pattern, str) or not pattern:
            raise OptionError(f"pattern must be a text such as 'report-*', got {pattern!r}")
        wanted: dict[str, None] = {}
        async for suffixes in Keyspace(self.scripts).scan(pattern, "hash"):
            wanted.update(dict.fromkeys(filter(is_job_id, suffixes)))
        removed: list[str] = []
        for name in ("wait", "paused"):
            async for first, ids in self._walk(name):
                if found := [job_id for job_id in ids if job_id in wanted]:
                    removed += await self._remove(name, max(0, first - _SLACK), first + _STEP + _SLACK, found)
                    for job_id in found:
                        del wanted[job_id]
        rest = list(wanted)
        for at in range(0, len(rest), _STEP):
            removed += await self._remove("", 0, 0, rest[at : at + _STEP])
        return removed

    async def retry_jobs(self, count: int = 1000) -> int:
        """Put all failed jobs back into the queue, the oldest failure first; returns how many.

        Priorities count. As with Bull, no ``waiting`` is announced.

        Args:
            count: how many in one step.
        """
        total = 0
        async for moved, _ in self.retry_in_steps(count):
            total += moved
        return total

    async def retry_in_steps(self, count: int = 1000) -> AsyncGenerator[tuple[int, bool]]:
        """``retry_jobs`` for who may stop between two steps: how many jobs each moved, and whether there may be
        more.
        """
        step = _check_count(count)
        more, before = 1, b""
        while more:
            # Jobs that fail again meanwhile are left: they have failed after the first step.
            moved, more, before = await self.scripts.run("retry_jobs", step, before)
            yield moved, bool(more)

    async def promote_jobs(self, count: int = 1000) -> int:
        """Put all delayed jobs into the queue before they are due, the first due first; returns how many.

        Args:
            count: how many in one step.
        """
        step = _check_count(count)
        total = 0
        left, moved = await self.scripts.run("promote_jobs", step)
        expected = left + len(moved)
        while moved:
            total += len(moved)
            if total >= expected:  # the rest was delayed after we began
                break
            _, moved = await self.scripts.run("promote_jobs", step)
        return total

    async def remove_debounce_key(self, debounce_id: str) -> bool:
        """Forget which job is pending under a debounce id: the next add adds one. False if there was none."""
        return bool(await self.scripts.run("end_debounce", debounce_id))

    async def obliterate(self, *, force: bool = False, count: int = 1000) -> None:
        """Delete the queue: its jobs, schedules, counters, everything. It is paused first.

        Args:
            force: even if jobs run; their workers are told when they want to store the outcome.
            count: how many jobs in one step.

        Raises:
            QueueStateError: jobs run, and ``force`` is off. The queue stays paused.
        """
        step = _check_count(count)
        await self.pause()
        while (deleted := int(await self.scripts.run("obliterate", 1 if force else 0, step))) > 0:
            pass
        if deleted == -2:
            raise QueueStateError(
                f"Cannot obliterate queue with active jobs: queue {self.name!r} is paused now; wait until "
                "they have ended, or use force=True"
            )
        if deleted == -1:
            raise QueueStateError(
                f"Cannot obliterate non-paused queue: somebody resumed queue {self.name!r} meanwhile, and "
                "part of it is deleted. Call obliterate again"
            )
        keyspace = Keyspace(self.scripts)
        async for suffixes in keyspace.scan("*"):
            await keyspace.delete(suffixes)

    async def _places(self, state: str) -> tuple[str, ...]:
        """Where the jobs of a state are; the overflow belongs to paused while the queue is paused."""
        places = _CLEANABLE[state]
        if "overflow" not in places:
            return places
        paused = await self.scripts.ask("EXISTS", self.keys.of("meta-paused"))
        return places if bool(paused) == (state == "paused") else places[:1]

    async def _clean(self, place: str, grace_ms: int | str, limit: int) -> AsyncIterator[list[str]]:
        script = "clean_list" if place in _LISTS else "clean_set"
        position: Any = "" if place in _LISTS else 0
        done, total = 0, 0
        while not done:
            left = limit - total if limit else 0
            ids, position, done = await self.scripts.run(script, place, position, _STEP, grace_ms, left)
            total += len(ids)
            if ids:
                yield [to_text(job_id) for job_id in ids]

    async def _walk(self, name: str) -> AsyncIterator[tuple[int, list[str]]]:
        """A list from its head on, in steps: (place of the first, ids); the caller may remove ids."""
        first, key, ask = 0, self.keys.of(name), self.scripts.ask
        while True:
            length = await ask("LLEN", key)
            ids = await ask("LRANGE", key, -first - _STEP, -first - 1)
            if not ids:
                return
            yield first, [to_text(job_id) for job_id in reversed(ids)]
            # What left meanwhile, by us or to a worker, was nearer to the head.
            first += len(ids) - max(0, length - await ask("LLEN", key))

    async def _remove(self, place: str, first: int, last: int, ids: list[str]) -> list[str]:
        removed, _, _ = await self.scripts.run("remove_jobs", place, first, last, *ids)
        texts = [to_text(job_id) for job_id in removed]
        for job_id in texts:
            self.hooks.emit("removed", job_id)
        return texts


def _check_count(count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise OptionError(f"count must be a whole number of at least 1, got {count!r}")
    return min(count, 2000)
