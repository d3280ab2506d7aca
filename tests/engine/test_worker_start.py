"""The start of a worker, when something comes in between: nothing of it is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import redis.asyncio as redis_asyncio

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import QueueStateError


async def nothing(job: Job[Any]) -> None:
    """A processor."""


async def test_a_worker_closed_while_it_starts_leaves_no_duty_and_no_heartbeat(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    await queue.add("n", {})  # the queue's own connection stands
    for turns in range(40):  # a start takes fewer
        worker = Worker(queue, nothing)
        starting = asyncio.create_task(worker.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        await worker.close()
        (ended,) = await asyncio.gather(starting, return_exceptions=True)
        assert ended is None or isinstance(ended, QueueStateError)
        assert [each.name for each in worker._services if each.is_running()] == [], turns
        assert await redis.zrange(queue.keys.of("toril:workers"), 0, -1) == [], turns


async def test_a_worker_started_twice_at_once_starts_once(queue: Queue) -> None:
    ran = []

    async def work(job: Job[Any]) -> None:
        ran.append(job.id)

    worker = Worker(queue, work, concurrency=1)
    await asyncio.gather(worker.start(), worker.start())
    for _ in range(5):
        await (await queue.add("n", {})).result(10)
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert names.count("toril-committer") == 1
    await worker.close()
    assert len(ran) == 5


async def test_a_start_that_is_cancelled_can_be_closed(queue: Queue, redis: redis_asyncio.Redis) -> None:
    for turns in range(1, 20):
        worker = Worker(queue, nothing)
        starting = asyncio.create_task(worker.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        with contextlib.suppress(QueueStateError):  # unless it had just been done
            await worker.start()
        await worker.close()
        assert [each.name for each in worker._services if each.is_running()] == [], turns
        assert await redis.zrange(queue.keys.of("toril:workers"), 0, -1) == [], turns
