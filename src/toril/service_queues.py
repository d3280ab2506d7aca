"""The queues of a service by name: how they are, how their jobs are, and what can be done with either."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import timedelta
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Self

from toril.engine.dead_letters import DEAD_LETTER, DeadLetters
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.states import COMPLETED, FAILED, check_state
from toril.errors import JobNotFoundError, OptionError
from toril.queues.base import QueueDefinition
from toril.queues.redaction import redacted
from toril.queues.registry import open_queue

#: Options that the queue of dead letters does not share.
_OF_EACH_QUEUE = ("dead_letter", "default_job_options", "limiter")


class ServiceQueues:
    """Tells how queues and their jobs are, and controls them. All of it raises ``OptionError`` for a queue that is not
    there, and ``QueueUnavailableError`` when the server cannot be reached.

    Args:
        definitions: the queues it knows; see ``toril.queues.registry``.
        queue_options: options of every ``Queue``: url, prefix, home, patience.
    """

    def __init__(self, definitions: Iterable[QueueDefinition], **queue_options: Any) -> None:
        self.definitions = {definition.name: definition for definition in definitions}
        self.queues = {name: open_queue(d, **queue_options) for name, d in self.definitions.items()}
        letters = {name: value for name, value in queue_options.items() if name not in _OF_EACH_QUEUE}
        #: Jobs of these queues that failed for good; it connects when first used.
        self.dead_letters = DeadLetters(queue_options.get("dead_letter") or DEAD_LETTER, **letters)

    def queue(self, name: str) -> Queue:
        """The queue of this name.

        Raises:
            OptionError: there is none.
        """
        queue = self.queues.get(name)
        if queue is None:
            near = get_close_matches(str(name), self.queues, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(self.queues))}"
            raise OptionError(f"there is no queue {name!r}; {hint}")
        return queue

    async def get_job_status(self, queue_name: str, job_id: str) -> dict[str, Any] | None:
        """Where a job is and what came of it; None if there is no such job."""
        job = await self.queue(queue_name).get_job(job_id)
        return None if job is None else job_status(queue_name, job, await job.state())

    async def get_jobs(
        self, queue_name: str, status: str = "waiting", start: int = 0, end: int = 20
    ) -> list[dict[str, Any]]:
        """The jobs in one state, each as ``get_job_status`` tells it.

        Waiting, delayed and active jobs come as they will run or began to, finished ones the newest first. Only the
        jobs of the range are read, so a page costs the same however many there are.

        Args:
            status: ``waiting``, ``active``, ``completed``, ``failed``, ``delayed`` or ``paused``; the waiting jobs of a
                paused queue are ``paused``.
            start, end: first and last place, both included; negative ones count from the end.

        Raises:
            OptionError: there is no such state, or a place is not a whole number.
        """
        queue, state = self.queue(queue_name), check_state(status)
        for name, place in (("start", start), ("end", end)):
            if isinstance(place, bool) or not isinstance(place, int):
                raise OptionError(f"{name} must be a whole number, got {place!r}")
        jobs = await queue.get_jobs(state, start, end, asc=state not in (COMPLETED, FAILED))
        return [job_status(queue_name, job, state) for job in jobs]

    async def get_job_counts(self, queue_name: str) -> dict[str, int]:
        """How many jobs are in each state, at one moment."""
        return dict(await self.queue(queue_name).counts())

    async def get_queue_stats(self, queue_name: str) -> dict[str, Any]:
        """``{"name", "waiting", "active", "completed", "failed", "delayed", "paused"}``."""
        return {"name": queue_name, **await self.get_job_counts(queue_name)}

    async def get_all_queues_stats(self) -> list[dict[str, Any]]:
        """``get_queue_stats`` of every queue."""
        return list(await asyncio.gather(*map(self.get_queue_stats, self.queues)))

    async def retry_job(self, queue_name: str, job_id: str) -> dict[str, Any]:
        """Put a failed job back in its queue.

        Raises:
            JobNotFoundError: there is none.
            JobStateError: it has not failed. ``JobLockedError``: a worker holds it.
        """
        await (await self._job(queue_name, job_id)).retry()
        return {"success": True, "jobId": job_id, "queueName": queue_name}

    async def remove_job(self, queue_name: str, job_id: str) -> dict[str, Any]:
        """Delete a job.

        Raises:
            JobNotFoundError: there is none.
            JobLockedError: a worker holds it.
        """
        if not await self.queue(queue_name).actions.remove(job_id):
            raise _missing(queue_name, job_id)
        return {"success": True, "jobId": job_id, "queueName": queue_name}

    async def pause_queue(self, queue_name: str) -> None:
        """Let no worker take jobs of this queue."""
        await self.queue(queue_name).pause()

    async def resume_queue(self, queue_name: str) -> None:
        """Undo ``pause_queue``."""
        await self.queue(queue_name).resume()

    async def clean_jobs(
        self, queue_name: str, grace: float | timedelta = 86_400, type: str = COMPLETED, limit: int = 0
    ) -> list[str]:
        """Delete the jobs of one state that have been left alone for ``grace`` seconds; returns their ids.

        Args:
            type: the state; see ``Queue.clean``.
            limit: how many at most, the oldest first; 0 is any number.
        """
        return await self.queue(queue_name).clean(grace, type, limit)

    async def empty_queue(self, queue_name: str) -> None:
        """Delete all jobs that are not started yet; schedules stay."""
        await self.queue(queue_name).empty()

    async def close(self) -> None:
        """Close all queues and what their processors hold open. May be called twice."""
        async with AsyncExitStack() as stack:  # closes all of them, even if one cannot be
            for definition in self.definitions.values():
                stack.push_async_callback(definition.close)
            stack.push_async_callback(self.dead_letters.close)
            for queue in self.queues.values():
                stack.push_async_callback(queue.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _job(self, queue_name: str, job_id: str) -> Job[Any]:
        job = await self.queue(queue_name).get_job(job_id)
        if job is None:
            raise _missing(queue_name, job_id)
        return job


def _missing(queue_name: str, job_id: str) -> JobNotFoundError:
    return JobNotFoundError(
        job_id, f"queue {queue_name!r} has no job {job_id!r}: never added, removed, or trimmed"
    )


def job_status(queue_name: str, job: Job[Any], state: str) -> dict[str, Any]:
    """A job as ``get_job_status`` tells it."""
    return {
        "jobId": job.id,
        "queueName": queue_name,
        "state": state,
        "progress": job.progress,
        "data": redacted(queue_name, job.data),
        "options": job.opts,
        "timestamp": job.timestamp,
        "processedOn": job.processed_on,
        "finishedOn": job.finished_on,
        "failedReason": job.failed_reason,
        "returnValue": job.return_value,
        "attemptsMade": job.attempts_made,
        "stacktrace": job.stacktrace,
    }
