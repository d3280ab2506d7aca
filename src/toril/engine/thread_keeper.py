"""Threads that outlive their worker: a job is not run again while its function still runs here.

A thread cannot be stopped. When a worker closes, its event loop and its connections may be gone before the function
returns, and Python itself waits for threads at its end. So the locks of such jobs are renewed beside all that: by a
thread with an event loop and a connection of its own, which records how they end. If the process ends before them,
their locks run out, and they are found stalled.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toril.engine.backoff import BackoffStrategy
from toril.engine.codec import encode
from toril.engine.committer import Committer
from toril.engine.hooks import Hooks
from toril.engine.idle import IdleWait
from toril.engine.job import Job
from toril.engine.locks import LockRenewer
from toril.engine.outcome import (
    Outcome,
    after_error,
    cancelled_for_good,
    completed,
    failed_for_good,
    handed_back,
)
from toril.engine.postponement import postponed
from toril.engine.queue import Queue
from toril.engine.runners import ThreadRun
from toril.engine.scripts.runner import ScriptRunner
from toril.errors import PostponedError

log = logging.getLogger("toril.worker")

#: Seconds that a closing worker waits until the locks are in the keeper's hands.
_READY_WITHIN_S = 5.0

#: Seconds for recording how threads ended once the interpreter is about to end.
_LAST_WORDS_S = 10.0

_LOOK_EVERY_S = 0.05

_alive: set[ThreadKeeper] = set()


async def kept_threads_ended() -> None:
    """Wait until no thread of this process outlives its worker, and all that came of them is recorded."""
    while _alive:  # noqa: ASYNC110 - they end in other threads
        await asyncio.sleep(_LOOK_EVERY_S)


@dataclass(frozen=True, slots=True)
class _Kept:
    job: Job[Any]
    runs: Sequence[ThreadRun]
    is_own: bool  #: the one run is the job's attempt itself, rather than earlier ones that it waits for


class ThreadKeeper:
    """Keeps the jobs of threads that outlive one worker; does nothing, and costs nothing, until there are some.

    Args:
        queue: of the worker; another connection is made to the same one.
        lock_ms: life of a lock.
        renew: seconds between renewals.
        strategies: for the backoff of jobs that fail.
        metrics: minutes of counts to keep.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        lock_ms: int,
        renew: float,
        strategies: Mapping[str, BackoffStrategy],
        metrics: int,
    ) -> None:
        self._queue, self._strategies = queue, strategies
        self._lock_ms, self._renew, self._metrics = lock_ms, renew, metrics
        self._lock = threading.Lock()  # of what follows
        self._kept: dict[str, _Kept] = {}
        self._new: list[_Kept] = []
        self._renewed = threading.Event()  #: all locks are in our hands

    @property
    def count(self) -> int:
        """How many jobs are kept."""
        return len(self._kept)

    @property
    def goes_on(self) -> bool:
        """Whether a thread goes on, or how it ended is being recorded."""
        return self in _alive

    def keep(self, job: Job[Any], runs: Sequence[ThreadRun], *, is_own: bool) -> None:
        """Hold the job's lock until these calls have ended; called in the worker's event loop.

        Args:
            is_own: the one call is the job's attempt, and its end is recorded. Otherwise they are earlier attempts,
                and the job, which has not begun, is handed back after them.
        """
        log.warning(
            "thread_goes_on: the worker closes while the function of job %s runs in a thread, which cannot be "
            "stopped; the job's lock is kept until it returns or the process ends. Use process=True where that matters",
            job.id,
            extra={"queue": self._queue.name, "job_id": job.id},
        )
        # Our own copy, since its verbs go to another connection from now on.
        kept = _Kept(copy.copy(job), runs, is_own)
        with self._lock:
            self._kept[job.id] = kept
            self._new.append(kept)
            self._renewed.clear()
            if self not in _alive:
                _alive.add(self)
                loop = asyncio.get_running_loop()
                # Not a daemon: Python waits for it at its end, after it has waited for the threads of jobs.
                threading.Thread(target=self._run, args=(loop,), name="toril-thread-keeper").start()

    async def ready(self) -> None:
        """Wait until the locks are renewed from here; not for long if the server is away."""
        end = time.monotonic() + _READY_WITHIN_S
        while self in _alive and not self._renewed.is_set() and time.monotonic() < end:  # noqa: ASYNC110 - a thread
            await asyncio.sleep(_LOOK_EVERY_S)

    def _run(self, home: asyncio.AbstractEventLoop) -> None:
        try:
            asyncio.run(_Shift(self, home).work())
        except Exception:
            log.exception("thread_keeper_failed", extra={"queue": self._queue.name})
        finally:
            with self._lock:
                _alive.discard(self)


