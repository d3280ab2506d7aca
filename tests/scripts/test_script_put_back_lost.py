"""``put_back_lost.lua``, and what ``advance.lua`` makes of a claim that came too late."""

from __future__ import annotations

import pytest
import redis.asyncio as redis_asyncio
from tests.support.steps import LOCK_MS, complete, fence_of, take
from tests.support.until import past

from toril.engine.queue import Queue
from toril.engine.scripts.loader import load


async def look(queue: Queue, *seen: str, since: int | str = "") -> tuple[list[str], list[str]]:
    suspects, put_back = await queue.scripts.run("put_back_lost", since, *seen)
    return [job_id.decode() for job_id in suspects], [job_id.decode() for job_id in put_back]


async def moved(queue: Queue, redis: redis_asyncio.Redis) -> str:
    """Move the next job to active as a blocking call does: without a lock."""
    return str(await redis.lmove(queue.keys.of("wait"), queue.keys.of("active"), "RIGHT", "LEFT"))


async def claim(queue: Queue, *ids: str, want: int = 1) -> list[str]:
    _, jobs, *_ = await queue.scripts.run("advance", LOCK_MS, want, "", 0, 0, len(ids), *ids)
    return [job[11].decode() for job in jobs]


async def test_a_job_without_a_lock_is_put_back_at_the_second_look(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    first, second = await queue.add_bulk([("n", 1), ("n", 2)])
    assert await moved(queue, redis) == first.id
    assert await look(queue) == ([first.id], [])
    assert await look(queue, first.id) == ([], [first.id])
    assert await take(queue, 2) == [first.id, second.id], "it is next again"


async def test_a_lost_job_of_a_paused_queue_waits_with_the_others(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job = await queue.add("n", {}, priority=2)
    await moved(queue, redis)
    await queue.pause()
    assert await look(queue, job.id) == ([], [job.id])
    assert await job.state() == "paused"
    await queue.resume()
    assert await take(queue) == [job.id]


async def test_a_running_job_is_left_alone(queue: Queue) -> None:
    job = await queue.add("n", {})
    await take(queue)
    assert await look(queue, job.id) == ([], [])
    assert await job.state() == "active"


@pytest.mark.parametrize("attempt", [1, 2])
async def test_a_job_that_was_started_is_left_alone_when_its_lock_has_run_out(
    queue: Queue, redis: redis_asyncio.Redis, attempt: int
) -> None:
    job = await queue.add("n", {}, attempts=2)
    await take(queue)
    if attempt == 2:
        await again(queue, redis, job.id, "retried")
        await take(queue)
    await redis.delete(queue.keys.lock(job.id))
    assert await look(queue) == ([], [])
    assert await look(queue, job.id) == ([], [])
    await redis.sadd(queue.keys.of("stalled"), job.id)
    assert await look(queue, job.id) == ([], [])
    assert await job.state() == "active"


async def test_a_job_started_in_an_answer_that_got_lost_is_put_back_without_a_stall(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    jobs = await queue.add_bulk([("n", {}), ("n", {}), ("n", {})])
    await take(queue)  # by somebody, before
    started = int(await redis.hget(queue.keys.job(jobs[0].id), "processedOn") or 0)
    await past(started)
    assert await take(queue, 2) == [jobs[1].id, jobs[2].id]
    await redis.delete(queue.keys.lock(jobs[0].id), queue.keys.lock(jobs[1].id))
    await redis.sadd(queue.keys.of("stalled"), jobs[1].id)
    assert await look(queue, jobs[1].id) == ([], [])
    assert await look(queue, since=started + 1) == ([jobs[1].id], [])
    assert await look(queue, jobs[1].id, since=started + 1) == ([], [jobs[1].id])
    assert await moved(queue, redis) == jobs[1].id, "it counts as not started"
    assert await look(queue, jobs[1].id) == ([], [jobs[1].id])
    found = await queue.get_job(jobs[1].id)
    assert found is not None
    assert found.stalled_counter == 0


async def again(queue: Queue, redis: redis_asyncio.Redis, job_id: str, how: str) -> None:
    """End an attempt so that the job waits for another one."""
    await past(float(await redis.hget(queue.keys.job(job_id), "processedOn") or 0))
    if how == "stalled":
        await redis.delete(queue.keys.lock(job_id))
        await redis.sadd(queue.keys.of("stalled"), job_id)
        await queue.scripts.run("move_stalled", 9, 1, queue.name)
        return
    verb, arguments = {
        "retried": ("retry", ("no luck", "[]", 1, 0, 0, "")),
        "delayed": ("delay", ("no luck", "[]", 1, 0, "", "")),
        "handed back": ("return", ("", "", "", "", 0, "")),
    }[how]
    outcome = (verb, job_id, await fence_of(queue, job_id), *arguments)
    codes, *_ = await queue.scripts.run("advance", LOCK_MS, 0, "", 0, 0, 0, *outcome)
    assert codes == [0]
    if how == "delayed":
        await queue.promote_jobs()


@pytest.mark.parametrize("how", ["retried", "delayed", "handed back", "stalled"])
async def test_a_job_that_is_to_be_run_again_is_put_back_like_a_new_one(
    queue: Queue, redis: redis_asyncio.Redis, how: str
) -> None:
    job = await queue.add("n", {}, attempts=3)
    await take(queue)
    await again(queue, redis, job.id, how)
    assert await moved(queue, redis) == job.id
    assert await look(queue) == ([job.id], [])
    assert await look(queue, job.id) == ([], [job.id])
    assert await take(queue) == [job.id]


async def test_a_late_claim_is_not_run_beside_an_attempt_that_gets_its_lock_back(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    """Its blocking call was answered late: the job was put back, and started, and that attempt's lock ran out."""
    job = await queue.add("n", {})
    await moved(queue, redis)
    await look(queue, job.id)
    async with Queue(queue.name, url=queue.server._url, prefix=queue.keys.prefix) as other:
        assert await take(other, lock_ms=1) == [job.id]
        started = await redis.hget(queue.keys.job(job.id), "processedOn") or ""
        await past(float(started) + 5)
        assert not await redis.exists(queue.keys.lock(job.id))
        _, jobs, *_ = await queue.scripts.run("advance", 1, 1, "", 0, 0, "1 60000", job.id)
        assert jobs == []
        fence = f"{other.token}:{started}000"  # any of that millisecond will do
        assert await other.scripts.run("renew_locks", LOCK_MS, job.id, fence) == [[], []]


@pytest.mark.parametrize(
    ("lock_ms", "called_ago", "why"),
    [(1, 1, "it was started before our call moved it"), (LOCK_MS, LOCK_MS, "no lock has run out since")],
)
async def test_a_late_claim_of_a_job_that_was_started_and_came_back_is_run(
    queue: Queue, redis: redis_asyncio.Redis, lock_ms: int, called_ago: int, why: str
) -> None:
    """Node puts a job back without a note of it."""
    job = await queue.add("n", {})
    await take(queue)
    started = await redis.hget(queue.keys.job(job.id), "processedOn") or ""
    await redis.delete(queue.keys.lock(job.id))
    await redis.lmove(queue.keys.of("active"), queue.keys.of("wait"), "LEFT", "RIGHT")
    await past(float(started) + 2)
    assert await moved(queue, redis) == job.id
    _, taken, *_ = await queue.scripts.run("advance", lock_ms, 1, "", 0, 0, f"1 {called_ago}", job.id)
    assert [row[11].decode() for row in taken] == [job.id], why


async def test_notes_of_what_was_put_back_are_bounded(queue: Queue, redis: redis_asyncio.Redis) -> None:
    notes = queue.keys.of("toril:requeued")
    await redis.zadd(notes, {f"old-{number}": number for number in range(10_100)})
    job = await queue.add("n", {})
    await take(queue)
    await again(queue, redis, job.id, "handed back")
    assert await redis.zcard(notes) == 10_000
    assert await redis.zscore(notes, job.id) is not None, "the newest stay"


async def test_a_job_put_back_in_the_millisecond_of_its_start_is_not_noted(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    """The next start may fall into the same one, and would look as if it had not been."""
    job = await queue.add("n", {}, attempts=2)
    await take(queue)
    fence = await fence_of(queue, job.id)
    micros = fence.rpartition(":")[2]
    stopped = f"""
local server = redis
local redis = setmetatable({{}}, {{__index = server}})
redis.call = function(name, ...)
  if name == 'TIME' then return {{'{micros[:-6]}', '{micros[-6:]}'}} end
  return server.call(name, ...)
end
"""
    keys = queue.keys.script_keys
    outcome = ("retry", job.id, fence, "no luck", "[]", 1, 0, 0, "")
    head = (f"{queue.keys.base}:", queue.token, LOCK_MS, 0, "", 0, 0, 0)
    reply = await redis.eval(stopped + load("advance").source, len(keys), *keys, *head, *outcome)
    assert reply[0] == [0]
    assert await redis.zscore(queue.keys.of("toril:requeued"), job.id) is None


async def test_a_late_claim_of_a_job_that_nobody_started_is_run(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    jobs = await queue.add_bulk([("n", {}), ("n", {}, {"attempts": 2})])
    await take(queue, 2)
    for job in jobs:
        await again(queue, redis, job.id, "handed back")
        assert await moved(queue, redis) == job.id
        _, taken, *_ = await queue.scripts.run("advance", 1, 1, "", 0, 0, "1 60000", job.id)
        assert [row[11].decode() for row in taken] == [job.id]


async def test_an_id_without_a_job_leaves(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await redis.lpush(queue.keys.of("active"), "ghost")
    assert await look(queue, "ghost") == ([], ["ghost"])
    assert await take(queue) == []
    assert (await queue.counts("active", "waiting")) == {"active": 0, "waiting": 0}


async def test_a_claim_that_came_too_late_is_not_run(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job = await queue.add("n", {})
    await moved(queue, redis)
    await look(queue, job.id)
    assert await claim(queue, job.id, want=0) == []  # waits again: it is not in active
    async with Queue(queue.name, url=queue.server._url, prefix=queue.keys.prefix) as other:
        assert await take(other) == [job.id]
        assert await claim(queue, job.id) == [], "the other worker runs it"
        assert (await redis.get(queue.keys.lock(job.id))).startswith(f"{other.token}:")
        assert await complete(other, job.id) == 0
    assert await claim(queue, job.id) == [], "it has finished"
    assert await job.state() == "completed"


@pytest.mark.parametrize("priority", [0, 4])
async def test_a_claim_whose_answer_got_lost_can_be_made_again(
    queue: Queue, redis: redis_asyncio.Redis, priority: int
) -> None:
    job = await queue.add("n", {}, priority=priority)
    await moved(queue, redis)
    assert await claim(queue, job.id) == [job.id]
    assert await claim(queue, job.id) == [job.id]
    assert await complete(queue, job.id) == 0


async def test_a_wish_to_cancel_outlives_a_lost_answer(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job = await queue.add("n", {})
    await moved(queue, redis)
    await job.cancel()
    for _ in range(2):  # the first answer got lost
        _, jobs, *_ = await queue.scripts.run("advance", LOCK_MS, 1, "", 0, 0, 1, job.id)
        assert [(taken[11].decode(), taken[13]) for taken in jobs] == [(job.id, b"1")]
    # Or it is taken up again by its lock, and its worker told at the next renewal.
    assert [taken[11].decode() for taken in await queue.scripts.run("reclaim")] == [job.id]
    assert await queue.scripts.run("renew_locks", LOCK_MS, job.id, await fence_of(queue, job.id)) == [
        [],
        [job.id.encode()],
    ]
    assert await complete(queue, job.id) == 0
    assert not await redis.exists(queue.keys.of("toril:cancelled"))
