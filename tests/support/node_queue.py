"""A Bull queue object in Node, seen from Python: its methods and its events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.node import NodeBull

#: A job as Bull's ``toJSON`` gives it, with ``retriedOn``.
JobJson = dict[str, Any]
#: What a processor does, see ``node/behaviours.js``: ``{"do": "echo"}``, or a list of such steps.
Behaviour = dict[str, Any] | list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """An event of a queue object: Bull's name for it and its arguments, jobs and errors as JSON."""

    name: str
    args: list[Any] = field(default_factory=list)

    @property
    def job_id(self) -> str | None:
        """The id of the job it is about: global events give the id first, local ones the job."""
        first = self.args[0] if self.args else None
        job_id = first.get("id") if isinstance(first, dict) else first
        return None if job_id is None else str(job_id)


class NodeQueue:
    """One Bull queue object in Node; each method is Bull's method of that name, with Bull's own arguments."""

    def __init__(self, node: NodeBull, handle: str, name: str) -> None:
        self.node = node
        self.handle = handle
        self.name = name
        #: Every event received so far, oldest first.
        self.events: list[NodeEvent] = []
        self._arrived = asyncio.Condition()

    async def call(
        self, method: str, *args: Any, job: str | None = None, within_s: float | None = None
    ) -> Any:
        """Call any method of the queue object, or of the job object of ``job``."""
        about = {"job": job} if job is not None else {}
        return await self.node.call(method, queue=self.handle, args=list(args), within_s=within_s, **about)

    # events

    async def on(self, *names: str) -> None:
        """Subscribe to ``completed``, ``global:completed``, …; returns when the subscription stands."""
        for name in names:
            await self.call("on", name)

    async def event(
        self, name: str, *, job_id: str | None = None, count: int = 1, within_s: float | None = None
    ) -> NodeEvent:
        """The ``count``-th event of this name (about this job), whether it came already or is yet to come.

        ``processing`` (a processor started; the job), ``error`` and ``closed`` come without ``on``.
        """

        def matching() -> list[NodeEvent]:
            return [e for e in self.events if e.name == name and (job_id is None or e.job_id == job_id)]

        try:
            async with asyncio.timeout(within_s or self.node.within_s), self._arrived:
                await self._arrived.wait_for(lambda: len(matching()) >= count)
        except TimeoutError:
            seen = [(e.name, e.job_id) for e in self.events]
            raise TimeoutError(f"no event {name!r} no. {count} for job {job_id}; received: {seen}") from None
        return matching()[count - 1]

    async def receive(self, event: NodeEvent) -> None:
        """Keep an event and wake those who wait for it; called by ``NodeBull``."""
        async with self._arrived:
            self.events.append(event)
            self._arrived.notify_all()

    # adding and processing

    async def add(self, name: str, data: Any, **options: Any) -> JobJson:
        """Add a job; options are Bull's (delay in ms, jobId, removeOnComplete, …)."""
        return dict(await self.call("add", name, data, options))

    async def add_unnamed(self, data: Any, **options: Any) -> JobJson:
        """Add a job without a name: Bull calls it ``__default__``."""
        return dict(await self.call("add", data, options))

    async def add_bulk(self, jobs: Sequence[dict[str, Any]]) -> list[JobJson]:
        """Add jobs given as ``{"name", "data", "opts"}``."""
        return list(await self.call("addBulk", list(jobs)))

    async def process(self, behaviour: Behaviour, *, name: str = "__default__", concurrency: int = 1) -> None:
        """Start working on jobs of this name (``*`` for all); returns when the worker takes jobs."""
        await self.call("process", name, concurrency, behaviour)

    async def release(self, job_id: str, value: Any = None, *, error: str | None = None) -> None:
        """End the ``wait`` step of a running job, with a value or with an error."""
        await self.call("release", job_id, value, error)

    # one job

    async def get_job(self, job_id: str) -> JobJson | None:
        job = await self.call("getJob", job_id)
        return None if job is None else dict(job)

    async def finished(self, job_id: str, *, within_s: float | None = None) -> Any:
        """The job's result, once it is there; NodeError with its reason if it failed."""
        return await self.call("finished", job=job_id, within_s=within_s)

    async def get_state(self, job_id: str) -> str:
        return str(await self.call("getState", job=job_id))

    async def retry(self, job_id: str) -> None:
        await self.call("retry", job=job_id)

    async def promote(self, job_id: str) -> None:
        await self.call("promote", job=job_id)

    async def remove(self, job_id: str) -> None:
        await self.call("remove", job=job_id)

    async def update(self, job_id: str, data: Any) -> None:
        await self.call("update", data, job=job_id)

    async def progress(self, job_id: str, value: Any) -> None:
        await self.call("progress", value, job=job_id)

    async def log(self, job_id: str, row: str) -> None:
        await self.call("log", row, job=job_id)

    async def get_job_logs(
        self, job_id: str, start: int = 0, end: int = -1, *, asc: bool = True
    ) -> dict[str, Any]:
        """``{"logs": [row, …], "count": rows in all}``."""
        return dict(await self.call("getJobLogs", job_id, start, end, asc))

    # the queue

    async def get_jobs(
        self, states: Sequence[str], start: int = 0, end: int = -1, *, asc: bool = False
    ) -> list[JobJson]:
        return list(await self.call("getJobs", list(states), start, end, asc))

    async def get_job_counts(self) -> dict[str, int]:
        return dict(await self.call("getJobCounts"))

    async def get_counts_per_priority(self, priorities: Sequence[int]) -> dict[str, int]:
        return dict(await self.call("getCountsPerPriority", list(priorities)))

    async def pause(self, *, local: bool = False, do_not_wait_active: bool = False) -> None:
        await self.call("pause", local, do_not_wait_active)

    async def resume(self, *, local: bool = False) -> None:
        await self.call("resume", local)

    async def is_paused(self, *, local: bool = False) -> bool:
        return bool(await self.call("isPaused", local))

    async def empty(self) -> None:
        await self.call("empty")

    async def clean(self, grace_ms: int, state: str = "completed", limit: int | None = None) -> list[str]:
        return list(await self.call("clean", grace_ms, state, *([] if limit is None else [limit])))

    async def obliterate(self, *, force: bool = False) -> None:
        await self.call("obliterate", {"force": force})

    async def remove_jobs(self, pattern: str) -> None:
        await self.call("removeJobs", pattern)

    async def retry_jobs(self, *, count: int = 1000) -> None:
        await self.call("retryJobs", {"count": count})

    async def get_workers(self) -> list[dict[str, str]]:
        return list(await self.call("getWorkers"))

    async def get_repeatable_jobs(self) -> list[dict[str, Any]]:
        return list(await self.call("getRepeatableJobs"))

    async def remove_repeatable(self, name: str, repeat: dict[str, Any]) -> None:
        await self.call("removeRepeatable", name, repeat)

    async def remove_repeatable_by_key(self, key: str) -> None:
        await self.call("removeRepeatableByKey", key)

    async def get_metrics(self, kind: str, start: int = 0, end: int = -1) -> dict[str, Any]:
        """``kind`` is ``completed`` or ``failed``."""
        return dict(await self.call("getMetrics", kind, start, end))

    async def board(self) -> str:
        """Serve bull-board over this queue, until it is closed; returns the board's URL."""
        return f"http://127.0.0.1:{await self.call('board')}"

    async def close(self, *, do_not_wait_jobs: bool = False) -> None:
        """Close this queue object; running jobs end first unless told otherwise."""
        await self.call("close", do_not_wait_jobs)
        self.node.queues.pop(self.handle, None)
