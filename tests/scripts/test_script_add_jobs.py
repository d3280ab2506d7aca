"""``add_jobs.lua`` alone: what it writes, in what order, and that a repeated call changes nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import redis.asyncio as redis_asyncio

from toril.engine.encoding import encode_group
from toril.engine.options import Debounce
from toril.engine.queue import Queue


async def add(queue: Queue, *jobs: tuple[str, str, str], request: int = 0, **bull: Any) -> list[Any]:
    """One call with one option group; jobs are (name, data, id)."""
    rows = [part for job in jobs for part in (1, *job)]
    reply: list[Any] = await queue.scripts.run("add_jobs", request, 1, *encode_group(bull), *rows)
    return [int(reply[0]), int(reply[1]), *(job_id.decode() for job_id in reply[2 : 2 + len(jobs)])]


async def listen(redis: redis_asyncio.Redis, pattern: str) -> redis_asyncio.client.PubSub:
    subscriber = redis.pubsub()
    await subscriber.psubscribe(pattern)
    await subscriber.get_message(timeout=5)
    return subscriber


async def heard(subscriber: redis_asyncio.client.PubSub, count: int) -> list[tuple[str, str]]:
    messages = []
    async with asyncio.timeout(60):
        while len(messages) < count:
            if message := await subscriber.get_message(ignore_subscribe_messages=True, timeout=1):
                messages.append((message["channel"], message["data"]))
    await subscriber.aclose()
    return messages


async def test_the_hash_is_bulls(queue: Queue, redis: redis_asyncio.Redis) -> None:
    left, now, job_id = await add(queue, ("greet", '{"a":1}', ""), attempts=3)
    stored = await redis.hgetall(queue.keys.job(job_id))
    assert left == 0
    assert {name: stored[name] for name in ("name", "data", "timestamp", "delay", "priority")} == {
        "name": "greet", "data": '{"a":1}', "timestamp": str(now), "delay": "0", "priority": "0",
    }  # fmt: skip
    assert json.loads(stored["opts"]) == {"attempts": 3, "delay": 0, "timestamp": now}
    assert stored.keys() == {"name", "data", "opts", "timestamp", "delay", "priority"}


async def test_ids_count_up_and_every_add_takes_one(queue: Queue, redis: redis_asyncio.Redis) -> None:
    assert (await add(queue, ("n", "1", ""), ("n", "2", "mine"), ("n", "3", ""), ("n", "4", "mine")))[2:] == [
        "1", "mine", "3", "mine",
    ]  # fmt: skip
    assert await redis.get(queue.keys.of("id")) == "4"
    assert await redis.hget(queue.keys.job("mine"), "data") == "2"
    assert await redis.lrange(queue.keys.of("wait"), 0, -1) == ["3", "mine", "1"]


async def test_the_counter_steps_over_numbers_somebody_chose(queue: Queue) -> None:
    # Numbers 1 to 3 are set aside; 2 is taken, so that job gets the next free one.
    assert (await add(queue, ("n", "1", "2"), ("n", "2", ""), ("n", "3", "")))[2:] == ["2", "4", "3"]
    assert (await add(queue, ("n", "1", "6")))[2:] == ["6"]  # took number 5
    assert (await add(queue, ("n", "1", ""), ("n", "1", "")))[2:] == ["8", "7"]


async def test_delayed_jobs_are_scored_by_due_time_and_counter(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    subscriber = await listen(redis, f"{queue.keys.base}:*")
    _, _, job_id = await add(queue, ("n", "{}", ""), delay=600, timestamp=1795485706245)
    # due 1795485706845 with the counter's 1 in the low bits
    assert await redis.zscore(queue.keys.of("delayed"), job_id) == 1795485706845 * 4096 + 1
    assert await heard(subscriber, 1) == [(queue.keys.of("delayed"), "1795485706845")]
    assert not await redis.exists(queue.keys.of("wait"))


async def test_waiting_jobs_are_announced_with_the_callers_token(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    subscriber = await listen(redis, f"{queue.keys.base}:*")
    await add(queue, ("n", "{}", ""), ("n", "{}", "x"), ("n", "{}", "x"))
    assert await heard(subscriber, 3) == [
        (f"{queue.keys.base}:waiting@{queue.token}", "1"),
        (f"{queue.keys.base}:waiting@{queue.token}", "x"),
        (f"{queue.keys.base}:duplicated@{queue.token}", "x"),
    ]


async def test_a_paused_queue_takes_jobs_in_its_other_list(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await redis.set(queue.keys.of("meta-paused"), 1)
    await add(queue, ("n", "{}", ""))
    await add(queue, ("n", "{}", ""), lifo=True)
    await add(queue, ("n", "{}", ""), priority=1)
    # The second is lifo at the right end; one prioritised before it counts from there, as in Bull.
    assert await redis.lrange(queue.keys.of("paused"), 0, -1) == ["1", "2", "3"]
    assert not await redis.exists(queue.keys.of("wait"))


@pytest.mark.parametrize(
    ("adds", "order"),
    [
        (
            [("n1", 0), ("p5", 5), ("p1", 1), ("p5b", 5), ("n2", 0), ("p3", 3)],
            ["n2", "n1", "p5b", "p5", "p3", "p1"],
        ),
        ([("1", 3), ("2", 3), ("3", 2), ("4", 1)], ["2", "1", "3", "4"]),
    ],
)
async def test_priorities_stand_where_bull_puts_them(
    queue: Queue, redis: redis_asyncio.Redis, adds: list[tuple[str, int]], order: list[str]
) -> None:
    for job_id, priority in adds:
        await add(queue, ("n", "{}", job_id), priority=priority)
    assert await redis.lrange(queue.keys.of("wait"), 0, -1) == order
    assert dict(await redis.zrange(queue.keys.of("priority"), 0, -1, withscores=True)) == {
        job_id: priority for job_id, priority in adds if priority
    }


async def test_a_debounced_add_returns_the_job_that_is_there(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    first = await add(queue, ("n", "1", ""), debounce=Debounce("d", 60).to_bull())
    second = await add(queue, ("n", "2", ""), debounce=Debounce("d", 60).to_bull())
    assert first[2] == second[2] == "1"
    assert await redis.hget(queue.keys.job("1"), "deid") == "d"
    assert not await redis.exists(queue.keys.job("2"))
    assert await redis.get(queue.keys.of("id")) == "2"
    assert 0 < await redis.pttl(queue.keys.of("de:d")) <= 60_000


async def test_a_call_that_comes_twice_is_answered_and_not_done_again(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    first = await add(queue, ("n", "1", ""), ("n", "2", ""), request=7)
    again = await add(queue, ("n", "1", ""), ("n", "2", ""), request=7)
    assert first == again
    assert await redis.llen(queue.keys.of("wait")) == 2
    assert (await add(queue, ("n", "3", ""), request=8))[2:] == ["3"]


async def test_what_is_remembered_of_a_producer_goes_by_itself(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    await add(queue, ("n", "1", ""), request=1)
    assert 0 < await redis.pttl(queue.keys.of(f"toril:producers:{queue.token}")) <= 86_400_000
    assert not await redis.exists(queue.keys.of("toril:producers"))


async def test_expiry_is_counted_from_the_servers_time(queue: Queue, redis: redis_asyncio.Redis) -> None:
    _, now, job_id = await add(queue, ("n", "{}", ""), expiresIn=5000)
    opts = json.loads(await redis.hget(queue.keys.job(job_id), "opts") or "")
    assert opts["expiresAt"] == now + 5000
