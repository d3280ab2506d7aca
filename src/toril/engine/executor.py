"""Runs jobs: one task each, with its time-out, its cancellation and its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

from toril.engine.backoff import BackoffStrategy
from toril.engine.codec import encode
from toril.engine.committer import Taken
from toril.engine.current import running_job
from toril.engine.job import Job
from toril.engine.outcome import (
    Outcome,
    after_error,
    cancelled_for_good,
    completed,
    failed_for_good,
    handed_back,
)
from toril.engine.postponement import postponed
from toril.engine.processors import Processor, ProcessorTable
from toril.engine.queue import Queue
from toril.engine.runners import ProcessRunner, ThreadRunner
from toril.engine.waiting import comes_within
from toril.errors import DataError, JobTimeoutError, PostponedError, TorilError, UnrecoverableError

log = logging.getLogger("toril.worker")

#: Why a running job is stopped from outside.
StopReason = Literal["timeout", "lost", "cancelled", "shutdown"]


class Running:
    """One job that occupies a slot."""

    __slots__ = ("alarm", "begun", "job", "reason", "task")

    def __init__(self, job: Job[Any]) -> None:
        self.job = job
        self.task: asyncio.Task[None] | None = None
        self.begun = False  #: whether the task has had its first step
        self.reason: StopReason | None = None
        self.alarm: asyncio.TimerHandle | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped it."""
        return self.reason is not None

    def stop(self, reason: StopReason) -> None:
        """Cancel the job's task; the first reason counts."""
        if self.reason is None and self.task is not None:
            self.reason = reason
            if self.begun:  # a task cancelled before its first step would never come to its end
                self.task.cancel(reason)


