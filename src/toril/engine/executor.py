"""Runs jobs: one task each, with its time-out, its cancellation and its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from toril.engine.backoff import BackoffStrategy
from toril.engine.codec import decode, encode
from toril.engine.committer import Taken
from toril.engine.current import running_job
from toril.engine.earlier_runs import EarlierRuns
from toril.engine.job import Job
from toril.engine.outcome import (
    Outcome,
    after_error,
    cancelled_for_good,
    completed,
    failed_for_good,
    handed_back,
    reason_of,
)
from toril.engine.postponement import postponed
from toril.engine.processors import Processor, ProcessorTable
from toril.engine.queue import Queue
from toril.engine.runners import ProcessRunner, ThreadRun, ThreadRunner
from toril.engine.waiting import comes_within, end_within
from toril.errors import JobTimeoutError, PostponedError, TorilError, UnrecoverableError

log = logging.getLogger("toril.worker")

#: Seconds that a job which was told to stop gets to clean up; after that it holds its slot no longer.
STOP_WITHIN_S = 30.0
_SHUTDOWN_WITHIN_S = 5.0

#: Why a running job is stopped from outside.
StopReason = Literal["timeout", "lost", "cancelled", "shutdown"]


class Running:
    """One job that occupies a slot.

    Args:
        deaf: called with it when it was told to stop and has not done so for ``STOP_WITHIN_S``.
    """

    __slots__ = ("abandoned", "alarm", "begun", "deaf", "job", "reason", "task")

    def __init__(self, job: Job[Any], deaf: Callable[[Running], None]) -> None:
        self.job, self.deaf = job, deaf
        self.task: asyncio.Task[None] | None = None
        self.begun = False  #: whether the task has had its first step
        self.reason: StopReason | None = None
        self.abandoned = False  #: whether its end has been recorded although it goes on
        self.alarm: asyncio.TimerHandle | None = None  #: ends its time-out, and later its time to stop

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped it."""
        return self.reason is not None

    def stop(self, reason: StopReason) -> None:
        """Cancel the job's task; the first reason counts."""
        if self.reason is None and self.task is not None:
            self.reason = reason
            self.call_later(STOP_WITHIN_S, self.deaf, self)
            if self.begun:  # a task cancelled before its first step would never come to its end
                self.task.cancel(reason)

    def limit_time(self) -> None:
        """Begin with the job's time-out, if it has one."""
        timeout = self.job.opts.get("timeout")
        if isinstance(timeout, int | float) and timeout > 0 and self.reason is None:
            self.call_later(timeout / 1000, self.stop, "timeout")

    def call_later(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> None:
        """Set the alarm anew."""
        self.silence()
        self.alarm = asyncio.get_running_loop().call_later(seconds, function, *arguments)

    def silence(self) -> None:
        """Call off the alarm."""
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm = None


class Executor:
    """Starts jobs and hands over how they ended.

    Args:
        slots: jobs at once.
        children: child processes at once.
        record: takes outcomes.
        keep: takes jobs that cannot be handed back, since calls of theirs still run in threads; told whether the
            one call is the job's attempt itself.
        freed: called when a slot becomes free later than its outcome (a thread that outlives its job,
            a child process that has to be replaced).
    """

    def __init__(
        self,
        queue: Queue,
        processors: ProcessorTable,
        *,
        slots: int,
        children: int,
        strategies: Mapping[str, BackoffStrategy],
        record: Callable[[Outcome], None],
        keep: Callable[[Job[Any], Sequence[ThreadRun], bool], None],
        freed: Callable[[], None],
    ) -> None:
        self._queue, self._processors, self._strategies = queue, processors, strategies
        self._record, self._keep, self._freed, self._hooks = record, keep, freed, queue.hooks
        self.running: dict[str, Running] = {}  #: by job id, the newest attempt of each
        self.threads = ThreadRunner(slots, freed=freed)
        self.processes = ProcessRunner(
            children, max_bytes=queue.max_data_bytes, freed=freed, replaces=lambda: not self.quiet
        )
        self._earlier = EarlierRuns(queue.name, self.threads.outliving)
        self._deaf: list[asyncio.Task[None]] = []  # which were told to stop, and go on
        self._ending: set[asyncio.Task[None]] = set()  # of jobs that do not stop
        self.quiet = False  #: hand back whatever is started
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self, taken: Taken, fence: str) -> None:
        """Run a job that was taken; bad ones fail at once and harm no other.

        Of a job that runs here already the earlier attempt is stopped, and the new one begins when it has ended.
        """
        try:
            job: Job[Any] = Job.from_taken(self._queue.actions, taken)
        except UnicodeDecodeError as error:
            # Only its id can be meant: no call could name it. The stalled check lets it fail.
            log.error("job_id_unreadable: %s", error, extra={"queue": self._queue.name})
            return
        except Exception as error:  # whatever somebody wrote there: the others of its batch are to be started
            job = _unreadable(self._queue, taken)
            job.fence = fence
            self._record(failed_for_good(job, error))
            return
        job.fence = fence
        if self.quiet:
            if (outcome := self._handed_back(job)) is not None:
                self._record(outcome)
            return
        if (former := self.running.get(job.id)) is not None:
            self._earlier.supersede(job.id, former.task)
            former.stop("lost")
        processor = self._processors.find(job.name)
        entry = self.running[job.id] = Running(job, self._abandon)
        self._idle.clear()
        cancelled = len(taken) > 13 and taken[13] is not None
        entry.task = asyncio.create_task(self._run(entry, processor, cancelled=cancelled))

    def occupied(self) -> int:
        """How many slots are taken."""
        taken = len(self.running) + len(self._earlier.superseded) + len(self.threads.outliving)
        return taken + self.processes.replacing

    def goes_on(self) -> bool:
        """Whether a thread or a task goes on although its job is done with."""
        return bool(self.threads.outliving) or not all(task.done() for task in self._deaf)

    def attempts(self) -> list[tuple[str, str]]:
        """Job id and fence of each attempt that runs, and may hold a lock."""
        return [(job_id, entry.job.fence) for job_id, entry in self.running.items()]

    def stop(self, job_id: str, reason: StopReason, fence: str | None = None) -> None:
        """Stop one job, if it runs here; with a fence, only if it is that attempt."""
        entry = self.running.get(job_id)
        if entry is not None and fence in (None, entry.job.fence):
            entry.stop(reason)

    async def wait_idle(self, timeout: float | None) -> bool:
        """Wait until nothing runs; whether that came in time."""
        return await comes_within(self._idle.wait(), timeout)

    async def stop_all(self, reason: StopReason) -> None:
        """Stop every job and wait for their tasks; those that go on, and jobs in threads, go on without us."""
        entries = list(self.running.values())
        for entry in entries:
            entry.stop(reason)
        tasks = [entry.task for entry in entries if entry.task is not None]
        await end_within(tasks, _SHUTDOWN_WITHIN_S)
        for entry in entries:
            self._abandon(entry)

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
            if self._earlier.exist():
                await self._earlier.ended(job.id)
            if "repeat" in job.opts:  # first of all: a schedule must go on, whatever becomes of this run
                await self._queue.schedule_next(job)
            if cancelled:
                outcome = cancelled_for_good(job)
                return
            if _is_expired(job):
                raise UnrecoverableError("expired")
            if self._hooks.wanted("active"):
                self._hooks.emit("active", job)
            value, text = await self._call(processor, entry)
            if entry.reason in (None, "shutdown"):
                outcome = completed(job, value, text)
            else:
                entry.silence()
                outcome = await self._stopped(entry)
        except asyncio.CancelledError as error:
            outcome = await self._raised(
                entry, RuntimeError(f"the job's task was cancelled: {reason_of(error)}")
            )
        except BaseException as error:
            # Whatever was raised, a KeyboardInterrupt too: nobody else would end the job, and a task would end
            # the event loop with some of them.
            if isinstance(error, GeneratorExit) and not _is_current(entry.task):
                raise  # not raised by the job: the loop is gone, and the coroutine is closed
            outcome = await self._raised(entry, error)
        finally:
            if not entry.abandoned:
                entry.silence()
                self._leave(entry, outcome)

    def _leave(self, entry: Running, outcome: Outcome | None) -> None:
        if self.running.get(entry.job.id) is entry:
            del self.running[entry.job.id]
        elif entry.task is not None:
            self._earlier.superseded.pop(entry.task, None)
        if not self.running and not self._earlier.superseded:
            self._idle.set()
        if outcome is not None:
            self._record(outcome)
        else:
            self._freed()

    def _abandon(self, entry: Running) -> None:
        """Record the end of a job that was told to stop and does not; its slot is free, though it goes on."""
        if entry.abandoned or entry.task is None or entry.task.done():
            return
        entry.abandoned = True
        self._earlier.abandon(entry.job.id, entry.task)
        self._deaf = [each for each in self._deaf if not each.done()] + [entry.task]
        log.warning(
            "job_does_not_stop: job %s was told to stop (%s) and goes on; its slot is given to others. "
            "Let its processor end at CancelledError",
            entry.job.id,
            entry.reason,
            extra={"queue": self._queue.name, "job_id": entry.job.id},
        )
        task = asyncio.create_task(self._end_abandoned(entry))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end_abandoned(self, entry: Running) -> None:
        # At the end of the process it must not be handed back, to be run twice at once: its lock runs out.
        outcome = None if entry.reason == "shutdown" else await self._stopped(entry)
        self._leave(entry, outcome)

    async def _call(self, processor: Processor | None, entry: Running) -> tuple[Any, bytes]:
        """What the processor returned, and its JSON."""
        job = entry.job
        if processor is None:
            raise TorilError(f"Missing process handler for job type {job.name}")
        arguments = processor.arguments(job.data)
        if processor.in_process:
            # Its time counts from when a child has the job: others may have kept them all, or had them killed.
            text = await self.processes.run(
                processor, job, arguments, begun=entry.limit_time, lost=entry.silence
            )
            return decode(text), text
        entry.limit_time()
        if not processor.is_async:
            value = await self.threads.run(processor, job, arguments)
        elif processor.spread:
            value = await processor.call(**arguments)
        else:
            value = await processor.call(job)
        return value, encode(value, what="the result", limit=self._queue.max_data_bytes)

    async def _raised(self, entry: Running, error: BaseException) -> Outcome | None:
        entry.silence()  # the attempt is over; a slow backoff strategy is not part of it
        try:
            return await self._failed(entry, error) if entry.reason is None else await self._stopped(entry)
        except asyncio.CancelledError:
            if entry.reason is None:
                raise
            return await self._stopped(entry)

    async def _stopped(self, entry: Running) -> Outcome | None:
        job, reason = entry.job, entry.reason
        if reason == "shutdown":
            return self._handed_back(job)
        if reason == "cancelled":
            return cancelled_for_good(job)
        if reason == "timeout":
            ms = job.opts.get("timeout")
            text = f"Job timed out after {ms} milliseconds and was stopped"
            return await self._failed(entry, JobTimeoutError(job.id, text))
        log.warning(
            "lock_lost: job %s was stopped, since its lock is gone; another worker may run it. "
            "Make the processor idempotent, move blocking work to a thread, or raise lock_duration",
            job.id,
            extra={"queue": self._queue.name, "job_id": job.id},
        )
        self._hooks.emit("lock_lost", job)
        return None

    def _handed_back(self, job: Job[Any]) -> Outcome | None:
        """The outcome of a job that another worker may run at once; None if something of it goes on here."""
        if runs := self._earlier.threads_of(job):
            own = [run for run in runs if run.job is job]
            self._keep(job, own or runs, bool(own))
            return None
        return None if self._earlier.of(job.id) else handed_back(job)  # what swallows its cancelling

    async def _failed(self, entry: Running, error: BaseException) -> Outcome:
        job, stopped = entry.job, entry.reason
        try:
            if isinstance(error, PostponedError) and not job.discarded:
                return await postponed(self._queue.scripts, job, error)
            return await after_error(job, error, self._strategies)
        except BaseException as trouble:
            if _is_ours(trouble, entry, stopped):
                raise
            # A backoff nobody knows must not leave the job stuck: it fails, and says why it is not tried again.
            self._hooks.emit("error", trouble)
            try:
                error.add_note(f"not tried again: {reason_of(trouble)}")
            except Exception:
                log.debug("note_not_taken", exc_info=True)  # an error may forbid it; the event above has told
            return failed_for_good(job, error)


def _is_ours(trouble: BaseException, entry: Running, before: StopReason | None) -> bool:
    """Whether what arrived at a backoff strategy is our own stopping rather than something it raised."""
    if isinstance(trouble, GeneratorExit):
        return not _is_current(entry.task)
    return isinstance(trouble, asyncio.CancelledError) and entry.reason != before


def _is_current(task: asyncio.Task[None] | None) -> bool:
    try:
        return asyncio.current_task() is task
    except RuntimeError:  # no event loop runs
        return False


def _is_expired(job: Job[Any]) -> bool:
    expires = job.opts.get("expiresAt")
    if not isinstance(expires, int | float) or (job.processed_on or 0) <= expires:
        return False
    # A run that a worker of Node's added carries the moment of the run before it.
    planned = job.opts.get("prevMillis")
    return not (isinstance(planned, int | float) and planned >= expires)


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
