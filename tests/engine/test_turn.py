"""Turns at an outside service, in a line that all workers of a queue share."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis_asyncio

from toril import PostponedError
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.turn import Turn
from toril.errors import OptionError


async def a_job(queue: Queue) -> Job[Any]:
    return await queue.add("n", {})


async def place(turn: Turn) -> float:
    """When the turn is, in ms."""
    await turn.reserve()
    return float(turn._turn)


async def test_turns_lie_an_interval_apart_whoever_asks(
    server_url: str, prefix: str, queue_name: str
) -> None:
    async with (
        Queue(queue_name, url=server_url, prefix=prefix) as one,
        Queue(queue_name, url=server_url, prefix=prefix) as other,
    ):
        places = []
        for number in range(10):
            job = await a_job(one if number % 2 else other)
            places.append(await place(job.turn("carrier", per_second=0.5)))
    gaps = [later - earlier for earlier, later in pairwise(places)]
    assert gaps == [2000.0] * 9


async def test_turns_are_given_in_the_order_in_which_they_are_asked_for(queue: Queue) -> None:
    job = await a_job(queue)
    turns = [job.turn("carrier", per_second=2) for _ in range(30)]
    places = await asyncio.gather(*(place(turn) for turn in turns))
    assert list(places) == sorted(set(places))


async def test_nobody_comes_before_the_turn(queue: Queue, redis: redis_asyncio.Redis) -> None:
    job = await a_job(queue)
    turns = [job.turn("carrier", per_second=20) for _ in range(5)]
    reserved = await asyncio.gather(*(place(turn) for turn in turns))

    async def came(turn: Turn) -> float:
        await turn.come()
        seconds, micros = await redis.time()
        return float(seconds * 1000 + micros / 1000)

    times = await asyncio.gather(*(came(turn) for turn in turns))
    assert all(time >= place for time, place in zip(times, reserved, strict=True))


async def test_a_long_line_postpones(queue: Queue) -> None:
    job = await a_job(queue)
    for _ in range(4):
        await job.turn("carrier", per_second=0.1).reserve()
    with pytest.raises(PostponedError) as caught:
        await job.turn("carrier", per_second=0.1).reserve()
    assert caught.value.retry_after is not None
    assert 30 <= caught.value.retry_after <= 40
    await job.turn("carrier", per_second=0.1, longest=60).reserve()  # nobody's turn was lost by that


async def test_who_is_told_to_wait_makes_all_wait_even_those_with_a_turn(queue: Queue) -> None:
    job = await a_job(queue)
    first, second = job.turn("carrier", per_second=1), job.turn("carrier", per_second=1)
    await first.reserve()
    reserved = await place(second)
    await first.hold(20)
    await second._ask()
    assert float(second._turn) >= reserved + 15_000
    await first.hold(3600)
    with pytest.raises(PostponedError) as caught:
        await second.come()
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 3000


async def test_calls_stay_apart_when_all_are_late_for_their_turns(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job = await a_job(queue)
    turns = [job.turn("carrier", per_second=0.5) for _ in range(3)]
    for turn in turns:
        turn._turn = str(float(await place(turn)) - 10_000)  # the loop was blocked for long
    await turns[0].come()
    waits = [await turn._ask() for turn in turns[1:]]
    assert all(1000 < wait <= 2000 for wait in waits)


async def test_a_clock_that_was_set_back_does_not_shut_the_service_off(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job = await a_job(queue)
    turn = job.turn("carrier", per_second=1)
    await turn.reserve()
    key = f"{queue.keys.base}:toril:turns:carrier"
    await redis.hset(key, "next", str(10**14))
    with pytest.raises(PostponedError) as caught:
        await job.turn("carrier", per_second=1).reserve()
    assert caught.value.retry_after is not None
    assert caught.value.retry_after <= 31


async def test_without_a_server_it_is_now(tmp_path: Path, queue: Queue) -> None:
    job = await a_job(queue)
    async with Queue("q", url="redis://127.0.0.1:1", patience=0.05) as gone:
        turn = gone.actions.turn("carrier", per_second=0.001, longest=30)
        await turn.reserve()
        await turn.come()
    assert job.id


@pytest.mark.parametrize("per_second", [0, -1, True, "2"])
async def test_a_rate_that_is_none_is_refused(queue: Queue, per_second: Any) -> None:
    job = await a_job(queue)
    with pytest.raises(OptionError, match="per_second"):
        job.turn("carrier", per_second=per_second)
