"""A worker's child processes: started when they are needed, replaced when they end.

A pool of our own. Those of ``multiprocessing``, ``concurrent.futures`` and pebble were looked at: an idle process that
is killed breaks the pool, results are unpickled in the worker, nobody is told when a process takes a call, and
processes are started whether or not they are needed.

    a slot:   free ──▶ taken ──▶ free            the child has answered, and waits for the next call
                         └─────▶ replaced ──▶ free   it was killed or has ended; free when another one is up
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable

from toril.engine.child_process import ChildLost, ChildProcess
from toril.errors import TorilError

log = logging.getLogger("toril.worker")

#: How often a call is run again because its process was ended from outside; then the job may be what it dies of.
MOST_RERUNS = 3

_START_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds before a process that could not be started is tried again


class ChildPool:
    """Runs calls in at most ``limit`` processes; belongs to one event loop.

    Args:
        freed: called when a slot becomes free later than its call has ended.
        replaces: whether a process that has ended is to be replaced before it is needed.
    """

    def __init__(self, limit: int, *, freed: Callable[[], None], replaces: Callable[[], bool]) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._freed, self._replaces = freed, replaces
        self._idle: list[ChildProcess] = []
        self._replacing: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def replacing(self) -> int:
        """How many slots are taken by processes that are on their way."""
        return len(self._replacing)

    async def run(
        self, request: bytes, *, job_id: str, begun: Callable[[], None], lost: Callable[[], None]
    ) -> tuple[bool, bytes]:
        """Run a call: whether it returned, and the JSON of its result or its error.

        A process that is ended from outside costs its job nothing: it runs again in another one, up to
        ``MOST_RERUNS`` times. Whoever stops waiting kills the process.

        Args:
            begun: called whenever a process begins with it.
            lost: called whenever a process that had begun with it is gone.

        Raises:
            TorilError: its process ended by a fault of its own, or too often; or none could be started.
        """
        await self._slots.acquire()
        child: ChildProcess | None = None
        answered = False
        try:
            for run in range(MOST_RERUNS + 1):
                child = await self._take()
                try:
                    answer = await child.ask(request, begun)
                    answered = True
                    return answer
                except ChildLost as error:
                    lost()
                    if error.own_fault:
                        raise TorilError(f"the job's process {error}") from error
                    if run == MOST_RERUNS:
                        raise TorilError(f"the job's process {error}, {run + 1} times in a row") from error
                    log.warning(
                        "child_lost: the process of job %s %s; the job runs again in another one",
                        job_id,
                        error,
                        extra={"job_id": job_id, "pid": child.pid},
                    )
                    self._end(child)
                    child = None
            raise AssertionError
        finally:
            if child is None:
                self._slots.release()
            elif answered and child.is_alive and not self._closed:
                self._idle.append(child)
                self._slots.release()
            else:
                self._replace(child)

    async def close(self) -> None:
        """End all processes that wait for work. Those at work end with their calls."""
        self._closed = True
        replacing = list(self._replacing)
        for task in replacing:
            task.cancel()
        idle, self._idle = self._idle, []
        for child in idle:
            self._end(child)
        if others := [*replacing, *self._ending]:
            await asyncio.wait(others)

    async def _take(self) -> ChildProcess:
        while self._idle:
            child = self._idle.pop()
            if child.is_alive:
                return child
            self._end(child)
        for pause in _START_PAUSES:
            try:
                return await ChildProcess.start()
            except ChildLost as error:
                # Not at once the job's failure: a machine without memory would use up all its attempts.
                log.warning("child_not_started: a child process %s; tried again", error)
                await asyncio.sleep(pause)
        try:
            return await ChildProcess.start()
        except ChildLost as error:
            raise TorilError(f"no child process could be had: it {error}") from error

    def _replace(self, child: ChildProcess) -> None:
        self._end(child)
        if self._closed or not self._replaces():
            self._slots.release()
            return
        task = asyncio.create_task(self._start_another(), name="toril-child-replacement")
        self._replacing.add(task)
        task.add_done_callback(self._replaced)

    async def _start_another(self) -> None:
        try:
            self._idle.append(await ChildProcess.start())
        except ChildLost as error:
            log.warning("child_not_started: a child process %s; the next job tries again", error)

    def _replaced(self, task: asyncio.Task[None]) -> None:
        self._replacing.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("child_not_started", exc_info=error)
        self._freed()

    def _end(self, child: ChildProcess) -> None:
        child.kill()  # now: the task may come late
        task = asyncio.create_task(child.end(), name="toril-child-end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
