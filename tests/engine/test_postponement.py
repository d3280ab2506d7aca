"""Jobs that are put off: they run again later, and no attempt is counted."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.engine.test_worker import WITHIN, reaches, reread, working
from tests.support.until import until

from toril import PostponedError
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.errors import JobFailedError


async def test_a_job_that_is_put_off_runs_again_and_no_attempt_is_counted(queue: Queue) -> None:
    runs, failures = 0, []
    queue.on("failed", lambda job, error: failures.append(error))

    async def busy(job: Job[Any]) -> int:
        nonlocal runs
        runs += 1
        if runs < 4:
            raise PostponedError("come back later", retry_after=0.01)
        return runs

    job = await queue.add("n", {}, attempts=1)
    async with working(queue, busy):
        assert await job.result(WITHIN) == 4
    assert (await reread(queue, job)).attempts_made == 0
    assert failures == []


async def test_what_waits_shows_why_and_since_when_is_kept_beside_it(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    async def busy(job: Job[Any]) -> None:
        raise PostponedError("come back later", retry_after=600)

    told: list[Any] = []
    queue.on("retrying", lambda job, error, wait: told.append((job.id, str(error), wait)))
    job = await queue.add("n", {}, attempts=1)
    async with working(queue, busy):
        await reaches(job, "delayed")
    waiting = await reread(queue, job)
    assert (waiting.failed_reason, waiting.attempts_made, waiting.stacktrace) == ("come back later", 0, [])
    assert told == [(job.id, "come back later", 600_000)]
    [key] = await redis.keys(f"{queue.keys.base}:toril:postponed:*")
    assert 86_400_000 < await redis.pttl(key) < 2 * 86_400_000


async def test_a_job_is_not_put_off_for_ever(queue: Queue, redis: redis_asyncio.Redis) -> None:
    async def busy(job: Job[Any]) -> None:
        raise PostponedError("come back later", retry_after=0.01, at_most=7200)

    job = await queue.add("n", {}, attempts=5)
    async with working(queue, busy):

        async def is_noted() -> bool:
            return bool(await redis.keys(f"{queue.keys.base}:toril:postponed:*"))

        await until(is_noted, within_s=WITHIN)
        [key] = await redis.keys(f"{queue.keys.base}:toril:postponed:*")
        await redis.set(key, "1000", keepttl=True)  # put off since 1970
        with pytest.raises(JobFailedError, match="come back later; it was put off for 2 hours in all"):
            await job.result(WITHIN)
        assert await redis.keys(f"{queue.keys.base}:toril:postponed:*") == []  # a retry by hand begins anew


async def test_a_job_that_is_cancelled_while_it_is_put_off_does_not_come_back(queue: Queue) -> None:
    async def busy(job: Job[Any]) -> None:
        raise PostponedError("come back later", retry_after=600)

    job = await queue.add("n", {})
    async with working(queue, busy):
        await reaches(job, "delayed")
        await job.cancel()
        await reaches(job, "failed")


async def test_jobs_that_are_put_off_together_come_back_in_their_order(queue: Queue) -> None:
    order: list[int] = []
    put_off: set[str] = set()

    async def busy(job: Job[Any]) -> None:
        if job.id not in put_off:
            put_off.add(job.id)
            raise PostponedError("come back later", retry_after=0.2)
        order.append(job.data["n"])

    jobs = [await queue.add("n", {"n": n}) for n in range(20)]
    async with working(queue, busy, concurrency=1):
        for job in jobs:
            await job.result(WITHIN)
    assert order == list(range(20))


def test_it_comes_through_from_a_child_process() -> None:
    error = pickle.loads(pickle.dumps(PostponedError("later", retry_after=7, at_most=9)))
    assert (str(error), error.retry_after, error.at_most) == ("later", 7, 9)
