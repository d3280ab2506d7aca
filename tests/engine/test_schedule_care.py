"""Schedules are looked after by one worker of a queue at a time, however many there are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.until import until

from toril.engine import housekeeping
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.engine.worker import Worker

WITHIN = 60.0


class CountingQueue(Queue):
    """A queue that knows how often it looked after its schedules, and how often its worker's heart beat."""

    looks = 0

    async def heal_schedules(self) -> list[str]:
        self.looks += 1
        return await super().heal_schedules()


async def none(job: Job[Any]) -> None:
    return None


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "PERIOD", 0.05)


@contextlib.asynccontextmanager
async def workers(url: str, prefix: str, count: int) -> AsyncIterator[list[tuple[CountingQueue, Worker]]]:
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            queue = await stack.enter_async_context(CountingQueue("q", url=url, prefix=prefix))
            worker = await stack.enter_async_context(Worker(queue, none, stalled_interval=0))
            made.append((queue, worker))
        yield made


async def test_one_of_many_workers_looks_after_schedules(server_url: str, prefix: str, quick: None) -> None:
    async with workers(server_url, prefix, 6) as made:
        queues = [queue for queue, _ in made]

        async def often() -> bool:
            return sum(queue.looks for queue in queues) >= 6

        await until(often, within_s=WITHIN)
        assert [queue.looks > 0 for queue in queues] == [True] + [False] * 5


async def test_the_next_takes_over_when_the_leader_closes_or_dies(
    server_url: str, prefix: str, quick: None, redis: redis_asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "LIFE", 1.0)
    async with workers(server_url, prefix, 3) as made:

        async def one_looks() -> bool:
            return [queue.looks > 0 for queue, _ in made].count(True) == 1

        await until(one_looks, within_s=WITHIN)
        first = made.pop(0)
        await first[1].close()
        await until(one_looks, within_s=WITHIN)
        # As the death of a process leaves it: nobody says goodbye.
        dead = next(index for index, (queue, _) in enumerate(made) if queue.looks)
        _, worker = made.pop(dead)
        await worker._housekeeping.stop()
        await until(one_looks, within_s=WITHIN)
        assert await redis.get(f"{prefix}:q:toril:leader") == made[0][1].token


async def test_a_schedule_that_lost_its_run_gets_it_back_among_many_workers(
    server_url: str, prefix: str, quick: None
) -> None:
    async with workers(server_url, prefix, 4) as made:
        queue = made[0][0]
        run = await queue.add("n", {}, repeat=Repeat(every=3600))
        await asyncio.gather(
            *(other.heal_schedules() for other, _ in made)
        )  # what the run is made of is known
        await run.remove()

        async def is_back() -> bool:
            return (await queue.counts("delayed"))["delayed"] == 1

        await until(is_back, within_s=WITHIN)
