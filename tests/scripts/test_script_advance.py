"""``advance.lua`` and its kin alone: codes, places and payloads, as Bull's."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.steps import LOCK_MS, complete, delay, fail, fence_of, take

from toril.engine.queue import Queue


async def outcome(queue: Queue, verb: str, job_id: str, *arguments: Any, resent: int = 0) -> int:
    fence = f"{'-' * resent}{await fence_of(queue, job_id)}"
    codes, *_ = await queue.scripts.run("advance", LOCK_MS, 0, "", 0, 0, 0, verb, job_id, fence, *arguments)
    return int(codes[0])


async def test_taking_locks_marks_and_reads(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job = await queue.add("greet", {"a": 1}, priority=2)
    await redis.sadd(queue.keys.of("stalled"), job.id)
    reply = await queue.scripts.run("advance", 5000, 3, "", 0, 0, 0)
    fields = reply[1][0]
    assert (fields[0], fields[1], fields[11]) == (b"greet", b'{"a":1}', job.id.encode())
    lock = await redis.get(queue.keys.lock(job.id))
    assert lock == reply[7].decode()
    assert lock.startswith(f"{queue.token}:")
    assert 0 < await redis.pttl(queue.keys.lock(job.id)) <= 5000
    assert await redis.lrange(queue.keys.of("active"), 0, -1) == [job.id]
    assert await redis.hget(queue.keys.job(job.id), "processedOn") == fields[12].decode()
    assert not await redis.exists(queue.keys.of("priority"), queue.keys.of("wait"))


async def test_the_newest_taken_is_at_the_left_of_active(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await queue.add_bulk([("n", {}) for _ in range(5)])
    assert await take(queue, 3) == ["1", "2", "3"]
    assert await redis.lrange(queue.keys.of("active"), 0, -1) == ["3", "2", "1"]


async def test_a_claim_is_taken_with_the_rest(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await queue.add_bulk([("n", {}) for _ in range(3)])
    claimed = await redis.lmove(queue.keys.of("wait"), queue.keys.of("active"), "RIGHT", "LEFT")
    reply = await queue.scripts.run("advance", 5000, 2, "", 0, 0, 1, claimed)
    assert [fields[11] for fields in reply[1]] == [b"1", b"2"]
    assert await redis.get(queue.keys.lock("1")) == reply[7].decode()


async def test_nothing_is_taken_from_a_paused_queue(queue: Queue) -> None:
    await queue.add("n", {})
    await queue.pause()
    reply = await queue.scripts.run("advance", 5000, 2, "", 0, 0, 0)
    assert (reply[1], reply[5]) == ([], 1)


async def test_completing_stores_publishes_and_frees(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job = await queue.add("n", {})
    await take(queue)
    await redis.sadd(queue.keys.of("stalled"), job.id)
    subscriber = redis.pubsub()
    await subscriber.subscribe(queue.keys.of("completed"))
    await subscriber.get_message(timeout=5)
    assert await complete(queue, job.id, {"ok": 'a "quoted" word'}) == 0
    message = await subscriber.get_message(ignore_subscribe_messages=True, timeout=5)
    assert message is not None
    # The value is JSON within JSON, as Node wants it.
    assert json.loads(json.loads(message["data"])["val"]) == {"ok": 'a "quoted" word'}
    assert json.loads(message["data"])["jobId"] == job.id
    stored = await redis.hgetall(queue.keys.job(job.id))
    assert await redis.zscore(queue.keys.of("completed"), job.id) == float(stored["finishedOn"])
    assert not await redis.exists(queue.keys.lock(job.id), queue.keys.of("active"), queue.keys.of("stalled"))
    await subscriber.aclose()


async def test_outcomes_need_the_lock_and_the_active_list(queue: Queue, redis: redis_asyncio.Redis) -> None:
    gone, unlocked, foreign, moved = [(await queue.add("n", {})).id for _ in range(4)]
    await take(queue, 4)
    await redis.delete(queue.keys.job(gone))
    await redis.delete(queue.keys.lock(unlocked))
    await redis.set(queue.keys.lock(foreign), "somebody else")
    await redis.lrem(queue.keys.of("active"), 0, moved)
    codes = [await complete(queue, job_id) for job_id in (gone, unlocked, foreign, moved)]
    assert codes == [-1, -2, -6, -3]
    assert await redis.get(queue.keys.lock(foreign)) == "somebody else"
    assert not await redis.exists(queue.keys.lock(moved)), (
        "the lock goes before the list is looked at, as in Bull"
    )
    assert not await redis.exists(queue.keys.of("completed"), queue.keys.job(gone))
    assert set(await redis.lrange(queue.keys.of("active"), 0, -1)) == {unlocked, foreign}


async def test_an_outcome_sent_again_is_known(queue: Queue) -> None:
    kept, removed, retried = [(await queue.add("n", {})).id for _ in range(3)]
    await take(queue, 3)
    await complete(queue, kept)
    await complete(queue, removed, keep=0)
    retry = ("no luck", "[]", 1, 0, 0, "")
    assert await outcome(queue, "retry", retried, *retry) == 0
    done = ("null", "", "", -1, -1, "")
    assert await outcome(queue, "complete", kept, *done, resent=1) == 1
    assert await outcome(queue, "complete", removed, *done, resent=1) == 1
    assert await outcome(queue, "retry", retried, *retry, resent=1) == 1
    assert await outcome(queue, "complete", kept, *done) == -2


async def test_failing_for_good_stores_bulls_fields(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job = await queue.add("n", {})
    await take(queue)
    await fail(queue, job.id, "broken", attempts=2)
    stored = await redis.hgetall(queue.keys.job(job.id))
    assert (stored["failedReason"], stored["attemptsMade"]) == ("broken", "2")
    assert json.loads(stored["stacktrace"]) == ["broken"]
    assert await redis.zscore(queue.keys.of("failed"), job.id) == float(stored["finishedOn"])


async def test_a_retry_goes_to_the_back_or_to_its_priority(queue: Queue, redis: redis_asyncio.Redis) -> None:
    plain = await queue.add("n", {})
    urgent = await queue.add("n", {}, priority=1)
    await take(queue, 2)
    others = [(await queue.add("n", {}, priority=priority)).id for priority in (0, 1)]
    for job_id, priority in ((plain.id, 0), (urgent.id, 1)):
        assert await outcome(queue, "retry", job_id, "no luck", "[]", 1, 0, priority, "") == 0
    assert await redis.lrange(queue.keys.of("wait"), 0, -1) == [plain.id, others[0], urgent.id, others[1]]
    assert await redis.zscore(queue.keys.of("priority"), urgent.id) == 1


@pytest.mark.parametrize(("job_id", "low_bits"), [("5000", 904), ("abc", 0)])
async def test_a_backoff_is_scored_with_the_ids_low_bits(
    queue: Queue, redis: redis_asyncio.Redis, job_id: str, low_bits: int
) -> None:
    await queue.add("n", {}, job_id=job_id)
    await take(queue)
    await delay(queue, job_id, 60_000)
    score = int(await redis.zscore(queue.keys.of("delayed"), job_id) or 0)
    assert score % 4096 == low_bits
    seconds, micros = await redis.time()
    assert abs(score // 4096 - 60_000 - (seconds * 1000 + micros // 1000)) < 2000


async def test_a_job_handed_back_runs_next(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await queue.add_bulk([("n", {}) for _ in range(3)])
    await take(queue)
    assert await outcome(queue, "return", "1", "", "", "", "", 0, "") == 0
    assert await take(queue, 3) == ["1", "2", "3"]
    assert "attemptsMade" not in await redis.hgetall(queue.keys.job("1"))


async def test_equal_policies_trim_once_and_others_in_their_order(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    ids = [job.id for job in await queue.add_bulk([("n", {}) for _ in range(6)])]
    await take(queue, 6)
    rows = []
    for job_id, keep in zip(ids, (-1, -1, 2, 2, -1, 0), strict=True):
        rows += ["complete", job_id, await fence_of(queue, job_id), "null", "", "", keep, -1, ""]
    codes, *_ = await queue.scripts.run("advance", LOCK_MS, 0, "", 0, 0, 0, *rows)
    assert codes == [0] * 6
    # The policies of 3 and 4 leave these two; 5 keeps all; 6 removes itself.
    assert await redis.zrange(queue.keys.of("completed"), 0, -1) == ids[2:5]
    assert [await redis.exists(queue.keys.job(job_id)) for job_id in ids] == [0, 0, 1, 1, 1, 0]


async def test_an_age_is_seconds(queue: Queue, redis: redis_asyncio.Redis) -> None:
    jobs = await queue.add_bulk([("n", {}) for _ in range(3)])
    await take(queue, 3)
    await complete(queue, jobs[0].id)
    await complete(queue, jobs[1].id)
    await redis.zincrby(queue.keys.of("completed"), -8000, jobs[0].id)
    await outcome(queue, "complete", jobs[2].id, "null", "", "", -1, 7, "")
    assert await redis.zrange(queue.keys.of("completed"), 0, -1) == [jobs[1].id, jobs[2].id]


async def test_metrics_count_by_the_minute(queue: Queue, redis: redis_asyncio.Redis) -> None:
    jobs = await queue.add_bulk([("n", {}) for _ in range(4)])
    await take(queue, 4)
    for job in jobs[:3]:
        await complete(queue, job.id, metrics=15)
    key = queue.keys.of("metrics:completed")
    # Three minutes pass.
    await redis.hincrby(key, "prevTS", -180_000)
    await complete(queue, jobs[3].id, metrics=15)
    assert await redis.lrange(f"{key}:data", 0, -1) == ["0", "0", "3"]
    assert {name: await redis.hget(key, name) for name in ("count", "prevCount")} == {
        "count": "4",
        "prevCount": "3",
    }


async def test_drained_is_said_once_when_asked(queue: Queue, redis: redis_asyncio.Redis) -> None:
    subscriber = redis.pubsub()
    await subscriber.subscribe(queue.keys.of("drained"))
    await subscriber.get_message(timeout=5)
    await queue.scripts.run("advance", LOCK_MS, 1, "", 0, 0, 0)
    await queue.scripts.run("advance", LOCK_MS, 1, "", 0, 1, 0)
    message = await subscriber.get_message(ignore_subscribe_messages=True, timeout=5)
    assert message is not None
    assert message["data"] == ""
    assert await subscriber.get_message(ignore_subscribe_messages=True, timeout=0.05) is None
    await subscriber.aclose()


async def test_reclaiming_finds_locked_jobs_nobody_knows_of(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await queue.add_bulk([("n", {"k": number}) for number in range(4)])
    await take(queue, 3)
    await redis.set(queue.keys.lock("3"), "somebody else")
    found = await queue.scripts.run("reclaim", "1", await fence_of(queue, "1"))
    assert [(job[11], job[1]) for job in found] == [(b"2", b'{"k":1}')]
