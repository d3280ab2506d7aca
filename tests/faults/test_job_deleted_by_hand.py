"""Somebody deletes a job's hash while it runs, and perhaps adds another one with the same id."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.steps import LOCK_MS, complete, fence_of, take
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker

WITHIN = 60.0


async def check_stalled(queue: Queue, redis: redis_asyncio.Redis) -> Any:
    """Both passes of the check, with no stall tolerated: ids that failed, stalled, were dropped."""
    for _ in range(2):
        await redis.delete(queue.keys.of("stalled-check"))
        found = await queue.scripts.run("move_stalled", 0, LOCK_MS, queue.name)
    return found[:3]


async def test_the_end_of_a_deleted_job_leaves_nothing_behind(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job = await queue.add("n", {})
    await take(queue)
    await redis.delete(queue.keys.job(job.id))
    assert await complete(queue, job.id) == -1
    assert not await redis.exists(queue.keys.of("active"), queue.keys.lock(job.id), queue.keys.job(job.id))


@pytest.mark.parametrize("who", ["the same worker", "another worker, which waits for it"])
async def test_what_a_deleted_job_returns_is_not_the_next_ones(
    queue: Queue, redis: redis_asyncio.Redis, who: str
) -> None:
    await queue.add("n", "first", job_id="a")
    await take(queue)
    fence = await fence_of(queue, "a")
    await redis.delete(queue.keys.job("a"))
    await queue.add("n", "second", job_id="a")
    async with Queue(queue.name, url=queue.server._url, prefix=queue.keys.prefix) as other:
        if who != "the same worker":
            await redis.lmove(queue.keys.of("wait"), queue.keys.of("active"), "RIGHT", "LEFT")
        outcome = ("complete", "a", fence, '"first"', "", "", -1, -1, "")
        codes, *_ = await queue.scripts.run("advance", LOCK_MS, 0, "", 0, 0, 0, *outcome)
        assert codes == [-2]
        assert await redis.hget(queue.keys.job("a"), "returnvalue") is None
        claims = [0] if who == "the same worker" else [1, "a"]
        runner = queue if who == "the same worker" else other
        _, taken, *_ = await runner.scripts.run("advance", LOCK_MS, 1, "", 0, 0, *claims)
        assert [(row[11], row[1]) for row in taken] == [(b"a", b'"second"')]
        assert await complete(runner, "a", "second") == 0
        assert not await redis.exists(queue.keys.of("active"), queue.keys.of("wait"))


async def test_a_claim_is_not_kept_from_a_job_by_the_lock_of_a_deleted_one(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    """Whose run is told to stop at its next renewal."""
    await queue.add("n", "first", job_id="a")
    await take(queue)
    fence = await fence_of(queue, "a")
    await redis.delete(queue.keys.job("a"))
    await queue.add("n", "second", job_id="a")
    assert await queue.scripts.run("renew_locks", LOCK_MS, "a", fence) == [[b"a"], []]
    await redis.lmove(queue.keys.of("wait"), queue.keys.of("active"), "RIGHT", "LEFT")
    async with Queue(queue.name, url=queue.server._url, prefix=queue.keys.prefix) as other:
        _, taken, *_ = await other.scripts.run("advance", LOCK_MS, 1, "", 0, 0, 1, "a")
        assert [row[1] for row in taken] == [b'"second"']


async def test_a_running_job_that_lost_its_times_alone_is_still_that_job(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    """Which tools delete that would retry it; what they leave is no other job."""
    job = await queue.add("n", {})
    await take(queue)
    fence = await fence_of(queue, job.id)
    await redis.hdel(queue.keys.job(job.id), "processedOn", "finishedOn", "failedReason")
    assert await queue.scripts.run("renew_locks", LOCK_MS, job.id, fence) == [[], []]
    assert await queue.scripts.run("put_back_lost", 1, job.id) == [[], []]
    assert await complete(queue, job.id, "kept") == 0
    assert await job.result(0) == "kept"


@pytest.mark.parametrize("state", ["completed", "failed"])
async def test_a_finished_job_is_not_run_again_for_a_place_that_a_deleted_one_left(
    queue: Queue, redis: redis_asyncio.Redis, state: str
) -> None:
    job = await queue.add("n", {})
    await take(queue)
    assert await complete(queue, job.id, 1) == 0
    if state == "failed":
        await redis.rename(queue.keys.of("completed"), queue.keys.of("failed"))
    await redis.lpush(queue.keys.of("active"), job.id)
    assert await queue.scripts.run("put_back_lost", 1, job.id) == [[], []]
    assert await check_stalled(queue, redis) == [[], [], [job.id.encode()]]
    assert await job.state() == state
    assert not await redis.exists(queue.keys.of("active"), queue.keys.of("wait"))
    assert await redis.hget(queue.keys.job(job.id), "returnvalue") == "1"


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_job_added_again_while_its_deleted_namesake_runs_runs_once(
    queue: Queue, redis: redis_asyncio.Redis, concurrency: int
) -> None:
    go, ran = asyncio.Event(), list[str]()

    async def work(job: Job[Any]) -> str:
        ran.append(job.data)
        if job.data == "first":
            await go.wait()
        return job.data

    async def places_are_left() -> bool:
        return not await redis.exists(queue.keys.of("active"), queue.keys.of("wait"))

    async with Worker(queue, work, concurrency=concurrency, lock_duration=1, stalled_interval=0.1):
        await queue.add("n", "first", job_id="a")
        await until(lambda: _is(ran == ["first"]), within_s=WITHIN)
        await redis.delete(queue.keys.job("a"))
        job = await queue.add("n", "second", job_id="a")
        if concurrency > 1:
            await until(lambda: _is(ran == ["first", "second"]), within_s=WITHIN)
        go.set()
        assert await job.result(WITHIN) == "second"
        await until(places_are_left, within_s=WITHIN)
        assert await job.result(0) == "second"
    assert ran == ["first", "second"]


async def _is(value: bool) -> bool:
    return value
