"""The worker: takes jobs from one queue and runs them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from toril.engine.backoff import BackoffStrategy, seconds, to_ms
from toril.engine.child_pool import cpus
from toril.engine.committer import Committer
from toril.engine.deafness import DeafnessCheck
from toril.engine.executor import Executor
from toril.engine.housekeeping import Housekeeping
from toril.engine.idle import IdleWait
from toril.engine.locks import LockRenewer
from toril.engine.lost_moves import LostMoveSearch
from toril.engine.one_loop import OneLoop
from toril.engine.processors import ANY_NAME, Processor, ProcessorTable
from toril.engine.promoter import DelayedPromoter
from toril.engine.queue import Queue
from toril.engine.rate_limit import read_limiter
from toril.engine.runners import check_child_processes
from toril.engine.scripts.runner import ScriptRunner
from toril.engine.service import Service
from toril.engine.stalled import RECONNECTS_WITHIN, StalledCheck
from toril.engine.stop_signals import Stoppable, telling
from toril.engine.thread_keeper import ThreadKeeper
from toril.engine.waiting import end_within
from toril.engine.window import WindowRefill
from toril.errors import OptionError, QueueStateError

log = logging.getLogger("toril.worker")


class Worker:
    """Runs the jobs of one queue, ``concurrency`` at once, until it is closed.

    Args:
        queue: a ``Queue``, or the name of one; then ``url`` and other options of ``Queue`` may follow.
        processor: takes every job that has no processor of its own on the queue; async, or a plain function,
            which runs in a thread. Gets the ``Job``.
        concurrency: jobs at once; without it, the sum of what the queue's processors ask for.
        child_processes: child processes at once, for processors with ``process=True``; without it, as many as
            there are processors (CPUs), or as those functions ask for by ``concurrency`` if that is more. They are
            started when they are needed, and never outnumber ``concurrency``.
        lock_duration: seconds a job's lock lives without renewal. A worker that hangs longer loses its jobs.
        lock_renew: seconds between renewals; half of ``lock_duration`` unless set.
        stalled_interval: seconds between looks for jobs of dead workers; 0 leaves that to others.
        max_stalled_count: how often a job may lose its worker before it fails.
        grace: seconds that running jobs get to end when the worker closes; the rest is handed back.
        backoff_strategies: name → function for custom backoffs.
        limiter: see ``Queue``; overrides the queue's.
        metrics: minutes of counts per minute to keep; 0 keeps none.

    Raises:
        OptionError: a bad option, or no processor.
    """

    def __init__(
        self,
        queue: Queue | str,
        processor: Callable[..., Any] | None = None,
        *,
        concurrency: int | None = None,
        child_processes: int | None = None,
        lock_duration: float = 30.0,
        lock_renew: float | None = None,
        stalled_interval: float = 30.0,
        max_stalled_count: int = 1,
        grace: float = 30.0,
        backoff_strategies: Mapping[str, BackoffStrategy] | None = None,
        limiter: Mapping[str, Any] | None = None,
        metrics: int = 0,
        **queue_options: Any,
    ) -> None:
        self._owns_queue = isinstance(queue, str)
        if not isinstance(queue, str) and queue_options:
            raise OptionError(
                f"{sorted(queue_options)[0]} belongs to the Queue; this worker was given an open one"
            )
        self.queue = Queue(queue, **queue_options) if isinstance(queue, str) else queue
        self.processors = self._table(processor)
        self.concurrency = self.processors.concurrency if concurrency is None else concurrency
        if child_processes is None:
            asked = sum(processor.concurrency for processor in self.processors.in_process)
            child_processes = max(cpus(), asked)
        for name, value, least in (
            ("concurrency", self.concurrency, 1),
            ("child_processes", child_processes, 1),
            ("max_stalled_count", max_stalled_count, 0),
            ("metrics", metrics, 0),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise OptionError(f"{name} must be a whole number of at least {least}, got {value!r}")
        lock_duration = seconds(lock_duration, "lock_duration")
        renew = lock_duration / 2 if lock_renew is None else seconds(lock_renew, "lock_renew")
        stalled_interval = seconds(stalled_interval, "stalled_interval")
        if 0 < stalled_interval < 0.01:
            raise OptionError(f"stalled_interval must be 0 or at least 0.01 s, got {stalled_interval!r}")
        if lock_duration < 0.1:
            raise OptionError(f"lock_duration must be at least 0.1 s, got {lock_duration!r}")
        if not 0 < renew < lock_duration:
            raise OptionError(
                f"lock_renew must be less than lock_duration ({lock_duration} s), got {renew!r}"
            )
        self.grace = seconds(grace, "grace")
        self.token, self._pid = str(uuid.uuid4()), os.getpid()
        lock_ms = int(to_ms(lock_duration))
        core = self.queue
        self._scripts = ScriptRunner(core.connection, core.keys, self.token)
        # A connection that leads nowhere must not cost a lock.
        core.connection.notice_within = min(core.connection.notice_within, lock_duration / 4)
        lost_moves = LostMoveSearch(self._scripts, grace=renew + min(lock_duration, RECONNECTS_WITHIN))
        self._idle = IdleWait(core.server, core.keys, core.connection, given_up=lost_moves.begin)
        self._keeper = ThreadKeeper(
            core,
            lock_ms=lock_ms,
            renew=renew,
            strategies=dict(backoff_strategies or {}),
            metrics=metrics,
        )
        self._executor = Executor(
            core,
            self.processors,
            slots=self.concurrency,
            children=min(child_processes, self.concurrency),
            strategies=dict(backoff_strategies or {}),
            record=lambda outcome: self._committer.record(outcome),
            keep=lambda job, runs, own: self._keeper.keep(job, runs, is_own=own),
            freed=lambda: self._committer.wake(),
        )
        self._committer = Committer(
            self._scripts,
            core.hooks,
            self._idle,
            slots=self.concurrency,
            running=self._executor.attempts,
            occupied=self._executor.occupied,
            start=self._executor.start,
            lock_ms=lock_ms,
            limiter=read_limiter(core.limiter if limiter is None else limiter),
            metrics=metrics,
            letter_box=core.letter_box,
        )
        self._promoter = DelayedPromoter(self._scripts)
        self._housekeeping = Housekeeping(self.queue, self._scripts)
        self._window = WindowRefill(self._scripts)
        self._renewer = LockRenewer(
            self._scripts,
            core.hooks,
            running=self._executor.attempts,
            lock_ms=lock_ms,
            period=renew,
            lost=lambda job_id, fence: self._executor.stop(job_id, "lost", fence),
            cancelled=lambda job_id, fence: self._executor.stop(job_id, "cancelled", fence),
        )
        self._services: list[Service] = [
            self._housekeeping,
            self._promoter,
            self._window,
            lost_moves,
            self._renewer,
        ]
        if stalled_interval > 0:
            self._services.append(
                StalledCheck(
                    self.queue,
                    interval=stalled_interval,
                    max_stalled=max_stalled_count,
                    renew=renew,
                    lock=lock_duration,
                )
            )
        self._services.append(
            DeafnessCheck(
                self._scripts,
                could_take=self._committer.could_take,
                taken=lambda: self._committer.taken,
                rebuild=self._rebuild,
            )
        )
        self._stop_listening: list[Callable[[], None]] = []
        self._starting: asyncio.Task[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._owner = OneLoop(f"the worker of queue {self.queue.name!r}")

    def _table(self, processor: Callable[..., Any] | None) -> ProcessorTable:
        if processor is None:
            if not len(self.queue.processors):
                raise OptionError(
                    f"queue {self.queue.name!r} has no processor: give one to Worker(queue, processor), or register "
                    "functions with @queue.task or @queue.process()"
                )
            return self.queue.processors
        table = self.queue.processors.copy()
        table.add(Processor(name=ANY_NAME, call=processor))
        return table

    def _rebuild(self) -> None:
        """Connect anew, whatever the connections seem to be good for."""
        self.queue.connection.renew()
        self.queue.subscriber.renew()
        self._idle.renew()
        self._committer.look_again()

    @property
    def running(self) -> int:
        """How many jobs run at this moment; after it was closed, in threads that outlive it."""
        return len(self._executor.running) + self._keeper.count

    async def start(self) -> None:
        """Connect and begin to take jobs. May be called twice.

        Raises:
            QueueUnavailableError: the server cannot be reached, or refuses us.
            OptionError: in a cluster, dead letters would lie in another slot.
            ConfigurationError: a processor cannot run in a child process, or this is one itself.
            QueueStateError: it was closed, or started in another event loop.
        """
        if self._closing is not None:
            raise QueueStateError(f"this worker of queue {self.queue.name!r} was closed; make a new one")
        if self._owner.enter() and self._starting is not None:
            raise QueueStateError(
                f"this worker of queue {self.queue.name!r} was started in an event loop that has ended; close it "
                "there, and make a new one for the next"
            )
        starting = self._starting
        if starting is None:
            starting = self._starting = asyncio.create_task(self._start(), name="toril-start")
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            if not starting.cancelled():  # but who waits for it: nobody is left in the middle of it
                starting.cancel()
                await asyncio.wait([starting])
                raise
            raise QueueStateError(
                f"this worker of queue {self.queue.name!r} was closed while it started, or its start was "
                "cancelled; make a new one"
            ) from None
        except BaseException:
            self._starting = None  # it may be tried again
            raise

    async def _start(self) -> None:
        if in_process := self.processors.in_process:
            check_child_processes(in_process)  # now: each job would use up its attempts
        if self._pid != os.getpid():  # we were made before a fork: our siblings must not hold the same locks
            self.token, self._pid = str(uuid.uuid4()), os.getpid()
            self._scripts.call_as(self.token)
        await self.queue.connection.ready(time.monotonic() + self.queue.scripts.patience)
        if (box := self.queue.letter_box) is not None:
            if self.queue.server.is_cluster:
                box.require_one_slot()
            await box.require_queue(self.queue.scripts)
        await self._idle.connect()
        subscriber = self.queue.subscriber
        subscriber.speak_as(self.token)
        self._stop_listening = [
            subscriber.on_delayed(self._promoter.told),
            subscriber.on_drained(self._window.poke),
            subscriber.on_cancel(lambda job_id: self._executor.stop(job_id, "cancelled")),
            self.queue.connection.on_return(self._renewer.poke),  # locks have run on meanwhile
        ]
        await subscriber.ready()
        # The heartbeat comes before the first job, so that the overflow is known to be looked after.
        await self._housekeeping.run_once()
        self._committing = asyncio.create_task(self._committer.run(), name="toril-committer")
        for service in self._services:
            await service.start()
        log.info(
            "worker_started",
            extra={"queue": self.queue.name, "concurrency": self.concurrency, "token": self.token},
        )

    async def run(self) -> None:
        """Start, and work until SIGTERM, SIGINT, SIGHUP (unless it is ignored) or ``close``.

        The first signal lets running jobs end within the grace period; a second one stops them at once. Either
        way what was not finished is handed back to the queue. Ten seconds after the grace period the process ends
        with exit code 1, whatever runs: a job may hold the event loop or swallow its cancelling. Of several workers
        in one event loop each hears the signals, and the longest grace period counts.
        """
        stop = asyncio.Event()
        told = Stoppable(
            grace=self.grace,
            stop=stop.set,
            hurry=self.hurry,
            running=lambda: self.running,
            goes_on=lambda: self._executor.goes_on() or self._keeper.goes_on,
        )
        with telling(told):
            try:
                await self.start()
                assert self._committing is not None
                waiting = asyncio.ensure_future(stop.wait())
                await asyncio.wait({waiting, self._committing}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
            finally:
                await self.close()

    async def pause(self, *, wait: bool = True) -> None:
        """Take no more jobs here (other workers go on); after it nothing starts until ``resume``.

        Args:
            wait: return when running jobs have ended; otherwise as soon as no call is under way that could bring
                another one.
        """
        self._owner.check()
        self._committer.take(False)
        await self._idle.interrupt()
        if self._committing is not None:
            await self._committer.settled()
        if wait:
            await self._executor.wait_idle(None)

    def resume(self) -> None:
        """Take jobs again after ``pause``."""
        self._owner.check()
        self._committer.take(True)

    def hurry(self) -> None:
        """While closing: do not wait for running jobs any longer."""
        self._owner.check()
        self._executor.quiet = True
        for entry in list(self._executor.running.values()):
            entry.stop("shutdown")

    async def close(self, *, grace: float | None = None) -> None:
        """Take no more, let running jobs end, hand back the rest, and disconnect. May be called twice.

        A plain function that still runs in its thread cannot be stopped: its job is not handed back. Its lock is kept
        until it returns, which is recorded, or until the process ends.

        Args:
            grace: seconds for running jobs; the worker's own unless given.

        Raises:
            QueueStateError: called from another event loop than the one it was started in.
        """
        self._owner.check()
        if self._closing is None:
            self._closing = asyncio.create_task(
                self._close(self.grace if grace is None else grace), name="toril-close"
            )
        await asyncio.shield(self._closing)

    async def _close(self, grace: float) -> None:
        self._executor.quiet = True
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait([self._starting])
        self._committer.finish()
        await self._idle.stop()
        if self._committing is not None:
            if not await self._executor.wait_idle(grace):
                await self._executor.stop_all("shutdown")
            await self._keeper.ready()
            self._committer.limit_s = 10.0
            self._committer.wake()
            # With the server away and nothing to record there is nothing to wait for.
            idle = self.queue.connection.live is None and not self._committer.unrecorded
            if not await end_within([self._committing], 0.2 if idle else 15):
                if not idle:
                    log.error("worker_close_incomplete", extra={"queue": self.queue.name})
                self._committing.cancel()
            elif (error := self._committing.exception()) is not None:
                log.error("committer_failed", exc_info=error, extra={"queue": self.queue.name})
        for service in self._services:
            await service.stop()
        await self._housekeeping.leave()  # after its last beat, which would put it on the list again
        for stop_listening in self._stop_listening:
            stop_listening()
        await self._executor.close()
        if self._owns_queue:
            await self.queue.close()
        log.info("worker_closed", extra={"queue": self.queue.name, "token": self.token})

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
