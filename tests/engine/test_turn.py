"""Turns at an outside service, in a line that all workers of a queue share."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.until import until

from toril import PostponedError
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.errors import OptionError


async def a_job(queue: Queue) -> Job[Any]:
    return await queue.add("n", {})


async def test_turns_lie_an_interval_apart_whoever_asks(
    server_url: str, prefix: str, queue_name: str
) -> None:
    async with (
        Queue(queue_name, url=server_url, prefix=prefix) as one,
        Queue(queue_name, url=server_url, prefix=prefix) as other,
    ):
        waits = []
        for number in range(8):
            job = await a_job(one if number % 2 else other)
            turn = job.turn("carrier", per_second=0.001, longest=10_000)
            waits.append(await turn._ask("come"))
    assert waits[0] == 0
    for number, wait in enumerate(waits[1:], 1):
        assert number * 1_000_000 - 60_000 < wait <= number * 1_000_000


async def test_turns_are_given_in_the_order_in_which_they_are_asked_for(queue: Queue) -> None:
    job = await a_job(queue)
    await job.turn("carrier", per_second=0.1, longest=1000).come()
    turns = [job.turn("carrier", per_second=0.1, longest=1000) for _ in range(30)]
    waits = await asyncio.gather(*(turn.reserve() for turn in turns))
    assert list(waits) == sorted(set(waits))


async def test_nobody_comes_before_the_turn(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job = await a_job(queue)
    key = f"{queue.keys.base}:toril:turns:carrier"
    times = []
    for _ in range(5):
        await job.turn("carrier", per_second=20).come()
        times.append(int(await redis.hget(key, "called")))
    assert all(later - earlier >= 50 for earlier, later in pairwise(times))


async def test_all_who_wait_come_once(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job = await a_job(queue)
    key = f"{queue.keys.base}:toril:turns:carrier"
    await job.turn("carrier", per_second=50).come()
    first = int(await redis.hget(key, "called"))
    await asyncio.gather(*(job.turn("carrier", per_second=50).come() for _ in range(10)))
    assert int(await redis.hget(key, "called")) - first >= 10 * 20
    assert await redis.zcard(f"{key}:line") == 0


async def test_a_long_line_postpones(queue: Queue) -> None:
    job = await a_job(queue)
    await job.turn("carrier", per_second=0.1).come()
    for _ in range(3):
        await job.turn("carrier", per_second=0.1).reserve()
    with pytest.raises(PostponedError) as caught:
        await job.turn("carrier", per_second=0.1).reserve()
    assert caught.value.retry_after is not None
    assert 30 <= caught.value.retry_after <= 40
    await job.turn("carrier", per_second=0.1, longest=60).reserve()  # nobody's turn was lost by that


async def test_who_is_told_to_wait_makes_all_wait_even_those_with_a_turn(queue: Queue) -> None:
    job = await a_job(queue)
    first, second = job.turn("carrier", per_second=1), job.turn("carrier", per_second=1)
    await first.come()
    await second.reserve()
    await first.hold(20)
    assert 15 < await first.reserve() <= 20  # its place is kept
    assert 15 < await second.reserve() <= 21
    await first.hold(3600)
    with pytest.raises(PostponedError) as caught:
        await second.come()
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 3000


async def test_who_gave_up_waiting_holds_up_nobody(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job = await a_job(queue)
    await job.turn("carrier", per_second=0.1).come()
    waiting = asyncio.create_task(job.turn("carrier", per_second=0.1).come())
    line = f"{queue.keys.base}:toril:turns:carrier:line"

    async def is_in_line() -> bool:
        return int(await redis.zcard(line)) == 1

    await until(is_in_line)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await redis.zcard(line) == 0


async def test_who_is_late_for_long_loses_the_place_and_gets_it_back(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job = await a_job(queue)
    late, next_one, other = (job.turn("carrier", per_second=0.1, longest=100) for _ in range(3))
    for turn in (late, next_one, other):
        await turn.reserve()
    key = f"{queue.keys.base}:toril:turns:carrier"
    await redis.zadd(f"{key}:waits", {late._member: 1})
    assert await next_one._ask("come") == 0
    assert 5 < await late.reserve() <= 10  # the next, before who stood behind it
    assert 15 < await other.reserve() <= 20


async def test_a_clock_that_was_set_back_does_not_shut_the_service_off(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job = await a_job(queue)
    key = f"{queue.keys.base}:toril:turns:carrier"
    await redis.hset(key, "called", str(10**14))
    assert await job.turn("carrier", per_second=1).reserve() <= 1
    await redis.hset(key, "held", str(10**14))
    with pytest.raises(PostponedError) as caught:
        await job.turn("carrier", per_second=1).reserve()
    assert caught.value.retry_after is not None
    assert caught.value.retry_after <= 86_402


async def test_without_a_server_it_is_now(tmp_path: Path, queue: Queue) -> None:
    job = await a_job(queue)
    async with Queue("q", url="redis://127.0.0.1:1", patience=0.05) as gone:
        turn = gone.actions.turn("1", "carrier", per_second=0.001, longest=30, in_order=True)
        await turn.reserve()
        await turn.come()
        await turn.end()
    assert job.id


@pytest.mark.parametrize("per_second", [0, -1, True, "2"])
async def test_a_rate_that_is_none_is_refused(queue: Queue, per_second: Any) -> None:
    job = await a_job(queue)
    with pytest.raises(OptionError, match="per_second"):
        job.turn("carrier", per_second=per_second)
