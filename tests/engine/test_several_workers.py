"""Several workers in one event loop, each by its own ``run``: a signal is for all of them."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker

WITHIN = 30.0


async def test_a_signal_ends_every_worker_of_the_process(queue: Queue) -> None:
    before = signal.getsignal(signal.SIGTERM)
    running: set[str] = set()

    async def work(job: Job[Any]) -> None:
        running.add(job.id)
        while not go.is_set():  # noqa: ASYNC110 - as a job does that is not to be handed back
            await asyncio.sleep(0.005)

    go = asyncio.Event()
    workers = [Worker(queue, work, concurrency=1, grace=WITHIN) for _ in range(3)]
    runs = [asyncio.create_task(worker.run()) for worker in workers]
    jobs = await queue.add_bulk([("n", {})] * 3)

    async def all_run() -> bool:
        return len(running) == 3

    async def all_close() -> bool:
        return all(worker._closing is not None for worker in workers)

    await until(all_run, within_s=WITHIN)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(all_close, within_s=WITHIN)
    go.set()
    await asyncio.wait_for(asyncio.gather(*runs), WITHIN)
    assert [await job.state() for job in jobs] == ["completed"] * 3
    assert signal.getsignal(signal.SIGTERM) is before


async def test_a_second_signal_hurries_the_workers_that_are_left(queue: Queue) -> None:
    async def hang(job: Job[Any]) -> None:
        running.append(job.id)
        await asyncio.Event().wait()

    running: list[str] = []
    busy = Worker(queue, hang, concurrency=1, grace=1000)
    idle = [Worker(Queue("idle", url=queue.server.url, prefix=queue.keys.prefix), hang) for _ in range(2)]
    # The idle ones come before and behind it, and go first.
    runs = [asyncio.create_task(worker.run()) for worker in (idle[0], busy, idle[1])]
    job = await queue.add("n", {})

    async def it_runs() -> bool:
        return bool(running)

    await until(it_runs, within_s=WITHIN)
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(asyncio.gather(runs[0], runs[2]), WITHIN)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(runs[1], WITHIN)
    assert await job.state() == "waiting"
    for worker in idle:
        await worker.queue.close()
