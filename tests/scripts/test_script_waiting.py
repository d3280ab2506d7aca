"""How jobs come to wait: under what name that is told, and where a lifo job goes when it was delayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as redis_asyncio
from tests.support.steps import delay, fail, take
from tests.support.until import until

from toril.engine.queue import Queue

Told = list[tuple[str, str]]


@pytest.fixture
async def told(queue: Queue, redis: redis_asyncio.Redis) -> AsyncIterator[Told]:
    """(channel, job id) of every ``waiting`` of the queue; complete after ``heard``."""
    heard: Told = []
    async with redis.pubsub() as listener:
        await listener.psubscribe(queue.keys.of("waiting*"))

        async def listen() -> None:
            async for message in listener.listen():
                if message["type"] == "pmessage":
                    heard.append((message["channel"], message["data"]))

        task = asyncio.create_task(listen())
        yield heard
        task.cancel()


async def count(told: Told, number: int) -> Told:
    async def all_there() -> bool:
        return len(told) >= number

    await until(all_there)
    return told


async def due(queue: Queue, redis: redis_asyncio.Redis, job_id: str) -> None:
    """Let a delayed job be due since long ago."""
    await redis.zadd(queue.keys.of("delayed"), {job_id: 4096})


async def test_waiting_is_told_under_a_token_however_a_job_comes_to_wait(
    queue: Queue, redis: redis_asyncio.Redis, told: Told
) -> None:
    # Node stays silent about a message with an empty token.
    plain = await queue.add("n", {})
    urgent = await queue.add("n", {}, priority=1)
    (bulk,) = await queue.add_bulk([("n", {})])
    promoted = await queue.add("n", {}, delay=60)
    await promoted.promote()
    by_timer = await queue.add("n", {}, delay=60)
    await due(queue, redis, by_timer.id)
    await queue.scripts.run("promote_delayed")
    ids = [plain.id, urgent.id, bulk.id, promoted.id, by_timer.id]
    assert await take(queue, 1) == [urgent.id]
    await delay(queue, urgent.id, 60_000)
    await due(queue, redis, urgent.id)
    assert await take(queue, 2) == [urgent.id, plain.id]  # promoted on the way
    await fail(queue, plain.id)
    await plain.retry()
    heard = await count(told, 7)
    assert [job_id for _, job_id in heard] == [*ids, urgent.id, plain.id]
    assert {channel for channel, _ in heard} == {queue.keys.of(f"waiting@{queue.token}")}
    assert queue.token
    assert "@" not in queue.token


async def test_a_waiting_that_was_told_without_a_token_is_heard(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    events = queue.events()
    await queue.subscriber.ready()
    await redis.publish(queue.keys.of("waiting@"), "7")
    await redis.publish(queue.keys.of("waiting"), "8")
    async with asyncio.timeout(60):
        assert [(await anext(events)).job_id for _ in range(2)] == ["7", "8"]


@pytest.mark.parametrize("by", ["timer", "person", "worker"])
async def test_a_delayed_lifo_job_waits_behind_the_others(
    queue: Queue, redis: redis_asyncio.Redis, by: str
) -> None:
    # As in Bull: promotion knows priorities only.
    late = await queue.add("n", {}, delay=60, lifo=True)
    first = await queue.add("n", {})
    last = await queue.add("n", {}, lifo=True)
    if by == "person":
        await late.promote()
    else:
        await due(queue, redis, late.id)
        if by == "timer":
            await queue.scripts.run("promote_delayed")
    assert await take(queue, 3) == [last.id, first.id, late.id]
