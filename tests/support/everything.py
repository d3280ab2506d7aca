"""All that can befall a queue under load, one after the other, and the books at the end.

By hand, with the default times and a server that is frozen for two minutes (some ten minutes in all):
``python -m tests.support.everything``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from pprint import pprint

from tests.support.fleet import Fleet
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.queue import Queue

#: Seconds for what takes a few.
_SOON = 60.0

_SLOTS, _PRODUCERS, _PACE = 10, 4, 0.05


@dataclass(slots=True)
class Books:
    """What came of all jobs."""

    acknowledged: int = 0  #: adds
    lost: list[str] = field(default_factory=list)  #: acknowledged, and not completed
    twice: list[str] = field(default_factory=list)  #: ids that were given out twice
    failed: int = 0
    runs: int = 0
    extra: dict[str, int] = field(default_factory=dict)  #: runs beyond the first, by what came after that one
    unexplained: list[str] = field(default_factory=list)  #: run more than once, and nobody said why
    at_once: int = 0  #: runs of a job that this process was running
    reasons: Counter[str] = field(default_factory=Counter)  #: jobs of which the log says so


async def everything_at_once(
    folder: Path, *, lock: float, interval: float, freeze: float, block: float, quiet: float
) -> Books:
    """Let three workers run jobs while the server freezes, a worker's loop is blocked and a network swallows packets.

    Args:
        folder: for the ledgers.
        lock: seconds a lock lives.
        interval: seconds between checks for stalled jobs.
        freeze: seconds for which the server is frozen.
        block: seconds for which a worker's event loop is blocked.
        quiet: seconds after each fault in which what ran meanwhile can end; a lock and a half, and more.
    """
    books, ids, stop = Books(), list[str](), asyncio.Event()
    options = {"concurrency": _SLOTS, "lock_duration": lock, "stalled_interval": interval}
    durable = ["--appendonly", "yes", "--appendfsync", "everysec"]
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(RedisServer(None, durable, tcp=True))
        proxy = stack.enter_context(Proxy(server.port))
        queue = await stack.enter_async_context(Queue("work", url=server.url, patience=freeze + _SOON))
        fleet = await stack.enter_async_context(Fleet("work", folder, block=block))
        blocked = await fleet.start(server.url, **options)
        await fleet.start(server.url, **options)
        far = await fleet.start(proxy.url, **options)
        numbers = itertools.count()

        async def produce() -> None:
            while not stop.is_set():
                # Mostly short ones, and always some ten that outlast a lock.
                number = next(numbers)
                seconds = (
                    1.5 * lock if number % round(12.5 * lock) == 0 else 0.3 if number % 10 == 0 else 0.01
                )
                ids.append((await queue.add("n", {"seconds": seconds})).id)
                await asyncio.sleep(_PACE)

        producing = [asyncio.create_task(produce()) for _ in range(_PRODUCERS)]

        async def goes_on(pid: int | None = None, count: int = 100) -> None:
            """Wait until so many more jobs have ended."""
            before = len(fleet.notes(pid))
            await until(lambda: _is(len(fleet.notes(pid)) >= before + 2 * count), within_s=_SOON)

        first_begun: dict[str, set[str]] = {}  # by the fault that came next

        def book(fault: str) -> None:
            """Whatever has begun by now, and is run again, is so because of this."""
            known = set().union(*first_begun.values())
            first_begun[fault] = set(fleet.runs()) - known

        await goes_on()
        spanning = await queue.add_bulk([("n", {"seconds": freeze + lock})] * _SLOTS)
        ids += [job.id for job in spanning]
        await until(lambda: _is({job.id for job in spanning} <= set(fleet.runs())), within_s=_SOON)
        server.freeze()
        await asyncio.sleep(freeze)
        book("frozen server")
        server.thaw()
        await goes_on()
        await asyncio.sleep(quiet)

        os.kill(blocked.pid, signal.SIGUSR1)
        await until(
            lambda: _is(any(note.what == "unblocked" for note in fleet.notes(blocked.pid))),
            within_s=block + _SOON,
        )
        book("blocked loop")
        await asyncio.sleep(quiet)

        proxy.swallow()
        await goes_on(far.pid, 20)
        stop.set()
        await asyncio.gather(*producing)

        async def is_done() -> bool:
            counts = await queue.counts()
            return not any(counts[state] for state in ("waiting", "active", "delayed", "paused"))

        try:
            await until(is_done, within_s=2 * lock + 2 * interval + _SOON)
        except TimeoutError:
            raise AssertionError(f"not done: {await queue.counts()}") from None
        await fleet.stop()
        completed = {
            job_id.decode() for job_id in await queue.scripts.ask("ZRANGE", queue.keys.of("completed"), 0, -1)
        }
        books.failed = (await queue.counts("failed"))["failed"]
        book("swallowed packets")
    runs, reasons = fleet.runs(), fleet.reasons()
    books.extra = {fault: sum(runs[job_id] - 1 for job_id in begun) for fault, begun in first_begun.items()}
    books.acknowledged, books.runs = len(ids), sum(runs.values())
    books.lost = sorted(set(ids) - completed)
    books.twice = [job_id for job_id, count in Counter(ids).items() if count > 1]
    books.unexplained = [job_id for job_id, count in runs.items() if count > 1 and job_id not in reasons]
    books.at_once = len(fleet.at_once())
    books.reasons = Counter(reason for said in reasons.values() for reason in said)
    return books


async def _is(value: bool) -> bool:
    return value


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        began = time.monotonic()
        defaults = everything_at_once(Path(place), lock=30, interval=30, freeze=120, block=75, quiet=90)
        pprint(asyncio.run(defaults), width=110)
        print(f"{time.monotonic() - began:.0f} s")
