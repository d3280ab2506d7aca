"""Schedules in the server: what is kept of them, and the scripts that change it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from toril.engine.codec import decode, encode, to_text
from toril.engine.encoding import MAX_OPTION_BYTES, number
from toril.engine.link import Argument, ReplyError
from toril.engine.repeat import instance_prefix, parse_repeat_key
from toril.engine.scripts.runner import ScriptRunner, explain

#: Options that belong to one run and not to those after it.
_OF_ONE_RUN = ("jobId", "delay", "timestamp", "prevMillis", "debounce")

#: Schedules checked by one call.
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Template:
    """What the runs of a schedule are made from; see ``lua/includes/schedule.lua``."""

    at: float  #: when it was stored, ms
    count: int  #: number of the last run that was added
    name: str
    data: str  #: JSON
    opts: dict[str, Any]

    @classmethod
    def read(cls, text: bytes) -> Template | None:
        """Read what is stored; None if it cannot be read."""
        try:
            raw = decode(text)
            opts = decode(raw["opts"])
            if isinstance(opts, dict) and isinstance(opts.get("repeat"), dict):
                return cls(float(raw["at"]), int(raw["count"]), str(raw["name"]), str(raw["data"]), opts)
        except (ValueError, TypeError, KeyError):
            pass
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run to be added to the queue.

    Attributes:
        name, data: of the job; empty data is copied from the run before.
        opts: options to take over, from the schedule or the run before.
        repeat: its ``repeat`` object.
        count: its number in the schedule.
        due: its time, ms.
        prefix: how the ids of the schedule's runs start.
    """

    key: str
    name: str
    data: bytes
    opts: Mapping[str, Any]
    repeat: Mapping[str, Any]
    count: int
    due: int
    prefix: str = ""
    stored: dict[str, Any] = field(init=False)  #: the job's options but for ``delay`` and ``timestamp``

    def __post_init__(self) -> None:
        prefix = self.prefix or instance_prefix(self.name, self.repeat.get("jobId"), self.key)
        stored = {
            "attempts": 1,
            **lasting(self.opts),
            "repeat": {**self.repeat, "count": self.count, "key": self.key},
            "jobId": f"{prefix}{self.due}",
            "prevMillis": self.due,
        }
        if isinstance(expires_in := self.opts.get("expiresIn"), int | float):
            stored["expiresAt"] = self.due + expires_in
        object.__setattr__(self, "prefix", prefix)
        object.__setattr__(self, "stored", stored)

    def arguments(self) -> tuple[Argument, ...]:
        """From ``name`` on, as ``lua/arm_schedule.lua`` takes them.

        Raises:
            DataError: the options are too large, or not JSON.
        """
        repeat = {name: value for name, value in self.repeat.items() if name != "count"} | {"key": self.key}
        priority = self.opts.get("priority")
        return (
            self.name,
            self.data,
            encode(self.stored, what="the options", limit=MAX_OPTION_BYTES)[:-1],
            number(priority) if isinstance(priority, int | float) else "0",
            self.count,
            encode({**lasting(self.opts), "repeat": repeat}, what="the options", limit=MAX_OPTION_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Idle:
    """A schedule without a run on its way."""

    key: str
    score: float  #: time of the run that should be there, ms
    prefix: str  #: how the ids of its runs start
    state: str  #: what became of the run: ``none`` (deleted), ``lost``, ``over``


@dataclass(frozen=True, slots=True)
class Armed:
    """Answer to the wish for another run; see ``lua/arm_schedule.lua`` for the codes."""

    code: int
    job_id: str
    due: int
    delay: int
    now: int


def lasting(opts: Mapping[str, Any]) -> dict[str, Any]:
    """Options that one run hands on to the next, without ``repeat``."""
    kept = {name: value for name, value in opts.items() if name not in _OF_ONE_RUN and name != "repeat"}
    if "expiresIn" in kept:
        kept.pop("expiresAt", None)
    return kept


class ScheduleStore:
    """Reads and changes the schedules of one queue."""

    def __init__(self, scripts: ScriptRunner) -> None:
        self._scripts, self._repeat = scripts, scripts.keys.of("repeat")
        self._templates = scripts.keys.of("toril:schedules")

    async def now(self) -> int:
        """The server's clock, ms."""
        seconds, micros = await self._read("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def count(self) -> int:
        """How many there are."""
        return int(await self._read("ZCARD", self._repeat))

    async def members(self, start: int, end: int, *, asc: bool) -> list[tuple[bytes, float]]:
        """Keys and next runs, by next run."""
        rows = await self._read("ZRANGE" if asc else "ZREVRANGE", self._repeat, start, end, "WITHSCORES")
        return [(key, float(score)) for key, score in zip(rows[::2], rows[1::2], strict=True)]

    async def sizes(self, keys: Sequence[bytes | str]) -> list[int]:
        """Bytes of what is remembered of each."""
        found = await asyncio.gather(*(self._read("HSTRLEN", self._templates, key) for key in keys))
        return list(map(int, found))

    async def templates(self, keys: Sequence[bytes | str]) -> list[Template | None]:
        """What is remembered of each."""
        texts = await self._read("HMGET", self._templates, *keys) if keys else []
        return [None if text is None else Template.read(text) for text in texts]

    async def arm(
        self, why: Literal["add", "next", "heal"], run: Run, *, since: float | None = None, source: str = ""
    ) -> Armed:
        """Add a run if the schedule has none on its way."""
        since_ms = "" if since is None else number(since)
        code, job_id, due, delay, now = await self._scripts.run(
            "arm_schedule", why, run.key, run.prefix, run.due, since_ms, source, *run.arguments()
        )
        return Armed(int(code), to_text(job_id), int(float(due or 0)), int(delay), int(now))

    async def remove(self, key: str, prefix: str | None = None) -> tuple[bool, str]:
        """End a schedule: whether there was one, and the id of the run taken away with it or ''."""
        removed, job_id = await self._scripts.run("remove_schedule", key, prefix or _prefix_of(key))
        return bool(removed), to_text(job_id)

    async def without_run(self) -> list[Idle]:
        """The schedules that have no run on their way; learns what the others' runs are made from."""
        members = await self._read("ZRANGE", self._repeat, 0, -1)
        found: list[Idle] = []
        for first in range(0, len(members), _BATCH):
            rows: list[Argument] = [1 if first == 0 else 0]
            for member in members[first : first + _BATCH]:
                rows += (member, _prefix_of(to_text(member)))
            reply = await self._scripts.run("check_schedules", *rows)
            for at in range(0, len(reply), 4):
                key, score, prefix, state = map(to_text, reply[at : at + 4])
                found.append(Idle(key, float(score), prefix, state))
        return found

    async def _read(self, *command: Argument) -> Any:
        scripts = self._scripts
        try:
            return await scripts.connection.execute(*command, patience=scripts.patience, repeat=True)
        except ReplyError as error:
            raise explain(error, scripts.keys, str(command[0])) from error


def _prefix_of(key: str) -> str:
    """How the ids of a schedule's runs start, as far as its key tells: not with a colon in a name or id."""
    parts = parse_repeat_key(key, 0)
    return instance_prefix(parts["name"], parts["id"], key)
