"""What can be asked of a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from toril.engine.codec import to_text
from toril.engine.core import QueueCore
from toril.engine.idle import client_name
from toril.engine.job import Job
from toril.engine.keyspace import is_job_id
from toril.engine.states import ACTIVE, ALL, COMPLETED, DELAYED, FAILED, PAUSED, WAITING, check_state
from toril.errors import OptionError

#: Hash fields read when the data is not wanted.
_WITHOUT_DATA = (
    "name", "opts", "timestamp", "delay", "priority", "progress", "attemptsMade", "stalledCounter",
    "processedOn", "finishedOn", "retriedOn", "returnvalue", "failedReason", "stacktrace", "deid",
)  # fmt: skip

#: So many hashes are read with one turn of the connection.
_BATCH = 500


class QueueQueries(QueueCore):
    """Reads a queue, changes nothing."""

    async def get_job(self, job_id: str) -> Job[Any] | None:
        """The job, or None if there is none with this id."""
        if not is_job_id(job_id):
            return None
        return (await self.read_jobs([job_id]))[0]

    async def get_jobs(
        self,
        states: str | Iterable[str] | None = None,
        start: int = 0,
        end: int = -1,
        asc: bool = False,
        exclude_data: bool = False,
    ) -> list[Job[Any]]:
        """Jobs in one or more states; all states unless told.

        The range counts within each state, and the states follow one another in the order given. A job that
        moves meanwhile may be met twice or not at all.

        Args:
            states: ``waiting``, ``active``, ``completed``, ``failed``, ``delayed``, ``paused``.
            start, end: first and last place, both included; negative ones count from the end.
            asc: what runs next, is due first or is oldest comes first; otherwise the other way round.
            exclude_data: do not read the jobs' data; it is shown as ``{}``.

        Raises:
            OptionError: there is no such state.
        """
        names = (states,) if isinstance(states, str) else ALL if states is None else states
        checked = list(dict.fromkeys(check_state(name) for name in names))
        found = await asyncio.gather(*(self.list_ids(state, start, end, asc) for state in checked))
        ids = [job_id for part in found for job_id in part]
        jobs: list[Job[Any]] = []
        for first in range(0, len(ids), _BATCH):
            jobs += [job for job in await self.read_jobs(ids[first : first + _BATCH], exclude_data) if job]
        return jobs

    async def get_waiting(self, start: int = 0, end: int = -1) -> list[Job[Any]]:
        """Jobs that wait, those on a paused queue included; the next to run first."""
        return await self.get_jobs((WAITING, PAUSED), start, end, asc=True)

    async def get_active(self, start: int = 0, end: int = -1) -> list[Job[Any]]:
        """Jobs that run, the one taken first first."""
        return await self.get_jobs(ACTIVE, start, end, asc=True)

    async def get_delayed(self, start: int = 0, end: int = -1) -> list[Job[Any]]:
        """Delayed jobs, the first due first."""
        return await self.get_jobs(DELAYED, start, end, asc=True)

    async def get_completed(self, start: int = 0, end: int = -1) -> list[Job[Any]]:
        """Completed jobs that are kept, the newest first."""
        return await self.get_jobs(COMPLETED, start, end)

    async def get_failed(self, start: int = 0, end: int = -1) -> list[Job[Any]]:
        """Failed jobs that are kept, the newest first."""
        return await self.get_jobs(FAILED, start, end)

    async def state(self, job_id: str) -> str:
        """Where a job is at this moment; ``stuck`` if it is in no list, or gone."""
        return await self.actions.get_state(job_id)

    async def counts(self, *states: str) -> dict[str, int]:
        """How many jobs are in each state, at one moment, by the names asked for; all unless told.

        Raises:
            OptionError: there is no such state.
        """
        names = {name: check_state(name) for name in states or ALL}
        numbers = dict(zip(ALL, await self.scripts.run("count_jobs"), strict=True))
        return {name: int(numbers[state]) for name, state in names.items()}

    async def count(self) -> int:
        """How many jobs are still to be started: waiting, paused and delayed."""
        return sum((await self.counts(WAITING, PAUSED, DELAYED)).values())

    async def counts_per_priority(self, priorities: Sequence[int]) -> dict[int, int]:
        """How many waiting jobs have each of the priorities; 0 is none."""
        numbers = await self.scripts.run("count_priorities", *priorities)
        return dict(zip(priorities, map(int, numbers), strict=True))

    async def is_paused(self) -> bool:
        """Whether the queue is paused for everybody."""
        ask = self.scripts.ask
        flag, newer_flag = await asyncio.gather(
            ask("EXISTS", self.keys.of("meta-paused")), ask("HEXISTS", self.keys.of("meta"), "paused")
        )
        return bool(flag or newer_flag)

    async def logs(
        self, job_id: str, start: int = 0, end: int = -1, asc: bool = True
    ) -> tuple[list[str], int]:
        """Rows of a job's log from ``start`` to ``end`` (included), and how many there are in all."""
        return await self.actions.get_logs(job_id, start, end, asc)

    async def workers(self) -> list[dict[str, str]]:
        """The workers that are connected, Node's and ours, as CLIENT LIST tells: id, addr, age, idle, name, …

        ``name`` is the queue's.

        Raises:
            QueueUnavailableError: the server does not let us see its clients.
        """
        reply = await self.scripts.ask("CLIENT", "LIST")
        wanted = client_name(self.keys)
        rows = [
            dict(part.split("=", 1) for part in row.split(" ") if "=" in part)
            for row in to_text(reply).splitlines()
        ]
        return [{**row, "name": self.name} for row in rows if row.get("name") == wanted]

    async def metrics(self, kind: str, start: int = 0, end: int = -1) -> dict[str, Any]:
        """Counts per minute, kept by workers that have ``metrics`` switched on.

        Args:
            kind: ``completed`` or ``failed``.
            start, end: first and last minute, 0 is the newest.

        Returns:
            {"meta": {"count": all in all, "prevTS": ms, "prevCount": …}, "data": [newest first],
            "count": minutes}

        Raises:
            OptionError: another kind.
        """
        if kind not in (COMPLETED, FAILED):
            raise OptionError(f"there are metrics of 'completed' and 'failed', not of {kind!r}")
        key = self.keys.of(f"metrics:{kind}")
        meta, data, count = await asyncio.gather(
            self.scripts.ask("HMGET", key, "count", "prevTS", "prevCount"),
            self.scripts.ask("LRANGE", f"{key}:data", start, end),
            self.scripts.ask("LLEN", f"{key}:data"),
        )
        numbers = [int(float(value or 0)) for value in meta]
        return {
            "meta": dict(zip(("count", "prevTS", "prevCount"), numbers, strict=True)),
            "data": [int(float(value)) for value in data],
            "count": count,
        }

    async def list_ids(self, state: str, start: int = 0, end: int = -1, asc: bool = False) -> list[str]:
        """Ids of the jobs in one state, by place and order as ``get_jobs`` has them."""
        found = await self.scripts.run("list_ids", state, start, end, 1 if asc else 0)
        return [to_text(job_id) for job_id in found]

    async def read_jobs(self, ids: Sequence[str], exclude_data: bool = False) -> list[Job[Any] | None]:
        """These jobs, read with one turn of the connection; None for those that are gone."""
        if exclude_data:
            rows = await asyncio.gather(
                *(self.scripts.ask("HMGET", self.keys.job(job_id), *_WITHOUT_DATA) for job_id in ids)
            )
            hashes = [
                {
                    name.encode(): value
                    for name, value in zip(_WITHOUT_DATA, row, strict=True)
                    if value is not None
                }
                for row in rows
            ]
        else:
            flat = await asyncio.gather(
                *(self.scripts.ask("HGETALL", self.keys.job(job_id)) for job_id in ids)
            )
            hashes = [dict(zip(row[::2], row[1::2], strict=True)) for row in flat]
        return [
            Job.from_hash(self.actions, job_id, fields) if fields else None
            for job_id, fields in zip(ids, hashes, strict=True)
        ]
