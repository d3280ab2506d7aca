"""Workers with a limiter, at work."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.until import until

from toril.engine import committer
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker

WITHIN = 60.0


@contextlib.asynccontextmanager
async def several(queue: Queue, work: Any, count: int, **options: Any) -> AsyncIterator[list[Worker]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Worker(queue, work, stalled_interval=0, **options))
            for _ in range(count)
        ]


async def commands(redis: redis_asyncio.Redis) -> int:
    """How many commands the server has been sent, or run by scripts."""
    stats = await redis.info("commandstats")
    return sum(row["calls"] for row in stats.values())


async def none(job: Job[Any]) -> None:
    return None


async def test_a_limited_queue_stays_as_it_is_and_costs_nothing(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    jobs = await queue.add_bulk([("n", number) for number in range(5_000)])

    async def two_are_done() -> bool:
        return (await queue.counts("completed"))["completed"] == 2

    async with several(queue, none, 3, concurrency=10, limiter={"max": 2, "duration": 60}):
        await until(two_are_done, within_s=WITHIN)
        before = await commands(redis)
        await asyncio.sleep(1.5)  # as long as it may be, nothing is to happen
        assert await commands(redis) - before < 400
        counts = await queue.counts("waiting", "delayed", "active")
        assert counts == {"waiting": 4_998, "delayed": 0, "active": 0}
    assert await redis.lrange(queue.keys.of("wait"), 0, -1) == [job.id for job in reversed(jobs[2:])]


def assert_spread(started: list[int], *, most: int, window_ms: int) -> None:
    """So many starts in a window, not more.

    A window begins with its first start, and need not be full: the last start of one may lie close before the first of
    the next. What a slow machine cannot change is how many windows there are at least; of the first, a script may have
    begun some time before it looked at the clock.
    """
    least = (math.ceil(len(started) / most) - 1) * window_ms
    assert started[-1] - started[0] >= least - window_ms


@pytest.mark.parametrize("workers", [1, 4])
async def test_each_window_starts_the_next_jobs_in_order(queue: Queue, workers: int) -> None:
    jobs = await queue.add_bulk(
        [("n", number, {"priority": 1} if number < 9 else {}) for number in range(27)]
    )
    async with several(queue, none, workers, concurrency=5, limiter={"max": 3, "duration": 0.15}):
        await asyncio.gather(*(job.result(WITHIN) for job in jobs))
    started = [job.processed_on for job in await queue.get_jobs("completed", asc=True)]
    by_id = {job.id: job.processed_on for job in await queue.get_jobs("completed")}
    in_order = [by_id[job.id] for job in jobs]
    assert in_order == sorted(started)
    assert_spread(in_order, most=3, window_ms=150)


async def test_jobs_that_waiting_workers_claim_over_the_limit_keep_their_order(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    """All workers wait in their blocking call when the limit is reached: each may bring one job too many."""

    async def is_done() -> bool:
        return (await queue.counts("completed"))["completed"] == 1

    async def all_are_limited() -> bool:
        return all(not worker._idle.waiting for worker in workers)

    async with several(queue, none, 5, limiter={"max": 1, "duration": 60}) as workers:

        async def all_wait() -> bool:
            return all(worker._idle.waiting for worker in workers)

        await until(all_wait, within_s=WITHIN)
        jobs = [await queue.add("n", {}) for _ in range(20)]
        await until(is_done, within_s=WITHIN)
        await until(all_are_limited, within_s=WITHIN)

        async def are_back() -> bool:
            return await redis.lrange(queue.keys.of("wait"), 0, -1) == [job.id for job in reversed(jobs[1:])]

        await until(are_back, within_s=WITHIN)
        assert await redis.llen(queue.keys.of("active")) == 0


async def test_a_limiter_that_was_reset_is_noticed(
    queue: Queue, redis: redis_asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "_LONGEST_LIMIT", 0.1)
    jobs = await queue.add_bulk([("n", {})] * 2)
    async with Worker(queue, none, limiter={"max": 1, "duration": 3_600}):
        await jobs[0].result(WITHIN)
        await redis.delete(queue.keys.of("limiter"))
        await jobs[1].result(WITHIN)


async def test_a_limited_worker_closes_at_once_and_takes_what_came_meanwhile(queue: Queue) -> None:
    first = await queue.add("n", {})
    async with Worker(queue, none, limiter={"max": 1, "duration": 3_600}) as worker:
        await first.result(WITHIN)
        waiting = await queue.add("n", {})
        async with asyncio.timeout(WITHIN):
            await worker.close()
    assert await waiting.state() == "waiting"


@pytest.mark.parametrize("workers", [1, 2])
async def test_each_group_keeps_its_order_and_its_limit(server_url: str, prefix: str, workers: int) -> None:
    limiter = {"max": 2, "duration": 0.1, "group_key": "of"}
    async with Queue("q", url=server_url, prefix=prefix, limiter=limiter) as queue:
        jobs = await queue.add_bulk(
            [("n", {"of": "aaab"[number % 4], "number": number}) for number in range(40)]
        )
        async with several(queue, none, workers, concurrency=3):
            await asyncio.gather(*(job.result(WITHIN) for job in jobs))
        started: dict[str, list[tuple[int, int]]] = {"a": [], "b": []}
        for job in await queue.get_jobs("completed"):
            assert job.processed_on
            started[job.data["of"]].append((job.processed_on, job.data["number"]))
    for times in started.values():
        times.sort()
        if workers == 1:  # what a blocking call of one brings starts a moment later than what the other takes
            assert [number for _, number in times] == sorted(number for _, number in times)
        assert_spread([moment for moment, _ in times], most=2, window_ms=100)
