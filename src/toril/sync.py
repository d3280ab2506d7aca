"""Toril for code that is not async: Flask, Django, scripts, and plain functions in a worker's threads.

A thin portal over the one asynchronous engine: an event loop in a background thread does the work.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from toril.engine.job import Job as AsyncJob
from toril.engine.queue import BulkItem
from toril.engine.queue import Queue as AsyncQueue
from toril.errors import QueueStateError

T = TypeVar("T")


class Portal:
    """An event loop in a thread of its own, shared by all synchronous queues of the process."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, started when first needed."""
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="toril-sync", daemon=True)
                self._thread.start()
            return self._loop

    def start_anew(self) -> None:
        """In a child process after a fork, which copies no threads."""
        self._loop = self._thread = None
        self._lock = threading.Lock()


def run_on(loop: asyncio.AbstractEventLoop, call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on another thread's loop and wait for it."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is loop:
        call.close()
        raise QueueStateError(
            "a synchronous call on the event loop would wait for itself; await the async one"
        )
    future = asyncio.run_coroutine_threadsafe(call, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


_portal = Portal()
os.register_at_fork(after_in_child=_portal.start_anew)


class SyncJob:
    """A job for code that is not async; attributes are those of ``Job``, verbs wait until done.

    Args:
        loop: where its queue lives; without it, in the loop of all synchronous queues.
    """

    def __init__(self, job: AsyncJob[Any], loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._bound = (job, loop)

    def move(self, job: AsyncJob[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Go on with this object of the same job, whose queue lives in this loop."""
        self._bound = (job, loop)  # both at once: another thread may be about to call

    def _call(self, verb: str, *arguments: Any) -> Any:
        job, loop = self._bound
        return run_on(loop or _portal.loop, getattr(job, verb)(*arguments))

    def __getattr__(self, name: str) -> Any:
        # Only what a Job holds: its verbs are below, so a coroutine never leaks out.
        if name not in _FIELDS:
            raise AttributeError(f"a job has no attribute {name!r}")
        return getattr(self._bound[0], name)

    def __repr__(self) -> str:
        return repr(self._bound[0])

    def update_progress(self, progress: Any) -> None:
        """See ``Job.update_progress``."""
        self._call("update_progress", progress)

    def log(self, row: str) -> int:
        """See ``Job.log``."""
        rows: int = self._call("log", row)
        return rows

    def update(self, data: Any) -> None:
        """See ``Job.update``."""
        self._call("update", data)

    def state(self) -> str:
        """See ``Job.state``."""
        state: str = self._call("state")
        return state

    def remove(self) -> None:
        """See ``Job.remove``."""
        self._call("remove")

    def retry(self) -> None:
        """See ``Job.retry``."""
        self._call("retry")

    def promote(self) -> None:
        """See ``Job.promote``."""
        self._call("promote")

    def cancel(self) -> None:
        """See ``Job.cancel``."""
        self._call("cancel")

    def result(self, timeout: float | timedelta | None = None) -> Any:
        """See ``Job.result``."""
        return self._call("result", timeout)

    def discard(self) -> None:
        """See ``Job.discard``."""
        self._bound[0].discard()

    def to_dict(self) -> dict[str, Any]:
        """See ``Job.to_dict``."""
        return self._bound[0].to_dict()


_FIELDS = frozenset(name for name in AsyncJob.__slots__ if not name.startswith("_")) | {
    "queue_name",
    "options",
}


class Queue:
    """A queue for code that is not async; takes what the async ``Queue`` takes.

    Verbs without a method here run through ``call``: ``queue.call("clean", 60, "failed")``.
    """

    def __init__(self, name: str, **options: Any) -> None:
        async def make() -> AsyncQueue:
            return AsyncQueue(name, **options)

        self._queue = run_on(self._loop, make())

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return _portal.loop

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._queue.name

    def add(self, name: Any, data: Any = ..., /, **options: Any) -> SyncJob:
        """See ``Queue.add``."""
        return self._job(run_on(self._loop, self._queue.add(name, data, **options)))

    def add_bulk(self, items: Iterable[BulkItem]) -> list[SyncJob]:
        """See ``Queue.add_bulk``."""
        return [self._job(job) for job in run_on(self._loop, self._queue.add_bulk(items))]

    def get_job(self, job_id: str) -> SyncJob | None:
        """See ``Queue.get_job``."""
        job = run_on(self._loop, self._queue.get_job(job_id))
        return None if job is None else self._job(job)

    def get_jobs(self, *args: Any, **kwargs: Any) -> list[SyncJob]:
        """See ``Queue.get_jobs``."""
        return [self._job(job) for job in run_on(self._loop, self._queue.get_jobs(*args, **kwargs))]

    def counts(self, *states: str) -> Mapping[str, int]:
        """See ``Queue.counts``."""
        return run_on(self._loop, self._queue.counts(*states))

    def pause(self) -> None:
        """See ``Queue.pause``."""
        run_on(self._loop, self._queue.pause())

    def resume(self) -> None:
        """See ``Queue.resume``."""
        run_on(self._loop, self._queue.resume())

    def call(self, verb: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call any other method of the async ``Queue`` and wait for it."""
        return run_on(self._loop, getattr(self._queue, verb)(*args, **kwargs))

    def close(self) -> None:
        """See ``Queue.close``."""
        run_on(self._loop, self._queue.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _job(self, job: AsyncJob[Any]) -> SyncJob:
        return SyncJob(job)