class Executor:
    """Starts jobs and hands over how they ended.

    Args:
        record: takes outcomes.
        freed: called when a slot becomes free later than its outcome (a thread that outlives its job).
    """

    def __init__(
        self,
        queue: Queue,
        processors: ProcessorTable,
        *,
        slots: int,
        strategies: Mapping[str, BackoffStrategy],
        record: Callable[[Outcome], None],
        freed: Callable[[], None],
    ) -> None:
        self._queue, self._processors, self._strategies = queue, processors, strategies
        self._record, self._freed, self._hooks = record, freed, queue.hooks
        self.running: dict[str, Running] = {}
        self.threads = ThreadRunner(slots, freed=freed)
        self.processes = ProcessRunner(slots)
        self.quiet = False  #: hand back whatever is started
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self, taken: Taken) -> None:
        """Run a job that was taken; bad ones fail at once and harm no other."""
        try:
            job: Job[Any] = Job.from_taken(self._queue.actions, taken)
        except UnicodeDecodeError as error:
            # Only its id can be meant: no call could name it. The stalled check lets it fail.
            log.error("job_id_unreadable: %s", error, extra={"queue": self._queue.name})
            return
        except DataError as error:
            job = _unreadable(self._queue, taken)
            self._record(failed_for_good(job, error))
            return
        if self.quiet:
            self._record(handed_back(job))
            return
        processor = self._processors.find(job.name)
        entry = self.running[job.id] = Running(job)
        self._idle.clear()
        cancelled = len(taken) > 13 and taken[13] is not None
        entry.task = asyncio.create_task(self._run(entry, processor, cancelled=cancelled))

    def occupied(self) -> int:
        """How many slots are taken."""
        return len(self.running) + len(self.threads.outliving)

    def stop(self, job_id: str, reason: StopReason) -> None:
        """Stop one job, if it runs here."""
        if (entry := self.running.get(job_id)) is not None:
            entry.stop(reason)

    async def wait_idle(self, timeout: float | None) -> bool:
        """Wait until nothing runs; whether that came in time."""
        return await comes_within(self._idle.wait(), timeout)

    async def stop_all(self, reason: StopReason) -> None:
        """Stop every job and wait for their tasks; jobs in threads go on without us."""
        entries = list(self.running.values())
        for entry in entries:
            entry.stop(reason)
        tasks = [entry.task for entry in entries if entry.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    async def close(self) -> None:
        """Let go of threads and child processes."""
        self.threads.close()
        await self.processes.close()

    async def _run(self, entry: Running, processor: Processor | None, *, cancelled: bool) -> None:
        job = entry.job
        outcome: Outcome | None = None
        try:
            entry.begun = True
            running_job.set(job)
            if entry.is_stopped:
                outcome = await self._stopped(entry)
                return
            if "repeat" in job.opts:  # first of all: a schedule must go on, whatever becomes of this run
                await self._queue.schedule_next(job)
            if cancelled:
                outcome = cancelled_for_good(job)
                return
            if _is_expired(job):
                raise UnrecoverableError("expired")
            if self._hooks.wanted("active"):
                self._hooks.emit("active", job)
            timeout = job.opts.get("timeout")
            if isinstance(timeout, int | float) and timeout > 0:
                entry.alarm = asyncio.get_running_loop().call_later(timeout / 1000, entry.stop, "timeout")
            value = await self._call(processor, job)
            if entry.reason in (None, "shutdown"):
                outcome = completed(
                    job, value, encode(value, what="the result", limit=self._queue.max_data_bytes)
                )
            else:
                outcome = await self._stopped(entry)
        except asyncio.CancelledError as error:
            if entry.reason is None:
                outcome = await self._failed(job, RuntimeError(f"the job's task was cancelled: {error}"))
            else:
                outcome = await self._stopped(entry)
        except (Exception, SystemExit) as error:
            outcome = await self._raised(entry, error)
        finally:
            if entry.alarm is not None:
                entry.alarm.cancel()
            self.running.pop(job.id, None)
            if not self.running:
                self._idle.set()
            if outcome is not None:
                self._record(outcome)
            else:
                self._freed()

    async def _call(self, processor: Processor | None, job: Job[Any]) -> Any:
        if processor is None:
            raise TorilError(f"Missing process handler for job type {job.name}")
        arguments = _arguments(processor, job)
        if processor.is_async:
            if processor.spread:
                return await processor.call(**arguments)
            return await processor.call(job)
        if processor.in_process:
            return await self.processes.run(processor, job, arguments)
        return await self.threads.run(processor, job, arguments)

    async def _raised(self, entry: Running, error: BaseException) -> Outcome | None:
        if entry.alarm is not None:
            entry.alarm.cancel()  # the attempt is over; a slow backoff strategy is not part of it
        try:
            return (
                await self._failed(entry.job, error) if entry.reason is None else await self._stopped(entry)
            )
        except asyncio.CancelledError:
            if entry.reason is None:
                raise
            return await self._stopped(entry)

    async def _stopped(self, entry: Running) -> Outcome | None:
        job, reason = entry.job, entry.reason
        if reason == "shutdown":
            return handed_back(job)
        if reason == "cancelled":
            return cancelled_for_good(job)
        if reason == "timeout":
            ms = job.opts.get("timeout")
            text = f"Job timed out after {ms} milliseconds and was stopped"
            return await self._failed(job, JobTimeoutError(job.id, text))
        log.warning(
            "lock_lost: job %s was stopped, since its lock is gone; another worker may run it. "
            "Make the processor idempotent, move blocking work to a thread, or raise lock_duration",
            job.id,
            extra={"queue": self._queue.name, "job_id": job.id},
        )
        self._hooks.emit("lock_lost", job)
        return None

    async def _failed(self, job: Job[Any], error: BaseException) -> Outcome:
        try:
            if isinstance(error, PostponedError) and not job.discarded:
                return await postponed(self._queue.scripts, job, error)
            return await after_error(job, error, self._strategies)
        except Exception as trouble:
            # A backoff nobody knows must not leave the job stuck: it fails, and says why it is not tried again.
            self._hooks.emit("error", trouble)
            error.add_note(f"not tried again: {trouble}")
            return failed_for_good(job, error)


def _is_expired(job: Job[Any]) -> bool:
    expires = job.opts.get("expiresAt")
    if not isinstance(expires, int | float) or (job.processed_on or 0) <= expires:
        return False
    # A run that a worker of Node's added carries the moment of the run before it.
    planned = job.opts.get("prevMillis")
    return not (isinstance(planned, int | float) and planned >= expires)


def _arguments(processor: Processor, job: Job[Any]) -> dict[str, Any]:
    """A task's arguments by name.

    Raises:
        UnrecoverableError: the data does not fit the function; another attempt would not either.
    """
    if not processor.spread:
        return {}
    if not isinstance(job.data, Mapping):
        raise UnrecoverableError(
            f"task {processor.name!r} takes its arguments from an object, got {type(job.data).__name__}"
        )
    try:
        assert processor.signature is not None
        processor.signature.bind(**job.data)
    except TypeError as error:
        raise UnrecoverableError(f"task {processor.name!r}: {error}") from None
    return dict(job.data)


def _unreadable(queue: Queue, taken: Taken) -> Job[Any]:
    fields = dict(
        zip(
            (b"name", b"data", b"opts", b"timestamp", b"delay", b"priority", b"attemptsMade"),
            taken,
            strict=False,
        )
    )
    job_id = (taken[11] or b"").decode()
    return Job.from_hash(
        queue.actions, job_id, {name: text for name, text in fields.items() if text is not None}
    )
