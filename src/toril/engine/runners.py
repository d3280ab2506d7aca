"""Where plain functions run: threads, or child processes that can be killed."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import pickle
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toril.engine.job import Job
from toril.engine.outcome import reason_of
from toril.engine.processors import Processor
from toril.errors import ConfigurationError, TorilError

if TYPE_CHECKING:
    from pebble import ProcessPool


class ThreadRunner:
    """Runs plain functions in threads.

    A thread cannot be stopped. A job that times out fails at once, but its slot stays taken until its thread
    ends, so that there are never more threads than slots.

    Args:
        freed: called when a thread that outlived its job has ended.

    Attributes:
        outliving: calls that still run in a thread although their jobs are done with.
    """

    def __init__(self, slots: int, *, freed: Callable[[], None]) -> None:
        self._slots, self._freed = slots, freed
        self.outliving: set[asyncio.Future[Any]] = set()
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, processor: Processor, job: Job[Any], arguments: dict[str, Any]) -> Any:
        """Call the function in a thread, with this task's context."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._slots, thread_name_prefix="toril-job")
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        if processor.spread:
            call: Callable[[], Any] = lambda: processor.call(**arguments)  # noqa: E731
        else:
            from toril.sync import SyncJob

            call = lambda: processor.call(SyncJob(job, loop))  # noqa: E731
        future = loop.run_in_executor(self._pool, context.run, _call, call)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not future.done():
                self.outliving.add(future)
                future.add_done_callback(self._ended)
            raise

    def close(self) -> None:
        """Start no more; threads that still run are left to end by themselves."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _ended(self, ended: asyncio.Future[Any]) -> None:
        self.outliving.discard(ended)
        if not ended.cancelled():
            ended.exception()  # its job has failed already: whatever came of the thread is nobody's
        self._freed()


@dataclass(frozen=True, slots=True)
class ChildJob:
    """The job as a function in a child process gets it: what can travel there."""

    id: str
    name: str
    data: Any
    opts: dict[str, Any]
    attempts_made: int
    timestamp: int | float | None


def _call(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise
        # No future takes a StopIteration, and the others would end the event loop or look like a cancelling of ours.
        raise RuntimeError(f"the processor raised {type(error).__name__}: {reason_of(error)}") from error


def _call_in_child(function: Callable[[], Any]) -> Any:
    try:
        return _call(function)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        except Exception:
            raise RuntimeError("".join(traceback.format_exception_only(error)).strip()) from None
        raise


def check_child_processes() -> None:
    """See that child processes can be used.

    Raises:
        ConfigurationError: their extra is not installed.
    """
    try:
        import pebble  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "processors with process=True need pebble: pip install 'toril[process]'"
        ) from error


class ProcessRunner:
    """Runs plain functions in child processes; stopping a job kills its process, and a new one takes its place."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._pool: ProcessPool | None = None

    async def run(self, processor: Processor, job: Job[Any], arguments: dict[str, Any]) -> Any:
        """Call the function in a child process.

        Raises:
            ConfigurationError: the extra for child processes is not installed.
            TorilError: the process died.
        """
        check_child_processes()
        from pebble import ProcessExpired, ProcessPool

        if self._pool is None:
            # Spawned, not forked: a fork copies our threads' locks and our connections.
            import multiprocessing

            self._pool = ProcessPool(self._slots, context=multiprocessing.get_context("spawn"))
        target = processor.child_call or processor.call
        child = ChildJob(job.id, job.name, job.data, job.opts, job.attempts_made, job.timestamp)
        call = (
            functools.partial(target, **arguments) if processor.spread else functools.partial(target, child)
        )
        future = self._pool.schedule(_call_in_child, args=[call])
        try:
            return await asyncio.wrap_future(future)
        except ProcessExpired as error:
            raise TorilError(f"Unexpected exit code: {error.exitcode} of the job's process") from error

    async def close(self) -> None:
        """Kill what still runs."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.stop()  # type: ignore[no-untyped-call]
            await asyncio.to_thread(pool.join)
