"""Workers that die, at once or politely: every job ends, and none counts an attempt it did not have."""

from __future__ import annotations

import asyncio
import signal

import redis.asyncio as redis_asyncio
from tests.support.processes import worker_process
from tests.support.until import until

from toril.engine.queue import Queue

FAST = {"lock_duration": 0.5, "stalled_interval": 0.3}


async def test_jobs_of_a_killed_worker_are_done_by_the_next(
    queue: Queue, redis: redis_asyncio.Redis, server_url: str, prefix: str
) -> None:
    jobs = await queue.add_bulk([("endless", number) for number in range(4)])
    jobs += await queue.add_bulk([("quick", number) for number in range(50)])

    async def four_run() -> bool:
        return await redis.llen(f"{prefix}:ran") == 4

    async with worker_process(server_url, prefix, queue.name, concurrency=4, **FAST) as first:
        await until(four_run, within_s=60)
        first.kill()
        await first.wait()
    assert (await queue.counts("active"))["active"] == 4
    for job in jobs[:4]:  # what hung the first worker is quick for the second
        await redis.hset(queue.keys.job(job.id), "name", "quick")
    async with worker_process(server_url, prefix, queue.name, concurrency=10, **FAST):
        results = await asyncio.gather(*(job.result(60) for job in jobs))
    assert results == [*range(4), *range(50)]
    again = [await queue.get_job(job.id) for job in jobs[:4]]
    assert [(job.stalled_counter, job.attempts_made) for job in again if job] == [(1, 0)] * 4


async def test_killing_workers_over_and_over_loses_nothing(
    queue: Queue, redis: redis_asyncio.Redis, server_url: str, prefix: str
) -> None:
    total = 3000
    await queue.add_bulk([("quick", number) for number in range(total)])
    done = queue.keys.of("completed")

    for threshold in (300, 900, 1500):

        async def so_far(at: int = threshold) -> bool:
            return await redis.zcard(done) >= at

        async with worker_process(
            server_url, prefix, queue.name, concurrency=20, max_stalled_count=99, **FAST
        ) as process:
            await until(so_far, within_s=60)
            process.kill()
            await process.wait()

    async def all_done() -> bool:
        return await redis.zcard(done) == total

    async with worker_process(server_url, prefix, queue.name, concurrency=20, max_stalled_count=99, **FAST):
        await until(all_done, within_s=60)
    counts = await queue.counts()
    assert counts["completed"] == total
    assert sum(counts.values()) == total
    # At least once: only what was running when a worker died was run again.
    assert total <= await redis.llen(f"{prefix}:ran") <= total + 3 * 20


async def test_a_signal_hands_unfinished_jobs_back(
    queue: Queue, redis: redis_asyncio.Redis, server_url: str, prefix: str
) -> None:
    job = await queue.add("endless", {}, attempts=3)

    async def runs() -> bool:
        return await redis.llen(f"{prefix}:ran") == 1

    async with worker_process(server_url, prefix, queue.name, grace=0.2) as process:
        await until(runs, within_s=60)
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in errors
    assert await job.state() == "waiting"
    handed_back = await queue.get_job(job.id)
    assert handed_back is not None
    assert handed_back.attempts_made == 0
    assert not await redis.exists(
        queue.keys.of("active"), queue.keys.lock(job.id), queue.keys.of("toril:workers")
    )


async def test_a_second_signal_stops_at_once(
    queue: Queue, redis: redis_asyncio.Redis, server_url: str, prefix: str
) -> None:
    job = await queue.add("endless", {})

    async def runs() -> bool:
        return await redis.llen(f"{prefix}:ran") == 1

    async with worker_process(server_url, prefix, queue.name, grace=600) as process:
        await until(runs, within_s=60)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)

        async def handed_back() -> bool:
            if process.returncode is None and await job.state() != "waiting":
                process.send_signal(signal.SIGINT)  # the first two may have arrived as one
                return False
            return await job.state() == "waiting"

        await until(handed_back, within_s=60)
        _, errors = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in errors
