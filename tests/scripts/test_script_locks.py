"""``renew_locks.lua``, ``move_stalled.lua`` and ``promote_delayed.lua`` alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.steps import fence_of, take

from toril.engine.options import Keep
from toril.engine.queue import Queue

#: Long enough that a second check within a test is one too early.
INTERVAL_MS = 60_000


async def check(
    queue: Queue, redis: redis_asyncio.Redis, *, max_stalled: int = 1
) -> tuple[list[str], list[str]]:
    """Run the check as if its interval had passed; returns (failed, stalled)."""
    await redis.delete(queue.keys.of("stalled-check"))
    failed, stalled, *_ = await queue.scripts.run("move_stalled", max_stalled, INTERVAL_MS)
    return [job_id.decode() for job_id in failed], [job_id.decode() for job_id in stalled]


async def abandoned(queue: Queue, redis: redis_asyncio.Redis, **options: Any) -> str:
    """A job whose worker is gone."""
    job = await queue.add("n", {}, **options)
    await take(queue)
    await redis.delete(queue.keys.lock(job.id))
    return job.id


async def test_renewing_lengthens_own_locks_and_shows_life(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await queue.add_bulk([("n", {}) for _ in range(3)])
    await take(queue, 3, lock_ms=1000)
    fences = [part for job_id in "123" for part in (job_id, await fence_of(queue, job_id))]
    await redis.set(queue.keys.lock("2"), "somebody else", px=1000)
    await redis.delete(queue.keys.lock("3"))
    await redis.hincrby(queue.keys.job("3"), "processedOn", 1)  # somebody started it since
    await redis.sadd(queue.keys.of("stalled"), "1", "2", "3")
    lost, cancelled = await queue.scripts.run("renew_locks", 50_000, *fences)
    assert (lost, cancelled) == ([b"2", b"3"], [])
    assert await redis.pttl(queue.keys.lock("1")) > 40_000
    assert await redis.pttl(queue.keys.lock("2")) <= 1000
    assert not await redis.exists(queue.keys.lock("3"))
    assert await redis.smembers(queue.keys.of("stalled")) == {"2", "3"}


async def test_renewing_tells_what_is_to_be_cancelled(queue: Queue) -> None:
    job = await queue.add("n", {})
    await take(queue)
    await job.cancel()
    assert await queue.scripts.run("renew_locks", 50_000, job.id, await fence_of(queue, job.id)) == [
        [],
        [job.id.encode()],
    ]


async def test_a_stall_takes_two_looks(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job_id = await abandoned(queue, redis)
    later = await queue.add("n", {})
    assert await check(queue, redis) == ([], [])
    assert await redis.smembers(queue.keys.of("stalled")) == {job_id}
    subscriber = redis.pubsub()
    await subscriber.psubscribe(f"{queue.keys.base}:stalled@*")
    await subscriber.get_message(timeout=5)
    assert await check(queue, redis) == ([], [job_id])
    message = await subscriber.get_message(ignore_subscribe_messages=True, timeout=5)
    assert message is not None
    assert (message["channel"], message["data"]) == (f"{queue.keys.base}:stalled@", job_id)
    await subscriber.aclose()
    assert await redis.lrange(queue.keys.of("wait"), 0, -1) == [later.id, job_id]
    stored = await redis.hgetall(queue.keys.job(job_id))
    assert stored["stalledCounter"] == "1"
    assert "attemptsMade" not in stored


async def test_a_locked_job_is_never_stalled(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await queue.add("n", {})
    await take(queue)
    for _ in range(3):
        assert await check(queue, redis) == ([], [])


async def test_a_second_check_within_the_interval_does_nothing(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job_id = await abandoned(queue, redis)
    await check(queue, redis)
    assert await queue.scripts.run("move_stalled", 1, INTERVAL_MS) == [[], [], [], [], []]
    assert await redis.lrange(queue.keys.of("active"), 0, -1) == [job_id]


async def test_too_many_stalls_fail_the_job_with_bulls_words(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job_id = await abandoned(queue, redis)
    await check(queue, redis)
    subscriber = redis.pubsub()
    await subscriber.subscribe(queue.keys.of("failed"))
    await subscriber.get_message(timeout=5)
    assert await check(queue, redis, max_stalled=0) == ([job_id], [])
    message = await subscriber.get_message(ignore_subscribe_messages=True, timeout=5)
    assert message is not None
    assert message["data"] == f'{{"jobId":"{job_id}", "val": "job stalled more than maxStalledCount"}}'
    await subscriber.aclose()
    stored = await redis.hgetall(queue.keys.job(job_id))
    assert stored["failedReason"] == "job stalled more than allowable limit"
    assert await redis.zscore(queue.keys.of("failed"), job_id) == float(stored["finishedOn"])


@pytest.mark.parametrize(
    ("keep", "left"),
    [(True, {"1", "2"}), (0, {"1", "2"}), (2, {"2", "3"}), (Keep(count=1), {"3"}), (False, {"1", "2", "3"})],
)
async def test_keep_policies_hold_for_stalled_jobs_too(
    queue: Queue, redis: redis_asyncio.Redis, keep: bool | int | Keep, left: set[str]
) -> None:
    for number in (1, 2):
        job = await queue.add("n", {})
        await redis.lrem(queue.keys.of("wait"), 0, job.id)
        await redis.zadd(queue.keys.of("failed"), {job.id: number})
    await abandoned(queue, redis, remove_on_fail=keep)
    await check(queue, redis)
    await check(queue, redis, max_stalled=0)
    assert set(await redis.zrange(queue.keys.of("failed"), 0, -1)) == left
    assert {job_id for job_id in "123" if await redis.exists(queue.keys.job(job_id))} == left


async def test_a_stalled_job_of_a_paused_queue_waits_there(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job_id = await abandoned(queue, redis)
    other = await queue.add("n", {})
    await queue.pause()
    await check(queue, redis)
    await check(queue, redis)
    assert await redis.lrange(queue.keys.of("paused"), 0, -1) == [other.id, job_id]


async def test_a_bad_hash_does_not_stop_the_check(queue: Queue, redis: redis_asyncio.Redis) -> None:
    ids = [await abandoned(queue, redis) for _ in range(3)]
    await redis.delete(queue.keys.job(ids[0]))
    await redis.hset(queue.keys.job(ids[1]), "opts", "][")
    await check(queue, redis)
    failed, _ = await check(queue, redis, max_stalled=0)
    assert set(failed) == {ids[1], ids[2]}
    assert not await redis.exists(queue.keys.job(ids[0]), queue.keys.of("active"))


async def test_due_jobs_are_promoted_in_order_a_thousand_at_a_time(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    jobs = await queue.add_bulk([("n", {}, {"delay": 3600}) for _ in range(1500)])
    pipe = redis.pipeline()
    for number, job in enumerate(jobs):
        pipe.zadd(queue.keys.of("delayed"), {job.id: 1000 * 4096 + number})
    await pipe.execute()
    moved, next_due, _ = await queue.scripts.run("promote_delayed")
    assert (moved, float(next_due)) == (1000, 1000 + 1000 / 4096)
    moved, next_due, _ = await queue.scripts.run("promote_delayed")
    assert (moved, next_due) == (500, None)
    order = await redis.lrange(queue.keys.of("wait"), 0, -1)
    assert order[::-1] == [job.id for job in jobs]
    assert await redis.hget(queue.keys.job("1"), "delay") == "0"


async def test_a_job_due_this_millisecond_waits_for_the_next(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    await queue.add("n", {}, delay=3600)
    seconds, micros = await redis.time()
    ahead = seconds * 1000 + micros // 1000 + 5000
    await redis.zadd(queue.keys.of("delayed"), {"1": ahead * 4096 + 1})
    moved, next_due, now = await queue.scripts.run("promote_delayed")
    assert moved == 0
    assert float(next_due) == pytest.approx(ahead + 1 / 4096)
    assert float(now) <= ahead


async def test_promotion_honours_priority_and_makes_no_ghosts(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    waiting = [(await queue.add("n", {}, priority=priority)).id for priority in (1, 3)]
    late = await queue.add("n", {}, delay=3600, priority=2)
    gone = await queue.add("n", {}, delay=3600)
    await redis.delete(queue.keys.job(gone.id))
    await redis.zadd(queue.keys.of("delayed"), {late.id: 1, gone.id: 2})
    await queue.scripts.run("promote_delayed")
    assert await redis.lrange(queue.keys.of("wait"), 0, -1) == [waiting[1], late.id, waiting[0]]
    assert not await redis.exists(queue.keys.job(gone.id), queue.keys.of("delayed"))
    stored = json.loads(await redis.hget(queue.keys.job(late.id), "opts") or "")
    assert stored["delay"] == 3_600_000


async def test_a_check_that_was_held_up_on_its_way_moves_nothing(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job_id = await abandoned(queue, redis)
    await check(queue, redis)
    seconds, _ = await redis.time()
    await redis.delete(queue.keys.of("stalled-check"))
    late = f"{INTERVAL_MS} {(int(seconds) - 5) * 1000}"
    _, stalled, *_ = await queue.scripts.run("move_stalled", 1, late)
    assert stalled == []
    assert await redis.lrange(queue.keys.of("active"), 0, -1) == [job_id]
