"""What one process runs, several workers and perhaps more: from its start to its last job."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, Self

from toril.cli.exits import ExitCode
from toril.cli.stop import StopRequests, end_now, see_to_the_end
from toril.engine.stop_deadline import StopDeadline
from toril.engine.thread_keeper import kept_threads_ended
from toril.engine.worker import Worker

log = logging.getLogger("toril.cli")

#: Seconds that closing may take after a second signal; handing back takes milliseconds.
_HURRY_WITHIN = 3.0


class Part(Protocol):
    """Something that a process runs until it is asked to stop."""

    @property
    def running(self) -> int:
        """How many jobs run at this moment."""
        ...

    async def start(self) -> None:
        """Begin."""
        ...

    def hurry(self) -> None:
        """While closing: wait for what runs no longer."""
        ...

    async def close(self) -> None:
        """End in order; also what was never started, or only half."""
        ...


class Together:
    """Parts that start one after the other, and close in the other direction."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    @property
    def running(self) -> int:
        return sum(part.running for part in self._parts)

    async def start(self) -> None:
        for part in self._parts:
            await part.start()

    def hurry(self) -> None:
        for part in self._parts:
            part.hurry()

    async def close(self) -> None:
        for part in reversed(self._parts):
            await part.close()


class WorkerGroup:
    """Several workers on one event loop: started together and closed together, with their queues."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers

    @property
    def running(self) -> int:
        """How many jobs run at this moment."""
        return sum(worker.running for worker in self.workers)

    async def start(self) -> None:
        """Begin to take jobs.

        Raises:
            QueueUnavailableError: a server cannot be reached.
        """
        for (
            worker
        ) in self.workers:  # in turn, so that none is still on its way when another's failure ends all
            await worker.start()

    def hurry(self) -> None:
        """While closing: wait for running jobs no longer."""
        for worker in self.workers:
            worker.hurry()

    async def close(self) -> None:
        """Take no more, let running jobs end, hand back the rest, disconnect."""
        await asyncio.gather(*(worker.close() for worker in self.workers))
        await asyncio.gather(*(worker.queue.close() for worker in self.workers))


class Parent:
    """The supervisor of this process, if it has one: told once we are ready, and missed when it is gone.

    Args:
        number: of the socket we inherited from it.
    """

    def __init__(self, number: int | None) -> None:
        self._socket = None if number is None else socket.socket(fileno=number)

    def ready(self) -> None:
        """Say that this process takes jobs."""
        if self._socket is not None:
            self._socket.send(b"1")

    def watch(self, gone: Callable[[], None]) -> None:
        """Call ``gone`` when the supervisor has ended. It never sends, so whatever arrives is its end."""
        if self._socket is None:
            return
        number, loop = self._socket.fileno(), asyncio.get_running_loop()

        def arrived() -> None:
            loop.remove_reader(number)
            gone()

        loop.add_reader(number, arrived)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()


async def work(group: Part, parent: Parent, started: Callable[[], None], *, grace: float) -> ExitCode:
    """Run the group until it is asked to stop; returns how the process ends.

    Args:
        started: called once all take jobs.
        grace: seconds that running jobs get after that. Somewhat later the process ends, whatever runs.

    Raises:
        QueueUnavailableError: a server cannot be reached.
    """
    deadline = StopDeadline(grace, lambda: group.running)

    def heard(count: int) -> None:
        deadline.begin()
        _end_at_the_third(count)

    requests = StopRequests(heard)
    with requests.listening(), deadline.watching():
        parent.watch(requests.ask)
        try:
            if await _unless(requests.wait(1), group.start()):
                started()
                parent.ready()
                await requests.wait(1)
        finally:
            deadline.begin()  # also if it was not asked to: what ended us may keep us too
            await _close(group, requests)
    code = ExitCode.INTERRUPTED if requests.urgent else ExitCode.DONE
    see_to_the_end(code, _abandon)
    return code


async def _close(group: Part, requests: StopRequests) -> None:
    if running := group.running:
        log.info("workers_finishing: a second signal stops them at once", extra={"running": running})
    closing = asyncio.create_task(group.close(), name="toril-close-group")
    if not await _unless(requests.wait(2), asyncio.shield(closing)):
        log.warning(
            "workers_hurrying: running jobs go back to their queues", extra={"running": group.running}
        )
        group.hurry()
        # A thread cannot be stopped, and a worker would wait for it.
        await asyncio.wait({closing}, timeout=_HURRY_WITHIN)
        if not closing.done():
            log.warning("workers_not_closed: the process ends without them")
            return
    await closing
    log.info("workers_closed")
    # Functions that cannot be stopped go on until they return, or the process has to end.
    await _unless(requests.wait(2), kept_threads_ended())


async def _unless(stop: Coroutine[Any, Any, None], work: Awaitable[Any]) -> bool:
    """Wait for ``work``, but no longer than until ``stop``; whether it was done. Its error is raised."""
    stopping, working = asyncio.ensure_future(stop), asyncio.ensure_future(work)
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    if working.done():
        working.result()
        return True
    working.cancel()
    await asyncio.wait({working})
    return False


def _end_at_the_third(count: int) -> None:
    if count > 2:
        end_now(ExitCode.INTERRUPTED)


def _abandon(threads: list[str]) -> None:
    log.warning("threads_abandoned: they did not end with their jobs", extra={"threads": threads})
