"""The window of prioritised jobs, emptied by Node's workers while ours are busy."""

from __future__ import annotations

import asyncio
from typing import Any

import redis.asyncio as redis_asyncio
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker


async def test_a_busy_worker_refills_the_window_when_the_queue_is_drained(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    wait, gate = queue.keys.of("wait"), asyncio.Event()

    async def hold(job: Job[Any]) -> None:
        await gate.wait()

    async def is_busy() -> bool:
        return (await queue.counts("active"))["active"] == 1

    async def is_refilled() -> bool:
        return await redis.llen(wait) == 512

    async with Worker(queue, hold, concurrency=1, stalled_interval=0, grace=0):
        await queue.add("long", {})
        await until(is_busy)
        await queue.add_bulk([("work", n, {"priority": 1}) for n in range(2_000)])
        for _ in range(2):
            assert await redis.llen(wait) == 512
            taken = await redis.rpop(wait, 512)  # as Node takes them
            await redis.zrem(queue.keys.of("priority"), *taken)
            await redis.publish(queue.keys.of("drained"), "")
            await until(is_refilled)
