"""A worker's own pause: once it is said to hold, nothing starts."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker


async def test_nothing_starts_once_pause_has_returned(queue: Queue) -> None:
    started: list[str] = []

    async def work(job: Job[Any]) -> None:
        started.append(job.id)

    async with Worker(queue, work, concurrency=2, stalled_interval=0) as worker:
        for round_number in range(60):

            async def is_idle() -> bool:
                return worker._idle.waiting

            await until(is_idle)
            # The blocking call brings the job at the moment in which it is ended.
            adding = asyncio.create_task(queue.add("n", {}))
            for _ in range(round_number % 10):
                await asyncio.sleep(0)
            await worker.pause()
            job = await adding
            before = len(started)
            if await job.state() != "waiting":  # taken: then it had started by the time pause returned
                assert job.id in started[:before], "it was still on its way"
            assert len(started) == before
            worker.resume()
            await job.result(60)