class _Shift:
    """The keeper's work, in its own thread, from the first job it keeps to the last.

    Args:
        home: the worker's event loop, where listeners are called as long as it is there.
    """

    def __init__(self, keeper: ThreadKeeper, home: asyncio.AbstractEventLoop) -> None:
        self._keeper = keeper
        worker_queue = keeper._queue
        server = worker_queue.server
        self._queue = Queue(
            worker_queue.name,
            url=server.url,
            home=server.home,
            prefix=worker_queue.keys.prefix,
            dead_letter=None if worker_queue.letter_box is None else worker_queue.letter_box.keys.name,
            max_data_bytes=worker_queue.max_data_bytes,
        )
        self._queue.connection.notice_within = worker_queue.connection.notice_within
        # Under another token than the worker's: what that one takes is none of ours.
        self._scripts = ScriptRunner(self._queue.connection, self._queue.keys, str(uuid.uuid4()))
        self._hooks = _Relay(worker_queue.hooks, worker_queue.name, home)
        self._idle = IdleWait(
            self._queue.server, self._queue.keys, self._queue.connection, given_up=lambda _: None
        )
        self._committer = Committer(
            self._scripts,
            self._hooks,
            self._idle,
            slots=1,
            running=self._attempts,
            occupied=lambda: 1,
            start=lambda *_: None,
            lock_ms=keeper._lock_ms,
            metrics=keeper._metrics,
            letter_box=self._queue.letter_box,
        )
        self._renewer = LockRenewer(
            self._scripts,
            self._hooks,
            running=self._attempts,
            lock_ms=keeper._lock_ms,
            period=keeper._renew,
            lost=self._lost,
            cancelled=self._cancelled,
        )
        self._queue.connection.on_return(self._renewer.poke)
        self._follows: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Work until nothing is kept any more and all is recorded."""
        self._committer.finish()
        working = asyncio.create_task(self._work(), name="toril-thread-keeper")
        try:
            while not working.done() and threading.main_thread().is_alive():
                await asyncio.wait([working], timeout=_LOOK_EVERY_S * 4)
            # Python ends: it waits for the threads, and for our last words not much longer.
            while not working.done() and self._keeper._kept:
                await asyncio.wait([working], timeout=_LOOK_EVERY_S)
            self._committer.limit_s = _LAST_WORDS_S
            done, _ = await asyncio.wait([working], timeout=_LAST_WORDS_S)
            if done:
                working.result()
            else:
                log.error("thread_ends_not_recorded: the server is away", extra={"queue": self._queue.name})
        finally:
            await self._renewer.stop()
            try:
                await self._idle.stop()
                await self._queue.close()
            except (
                RuntimeError
            ):  # the embedded server is left in a thread, of which Python starts none at its end
                log.debug("thread_keeper_not_closed", exc_info=True)

    async def _work(self) -> None:
        while True:
            taking = asyncio.create_task(self._take_over(), name="toril-thread-keeper-new")
            try:
                await self._committer.run()
            finally:
                taking.cancel()
            with self._keeper._lock:
                if not self._keeper._kept:
                    _alive.discard(self._keeper)
                    return

    async def _take_over(self) -> None:
        while True:
            with self._keeper._lock:
                new, self._keeper._new = self._keeper._new, []
            for kept in new:
                kept.job.speak_through(self._queue.actions)
                for run in kept.runs if kept.is_own else ():
                    run.move(kept.job, asyncio.get_running_loop())
                follow = asyncio.create_task(self._follow(kept), name="toril-thread-kept")
                self._follows.add(follow)
                follow.add_done_callback(self._follows.discard)
            if new:
                await self._renewer.run_once()
                with self._keeper._lock:
                    if not self._keeper._new:
                        self._keeper._renewed.set()
                self._renewer.poke()
                await self._renewer.start()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _follow(self, kept: _Kept) -> None:
        job = kept.job
        for run in kept.runs:
            await run.ended()
        if self._let_go(job.id, job.fence):
            self._committer.record(await self._outcome(kept) if kept.is_own else handed_back(job))

    async def _outcome(self, kept: _Kept) -> Outcome:
        job, (run,) = kept.job, kept.runs
        try:
            value = run.result()
            return completed(job, value, encode(value, what="the result", limit=self._queue.max_data_bytes))
        except Exception as error:
            try:
                if isinstance(error, PostponedError) and not job.discarded:
                    return await postponed(self._scripts, job, error)
                return await after_error(job, error, self._keeper._strategies)
            except BaseException as trouble:  # whatever a backoff strategy raises
                self._hooks.emit("error", trouble)
                return failed_for_good(job, error)

    def _attempts(self) -> list[tuple[str, str]]:
        with self._keeper._lock:
            return [(job_id, kept.job.fence) for job_id, kept in self._keeper._kept.items()]

    def _let_go(self, job_id: str, fence: str) -> _Kept | None:
        with self._keeper._lock:
            kept = self._keeper._kept.get(job_id)
            if kept is None or kept.job.fence != fence:
                return None
            return self._keeper._kept.pop(job_id)

    def _lost(self, job_id: str, fence: str) -> None:
        if kept := self._let_go(job_id, fence):
            log.warning(
                "lock_lost: the lock of job %s is gone while its function still runs in a thread; what comes of it "
                "is dropped, and another worker may run it",
                job_id,
                extra={"queue": self._queue.name, "job_id": job_id},
            )
            self._hooks.emit("lock_lost", kept.job)
            self._committer.wake()

    def _cancelled(self, job_id: str, fence: str) -> None:
        if kept := self._let_go(job_id, fence):
            self._committer.record(cancelled_for_good(kept.job))


class _Relay(Hooks):
    """Tells the listeners of the worker's queue, in their own event loop."""

    def __init__(self, hooks: Hooks, queue: str, home: asyncio.AbstractEventLoop) -> None:
        super().__init__(queue)
        self._theirs, self._home = hooks, home

    def wanted(self, event: str) -> bool:
        return self._theirs.wanted(event)

    def emit(self, event: str, *arguments: Any) -> None:
        try:
            self._home.call_soon_threadsafe(self._theirs.emit, event, *arguments)
        except RuntimeError:  # that loop has ended, and its listeners with it
            super().emit(event, *arguments)
