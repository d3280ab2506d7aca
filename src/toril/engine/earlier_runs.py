"""What still runs here of earlier attempts of jobs: no job runs twice at once in one process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from toril.engine.job import Job
from toril.engine.runners import ThreadRun

log = logging.getLogger("toril.worker")


class EarlierRuns:
    """Attempts that are over for the queue and not for this process, which the next one of the same job waits for.

    Args:
        queue_name: for the log.
        threads: calls in threads that outlive their jobs, by who waits for each.

    Attributes:
        superseded: tasks that were told to stop since their job was given to this worker again, and its id.
    """

    def __init__(self, queue_name: str, threads: Mapping[asyncio.Future[Any], ThreadRun]) -> None:
        self._queue_name, self._threads = queue_name, threads
        self.superseded: dict[asyncio.Task[None], str] = {}
        self._abandoned: dict[asyncio.Task[None], str] = {}

    def supersede(self, job_id: str, task: asyncio.Task[None] | None) -> None:
        """The job was given to this worker again while ``task`` runs it."""
        log.warning(
            "job_taken_again: job %s still runs here and was given to this worker again, since its lock had run out; "
            "the earlier run is stopped, and what comes of it is dropped. Move blocking work off the event loop, or "
            "raise lock_duration",
            job_id,
            extra={"queue": self._queue_name, "job_id": job_id},
        )
        if task is not None:
            self.superseded[task] = job_id

    def abandon(self, job_id: str, task: asyncio.Task[None]) -> None:
        """The task does not end although it was told to; its slot is free."""
        self._abandoned[task] = job_id
        task.add_done_callback(lambda ended: self._abandoned.pop(ended, None))

    def exist(self) -> bool:
        """Whether anything still runs, of whatever job; mostly nothing does."""
        return bool(self.superseded or self._abandoned or self._threads)

    def of(self, job_id: str) -> set[asyncio.Future[Any]]:
        """What still runs of a job, apart from the caller."""
        current = asyncio.current_task()
        tasks: set[asyncio.Future[Any]] = {
            run
            for runs in (self.superseded, self._abandoned)
            for run, of in runs.items()
            if of == job_id and run is not current and not run.done()
        }
        return tasks | {ending for ending, run in self._threads.items() if run.job.id == job_id}

    def threads_of(self, job: Job[Any]) -> list[ThreadRun]:
        """Calls in threads, of this attempt of a job or of earlier ones."""
        return [run for run in self._threads.values() if run.job.id == job.id]

    async def ended(self, job_id: str) -> None:
        """Wait until nothing runs of the job any more."""
        told = False
        while earlier := self.of(job_id):
            if not told:
                log.warning(
                    "job_waits_for_itself: an earlier run of job %s goes on in this process; the next one begins "
                    "when it has ended",
                    job_id,
                    extra={"queue": self._queue_name, "job_id": job_id},
                )
                told = True
            await asyncio.wait(earlier)
