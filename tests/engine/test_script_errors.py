"""Jobs that a script cannot deal with: they cost themselves something, and no other job anything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.steps import fail, fence_of, take
from tests.support.until import until

from toril.engine.backoff import Backoff
from toril.engine.job import Job
from toril.engine.options import Debounce
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import QueueStateError

WITHIN = 60.0


@pytest.mark.parametrize("job_id", ["Nan", "inf", "-infinity", "0x10", "1e400", "1e308"])
async def test_an_id_that_lua_reads_as_a_number_costs_no_job_of_its_batch(queue: Queue, job_id: str) -> None:
    together = asyncio.Barrier(6)

    async def work(job: Job[Any]) -> str:
        await together.wait()
        if job.id == job_id:
            raise ValueError("no luck")
        return "fine"

    odd = await queue.add("n", {}, job_id=job_id, attempts=2, backoff=Backoff.fixed(60))
    others = [await queue.add("n", {}) for _ in range(5)]
    async with Worker(queue, work, concurrency=6, stalled_interval=0):
        assert [await job.result(WITHIN) for job in others] == ["fine"] * 5
        await until(lambda: is_in(queue, odd.id, "delayed"), within_s=WITHIN)
    assert await queue.counts("completed", "delayed", "active") == {"completed": 5, "delayed": 1, "active": 0}


async def is_in(queue: Queue, job_id: str, state: str) -> bool:
    return await queue.actions.get_state(job_id) == state


async def test_results_wait_for_a_key_of_another_type_to_go(queue: Queue, redis: redis_asyncio.Redis) -> None:
    """Somebody's text lies where the completed jobs belong; those that fail need it not."""
    errors: list[Exception] = []
    queue.on("error", errors.append)
    together = asyncio.Barrier(4)

    async def work(job: Job[Any]) -> str:
        await together.wait()
        if job.name == "bad":
            raise ValueError("no luck")
        return job.name

    await redis.set(queue.keys.of("completed"), "somebody's")
    good = [await queue.add("good", {}) for _ in range(3)]
    bad = await queue.add("bad", {})
    async with Worker(queue, work, concurrency=4, stalled_interval=0):
        await until(lambda: holds(redis, queue.keys.of("failed"), bad.id), within_s=WITHIN)
        await until(
            lambda: truth(any(isinstance(error, QueueStateError) for error in errors)), within_s=WITHIN
        )
        assert await redis.lrange(queue.keys.of("active"), 0, -1) != []
        await redis.delete(queue.keys.of("completed"))
        assert [await job.result(WITHIN) for job in good] == ["good"] * 3
    assert await queue.counts("completed", "failed", "active") == {"completed": 3, "failed": 1, "active": 0}


async def holds(redis: redis_asyncio.Redis, key: str, job_id: str) -> bool:
    return await redis.zscore(key, job_id) is not None


async def truth(value: bool) -> bool:
    return value


async def test_an_add_that_the_server_refuses_costs_no_other_add(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    # The marker of one debounced job is a list of somebody's.
    await redis.rpush(queue.keys.of("de:broken"), "somebody's")
    calls = [
        queue.add("n", {"n": n}, **({"debounce": Debounce("broken")} if n == 3 else {})) for n in range(8)
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, QueueStateError) for answer in answers] == [n == 3 for n in range(8)]
    assert [job.data["n"] for job in await queue.get_jobs("waiting", asc=True)] == [0, 1, 2, 4, 5, 6, 7]


async def test_a_retry_turned_into_cancelled_counts_as_a_failure(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job = await queue.add("n", {})
    await take(queue)
    await redis.hset(queue.keys.of("toril:cancelled"), job.id, "9" * 13)
    outcome = ("retry", job.id, await fence_of(queue, job.id), "no luck", "[]", 1, 0, 0, "")
    codes, *_ = await queue.scripts.run("advance", 60_000, 0, "", 15, 0, 0, *outcome)
    assert codes == [2]
    assert await redis.hget(queue.keys.of("metrics:failed"), "count") == "1"


async def test_retrying_all_says_when(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job = await queue.add("n", {})
    await take(queue)
    await fail(queue, job.id)
    await queue.retry_jobs()
    assert await redis.hexists(queue.keys.job(job.id), "retriedOn")
