"""Where plain functions run: threads, or child processes that can be killed."""

from __future__ import annotations

import asyncio
import contextvars
import os
import pickle
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from toril.engine.child_errors import unpack
from toril.engine.child_frames import ChildCall, ChildJob
from toril.engine.child_main import is_child
from toril.engine.child_pool import ChildPool
from toril.engine.job import Job
from toril.engine.outcome import reason_of
from toril.engine.processors import Processor
from toril.errors import ConfigurationError

if TYPE_CHECKING:
    from toril.sync import SyncJob


class ThreadRun:
    """One call in a thread, which may outlive the event loop that asked for it.

    Args:
        call: what runs in the thread.
        shown: the job as the function sees it, if it is given one.
    """

    __slots__ = ("_call", "_shown", "job")

    def __init__(self, job: Job[Any], call: Future[Any], shown: SyncJob | None) -> None:
        self.job, self._call, self._shown = job, call, shown

    def give_up(self) -> bool:
        """Whether it had not begun, and never will now."""
        return self._call.cancel()

    def ended(self) -> asyncio.Future[None]:
        """Done when the thread is done with it, in any event loop. Cancelling it stops nothing."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not ended.done():
                ended.set_result(None)

        def tell(_: object) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle)

        self._call.add_done_callback(tell)
        return ended

    def result(self) -> Any:
        """What the function returned, once it has ended; raises what it raised."""
        return self._call.result()

    def move(self, job: Job[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Let the function's own calls go to this job, in this loop."""
        if self._shown is not None:
            self._shown.move(job, loop)


class ThreadRunner:
    """Runs plain functions in threads.

    A thread cannot be stopped. A job that times out fails at once, but its slot stays taken until its thread
    ends, so that there are never more threads than slots.

    Args:
        freed: called when a thread that outlived its job has ended.

    Attributes:
        outliving: calls that still run in a thread although their jobs are done with, by who waits for each.
    """

    def __init__(self, slots: int, *, freed: Callable[[], None]) -> None:
        self._slots, self._freed = slots, freed
        self.outliving: dict[asyncio.Future[Any], ThreadRun] = {}
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, processor: Processor, job: Job[Any], arguments: dict[str, Any]) -> Any:
        """Call the function in a thread, with this task's context."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._slots, thread_name_prefix="toril-job")
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        shown: SyncJob | None = None
        if processor.spread:
            call: Callable[[], Any] = lambda: processor.call(**arguments)  # noqa: E731
        else:
            from toril.sync import SyncJob

            shown = SyncJob(job, loop)
            call = lambda: processor.call(shown)  # noqa: E731
        run = ThreadRun(job, self._pool.submit(context.run, _call, call), shown)
        ending = run.ended()
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            if not ending.done() and not run.give_up():
                self.outliving[ending] = run
                ending.add_done_callback(self._ended)
            raise
        return run.result()

    def close(self) -> None:
        """Start no more; threads that still run are left to end by themselves."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _ended(self, ended: asyncio.Future[Any]) -> None:
        self.outliving.pop(ended, None)
        self._freed()


def _call(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise
        # No future takes a StopIteration, and the others would end the event loop or look like a cancelling of ours.
        raise RuntimeError(f"the processor raised {type(error).__name__}: {reason_of(error)}") from error


def check_child_processes(processors: Iterable[Processor]) -> None:
    """See that these processors can run in child processes.

    Raises:
        ConfigurationError: this process cannot start any, or a processor's function cannot be found there.
    """
    if is_child():
        raise ConfigurationError(
            "this process is a child of a worker and was about to start a worker itself: put what starts the "
            'worker under `if __name__ == "__main__":`, since children import the same module'
        )
    for processor in processors:
        try:
            pickle.dumps(processor.child_call or processor.call)
        except Exception as error:
            raise ConfigurationError(
                f"the processor for {processor.name!r} cannot run in a child process, which must find it by its name "
                f"in a module: {error}"
            ) from error
    if not sys.executable:
        raise ConfigurationError("child processes cannot be started: Python does not know its own program")


class ProcessRunner:
    """Runs plain functions in child processes; stopping a job kills its process, and a new one takes its place.

    Args:
        limit: most processes at once; none is started before it is needed.
        max_bytes: of JSON in a result.
        freed: called when a slot becomes free later than its outcome (a process that had to be replaced).
        replaces: whether a process that was killed is to be replaced.
    """

    def __init__(
        self, limit: int, *, max_bytes: int, freed: Callable[[], None], replaces: Callable[[], bool]
    ) -> None:
        self._pool = ChildPool(limit, freed=freed, replaces=replaces)
        self._max_bytes = max_bytes

    @property
    def replacing(self) -> int:
        """How many slots are taken by processes that are on their way although their jobs are done with."""
        return self._pool.replacing

    async def run(
        self,
        processor: Processor,
        job: Job[Any],
        arguments: dict[str, Any],
        *,
        begun: Callable[[], None],
        lost: Callable[[], None],
    ) -> bytes:
        """Call the function in a child process; returns its result as JSON.

        Args:
            begun: called when a child takes the job, again if that one is lost and another takes it.
            lost: called when a child that may have taken it is gone.

        Raises:
            TorilError: the process died.
            Exception: what the function raised.
        """
        function = pickle.dumps(processor.child_call or processor.call)
        child_job = ChildJob(job.id, job.name, job.data, job.opts, job.attempts_made, job.timestamp)
        call = ChildCall(
            function=function,
            main=_main_module() if b"__main__" in function else None,
            arguments=pickle.dumps(arguments if processor.spread else child_job),
            spread=processor.spread,
            limit=self._max_bytes,
        )
        returned, answer = await self._pool.run(pickle.dumps(call), job_id=job.id, begun=begun, lost=lost)
        if not returned:
            raise unpack(answer)
        return answer

    async def close(self) -> None:
        """End the processes."""
        await self._pool.close()


def _main_module() -> tuple[str | None, str | None]:
    main = sys.modules["__main__"]
    if (spec := getattr(main, "__spec__", None)) is not None:
        return spec.name, None
    path = getattr(main, "__file__", None)
    return None, None if path is None else os.path.abspath(path)
