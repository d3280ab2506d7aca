"""Whole numbers that no float holds, in what others wrote into the queue: each job ends, and harms no other."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import redis.asyncio as redis_asyncio

from toril.engine.codec import decode
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker

HUGE = "9" * 400


def test_a_whole_number_that_no_float_holds_is_infinite_as_in_node() -> None:
    assert decode(f'{{"n":{HUGE},"m":-{HUGE}}}') == {"n": math.inf, "m": -math.inf}
    assert decode("9" * 5000) == math.inf  # more digits than Python reads
    assert decode("123456789012345678901234567890") == pytest.approx(1.2345678901234568e29)


@pytest.mark.parametrize(
    "option", ["priority", "removeOnFail", "removeOnComplete", "timeout", "attempts", "delay"]
)
async def test_a_huge_number_in_the_options_of_a_job_costs_no_other_its_run(
    queue: Queue, redis: redis_asyncio.Redis, option: str
) -> None:
    ran = []

    async def work(job: Job[Any]) -> None:
        ran.append(job.id)
        if job.id.startswith("odd"):
            raise ValueError("no luck")

    # The odd ones are taken first, with the others by the same call.
    for job_id in ("odd-1", "odd-2", "good-1", "good-2"):
        opts = f'{{"{option}":{HUGE}}}' if job_id.startswith("odd") else json.dumps({"attempts": 1})
        fields = {"name": "n", "data": "{}", "opts": opts, "timestamp": 1, "delay": 0, "priority": 0}
        await redis.hset(queue.keys.job(job_id), mapping=fields)
        await redis.lpush(queue.keys.of("wait"), job_id)
    async with Worker(queue, work, concurrency=20, stalled_interval=0) as worker:
        for job_id in ("good-1", "good-2"):
            job = await queue.get_job(job_id)
            assert job is not None
            await job.result(10)
        await worker.pause()
        assert worker.running == 0
    assert sorted(ran) == ["good-1", "good-2", "odd-1", "odd-2"]
    for job_id in ("odd-1", "odd-2"):
        assert await redis.zscore(queue.keys.of("failed"), job_id) is not None
        assert await redis.hget(queue.keys.job(job_id), "failedReason") == "no luck"
