"""Prioritised jobs that no Toril worker looks after any more: who brings them back, and who need not."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.until import until

from toril.engine.queue import Queue
from toril.errors import OptionError

WITHIN = 60.0

Open = Callable[..., Queue]


@pytest.fixture
def open_queue(server_url: str, prefix: str, queue_name: str) -> Open:
    def make(**options: Any) -> Queue:
        return Queue(queue_name, url=server_url, prefix=prefix, **options)

    return make


async def overflow(queue: Queue, redis: Redis, count: int = 2_000, *, gone: bool = True) -> list[str]:
    """Jobs that were added while a worker lived, which is gone; their ids in the order of service."""
    await queue.scripts.run("register_worker", 60_000)
    jobs = await queue.add_bulk([("work", n, {"priority": 1 + n % 2}) for n in range(count)])
    if gone:
        await redis.delete(queue.keys.of("toril:workers"))
    return [job.id for job in sorted(jobs, key=lambda job: job.priority)]


async def in_list(queue: Queue, redis: Redis) -> list[str]:
    """Ids that Node sees, in the order of service."""
    return list(reversed(await redis.lrange(queue.keys.of("wait"), 0, -1)))


async def test_an_idle_producer_brings_back_what_workers_left(open_queue: Open, redis: Redis) -> None:
    idle, other = open_queue(), open_queue()
    idle.overflow.period = 0.05
    async with idle, other:
        await idle.count()
        ids = await overflow(other, redis)

        async def all_back() -> bool:
            return await in_list(other, redis) == ids

        await until(all_back, within_s=WITHIN)
        assert await redis.exists(other.keys.of("toril:overflow")) == 0


async def test_a_look_at_the_queue_brings_it_back(open_queue: Open, redis: Redis) -> None:
    ids = await _left_alone(open_queue, redis)
    async with open_queue() as queue:
        assert await queue.count() == len(ids)
    assert await in_list(queue, redis) == ids


async def _left_alone(open_queue: Open, redis: Redis) -> list[str]:
    async with open_queue() as queue:
        ids = await overflow(queue, redis, gone=False)
    await redis.delete(queue.keys.of("toril:workers"))
    assert await redis.zcard(queue.keys.of("toril:overflow")) > 1_000
    return ids


@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_the_watch_goes_on_in_a_second_event_loop(open_queue: Open, redis: Redis) -> None:
    queue = open_queue()

    async def count() -> int:
        return await queue.count()

    async def count_and_close() -> int:
        async with queue:
            return await queue.count()

    ids = await _left_alone(open_queue, redis)
    assert await asyncio.to_thread(asyncio.run, count()) == len(ids)
    await redis.delete(queue.keys.of("toril:workers"))
    assert await asyncio.to_thread(asyncio.run, count_and_close()) == len(ids)
    assert await in_list(queue, redis) == ids
    gc.collect()  # the connection of the first loop, whose warning belongs to this test


async def test_nothing_is_put_back_while_a_worker_lives(open_queue: Open, redis: Redis) -> None:
    async with open_queue() as queue:
        await queue.scripts.run("register_worker", 60_000)
        await queue.add_bulk([("work", n, {"priority": 1}) for n in range(1_000)])
    async with open_queue() as queue:
        await queue.count()
    assert await redis.zcard(queue.keys.of("toril:overflow")) == 488


async def test_many_adds_are_where_node_sees_them_once_the_queue_is_closed(
    open_queue: Open, redis: Redis
) -> None:
    async with open_queue() as queue:
        jobs = await queue.add_bulk([("work", n, {"priority": 1 + n % 7}) for n in range(8_000)])
        assert await redis.exists(queue.keys.of("toril:overflow"))
    assert await in_list(queue, redis) == [job.id for job in sorted(jobs, key=lambda job: job.priority)]


async def test_many_adds_are_where_node_sees_them_soon_after(open_queue: Open, redis: Redis) -> None:
    async with open_queue() as queue:
        jobs = await queue.add_bulk([("work", n, {"priority": 1 + n % 7}) for n in range(8_000)])

        async def all_there() -> bool:
            return await redis.llen(queue.keys.of("wait")) == len(jobs)

        await until(all_there, within_s=WITHIN)
        assert await in_list(queue, redis) == [job.id for job in sorted(jobs, key=lambda job: job.priority)]


async def calls_of(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    names = ("lpop", "rpop", "linsert", "lrange", "lindex", "zadd", "rpush", "lpush", "zcount")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names)


async def test_without_node_adds_cost_the_same_however_many_wait(open_queue: Open, redis: Redis) -> None:
    costs = {}
    async with open_queue(node=False) as queue:
        waiting = 0
        for wanted in (1_000, 100_000):
            while waiting < wanted:
                step = min(10_000, wanted - waiting)
                await queue.add_bulk([("work", 0, {"priority": 1 + n % 50}) for n in range(step)])
                waiting += step
            before = await calls_of(redis)
            await queue.add_bulk([("work", 0, {"priority": 1 + n % 50}) for n in range(500)])
            waiting += 500
            costs[wanted] = await calls_of(redis) - before
        assert await redis.llen(queue.keys.of("wait")) < 1_100
        await queue.obliterate(force=True)
    assert costs[100_000] <= costs[1_000] * 1.5


async def test_who_says_nothing_leaves_the_overflow_to_those_without_node(
    open_queue: Open, redis: Redis
) -> None:
    async with open_queue(node=False) as without, open_queue() as other:
        await without.add_bulk([("work", n, {"priority": 1}) for n in range(1_000)])
        await other.add_bulk([("work", n, {"priority": 1}) for n in range(1_000)])
        assert await redis.zcard(other.keys.of("toril:overflow")) == 2_000 - 512


async def test_who_says_that_node_is_there_is_believed(
    open_queue: Open, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_queue(node=False) as without:
        await without.add_bulk([("work", n, {"priority": 1}) for n in range(2_000)])
        assert await redis.exists(without.keys.of("toril:overflow"))
        async with open_queue(node=True) as shared:
            await shared.count()

            async def all_back() -> bool:
                return await redis.llen(shared.keys.of("wait")) == 2_000

            await until(all_back, within_s=WITHIN)
            with caplog.at_level(logging.WARNING):
                async with open_queue(node=False) as another:
                    await another.add_bulk([("work", n, {"priority": 1}) for n in range(1_000)])
            assert "queue_is_shared" in caplog.text
            assert await redis.llen(shared.keys.of("wait")) == 3_000


async def test_looking_for_a_queue_that_is_not_there_makes_none(open_queue: Open, redis: Redis) -> None:
    async with open_queue(node=False) as queue:
        assert await queue.count() == 0
    assert await redis.keys(f"{queue.keys.base}:*") == []


async def test_the_environment_says_it_for_queues_that_do_not(
    open_queue: Open, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORIL_SHARED_WITH_NODE", "0")
    async with open_queue() as queue:
        await queue.add_bulk([("work", n, {"priority": 1}) for n in range(1_000)])
        assert await redis.zcard(queue.keys.of("toril:overflow")) == 488
    monkeypatch.setenv("TORIL_SHARED_WITH_NODE", "perhaps")
    with pytest.raises(OptionError, match="on or off"):
        open_queue()
    with pytest.raises(OptionError, match="node must be"):
        open_queue(node="no")
