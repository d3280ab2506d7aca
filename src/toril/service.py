"""What an application calls: one object for all its queues."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Self

from toril.engine.job import Job
from toril.engine.options import JobOptions
from toril.engine.queue import Queue
from toril.errors import JobNotFoundError, OptionError
from toril.queues.base import QueueDefinition
from toril.queues.registry import open_queue

_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"

#: Job options as an application gives them: Bull's names and milliseconds, or ``JobOptions``.
Options = Mapping[str, Any] | JobOptions | None


class QueueService:
    """Adds jobs, tells how they are, and controls queues, by the queue's name.

    Job data is ``{"type": …, "data": {…}}`` and checked against the queue's payload models when it is added, so
    that a mistake reaches the caller and not a worker at night.

    Args:
        definitions: the queues it knows; see ``toril.queues.registry``.
        queue_options: options of every ``Queue``: url, prefix, home, patience.
    """

    def __init__(self, definitions: Iterable[QueueDefinition], **queue_options: Any) -> None:
        self.definitions = {definition.name: definition for definition in definitions}
        self.queues = {name: open_queue(d, **queue_options) for name, d in self.definitions.items()}

    def queue(self, name: str) -> Queue:
        """The queue of this name.

        Raises:
            OptionError: there is none.
        """
        queue = self.queues.get(name)
        if queue is None:
            near = get_close_matches(name, self.queues, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(self.queues))}"
            raise OptionError(f"there is no queue {name!r}; {hint}")
        return queue

    async def add_job(
        self, queue_name: str, data: Mapping[str, Any], options: Options = None
    ) -> dict[str, Any]:
        """Add a job; returns ``{jobId, queueName, data, options}``.

        Raises:
            PayloadError: the data does not fit its type; ``field`` is the path of the first bad value.
            OptionError: no such queue, or a bad option.
            QueueUnavailableError: the server cannot be reached.
        """
        queue, given = self._prepare(queue_name, data, options)
        job = await queue.add("__default__", dict(data), **given)
        return _added(queue_name, job)

    async def add_bulk_jobs(self, queue_name: str, jobs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Add many jobs, each ``{"data": …, "options": …}``; all are checked before the first is added."""
        queue = self.queue(queue_name)
        items = []
        for index, entry in enumerate(jobs):
            if not isinstance(entry, Mapping) or "data" not in entry:
                raise OptionError(f"jobs[{index}] must be an object with data, and options if there are any")
            _, given = self._prepare(queue_name, entry["data"], entry.get("options"))
            items.append(("__default__", dict(entry["data"]), given))
        return [_added(queue_name, job) for job in await queue.add_bulk(items)]

    async def get_job_status(self, queue_name: str, job_id: str) -> dict[str, Any] | None:
        """Where a job is and what came of it; None if there is no such job."""
        queue = self.queue(queue_name)
        job = await queue.get_job(job_id)
        if job is None:
            return None
        return {
            "jobId": job.id,
            "queueName": queue_name,
            "state": await job.state(),
            "progress": job.progress,
            "data": job.data,
            "options": job.opts,
            "timestamp": job.timestamp,
            "processedOn": job.processed_on,
            "finishedOn": job.finished_on,
            "failedReason": job.failed_reason,
            "returnValue": job.return_value,
            "attemptsMade": job.attempts_made,
            "stacktrace": job.stacktrace,
        }

    async def retry_job(self, queue_name: str, job_id: str) -> dict[str, Any]:
        """Put a failed job back in its queue.

        Raises:
            JobNotFoundError, JobStateError, JobLockedError: see ``Job.retry``.
        """
        await (await self._job(queue_name, job_id)).retry()
        return {"success": True, "jobId": job_id, "queueName": queue_name}

    async def remove_job(self, queue_name: str, job_id: str) -> dict[str, Any]:
        """Delete a job.

        Raises:
            JobNotFoundError: there is none. ``JobLockedError``: a worker holds it.
        """
        await (await self._job(queue_name, job_id)).remove()
        return {"success": True, "jobId": job_id, "queueName": queue_name}

    async def get_job_counts(self, queue_name: str) -> dict[str, int]:
        """How many jobs are in each state."""
        return dict(await self.queue(queue_name).counts())

    async def pause_queue(self, queue_name: str) -> None:
        """Let no worker take jobs of this queue."""
        await self.queue(queue_name).pause()

    async def resume_queue(self, queue_name: str) -> None:
        """Undo ``pause_queue``."""
        await self.queue(queue_name).resume()

    async def send_email(self, email: Mapping[str, Any], options: Options = None) -> dict[str, Any]:
        """Queue one mail; ``email`` is the data of type ``transactional``."""
        return await self.add_job("email", {"type": "transactional", "data": dict(email)}, options)

    async def send_bulk_emails(
        self, recipients: Sequence[Mapping[str, Any]], subject: str, html: str, options: Options = None
    ) -> dict[str, Any]:
        """Queue one job that mails all ``recipients``, each with their own values in place of ``{{name}}``."""
        data = {"recipients": [dict(recipient) for recipient in recipients], "subject": subject, "html": html}
        return await self.add_job("email", {"type": "bulk", "data": data}, options)

    async def generate_pdf(
        self, data: Mapping[str, Any], type: str = "invoice", options: Options = None
    ) -> dict[str, Any]:
        """Queue one PDF; ``data`` is that of the type."""
        return await self.add_job("pdf", {"type": type, "data": dict(data)}, options)

    async def close(self) -> None:
        """Close all queues and what their processors hold open. May be called twice."""
        for queue in self.queues.values():
            await queue.close()
        for definition in self.definitions.values():
            await definition.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _job(self, queue_name: str, job_id: str) -> Job[Any]:
        job = await self.queue(queue_name).get_job(job_id)
        if job is None:
            raise JobNotFoundError(
                job_id, f"queue {queue_name!r} has no job {job_id!r}: never added, removed, or trimmed"
            )
        return job

    def _prepare(
        self, queue_name: str, data: Mapping[str, Any], options: Options
    ) -> tuple[Queue, dict[str, Any]]:
        queue = self.queue(queue_name)
        self.definitions[queue_name].check(data)
        checked = options if isinstance(options, JobOptions) else JobOptions.from_bull(options or {})
        given = checked.given()
        given.setdefault("job_id", new_job_id(queue_name))
        return queue, given


def new_job_id(queue_name: str) -> str:
    """``<queue>-<ms>-<9 base-36 characters>``, unique without asking the server."""
    tail = "".join(secrets.choice(_BASE_36) for _ in range(9))
    return f"{queue_name}-{time.time_ns() // 1_000_000}-{tail}"


def _added(queue_name: str, job: Job[Any]) -> dict[str, Any]:
    return {"jobId": job.id, "queueName": queue_name, "data": job.data, "options": job.opts}
