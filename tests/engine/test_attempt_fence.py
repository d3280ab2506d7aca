"""Each attempt speaks for itself: a run whose job was given away again can neither end nor change it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import JobLockLost

WITHIN = 60.0


async def requeue(queue: Queue, redis: redis_asyncio.Redis, job_id: str) -> None:
    """What the stalled check of another process does once the lock has run out."""
    await redis.delete(queue.keys.lock(job_id))
    await redis.lrem(queue.keys.of("active"), 1, job_id)
    await redis.rpush(queue.keys.of("wait"), job_id)


class Runs:
    """A processor that counts its runs and lets each go on until it is told."""

    def __init__(self) -> None:
        self.begun, self.now, self.most = 0, 0, 0
        self.jobs: list[Job[Any]] = []
        self.go = [asyncio.Event() for _ in range(4)]
        self.on_cancel: Callable[[], Awaitable[object]] | None = None

    async def work(self, job: Job[Any]) -> int:
        number = self.begun
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        self.jobs.append(job)
        try:
            await self.go[number].wait()
        except asyncio.CancelledError:
            if self.on_cancel is not None:
                await self.on_cancel()
            raise
        finally:
            self.now -= 1
        return number

    async def at(self, begun: int) -> None:
        async def there() -> bool:
            return self.begun == begun

        await until(there, within_s=WITHIN)


@pytest.mark.parametrize("swallows", [False, True])
async def test_a_job_taken_again_stops_its_first_run_before_the_second_begins(
    queue: Queue, redis: redis_asyncio.Redis, caplog: pytest.LogCaptureFixture, swallows: bool
) -> None:
    runs, cleaning, lost = Runs(), asyncio.Event(), []
    runs.on_cancel = cleaning.wait
    queue.on("lock_lost", lambda job: lost.append(job.id))
    caplog.set_level(logging.WARNING, "toril.worker")

    async def work(job: Job[Any]) -> int:
        try:
            return await runs.work(job)
        except asyncio.CancelledError:
            if swallows:
                return -1
            raise

    async with Worker(queue, work, concurrency=4, stalled_interval=0) as worker:
        job = await queue.add("n", {})
        await runs.at(1)
        await requeue(queue, redis, job.id)

        async def is_taken_again() -> bool:
            return any("job_waits_for_itself" in row.message for row in caplog.records)

        await until(is_taken_again, within_s=WITHIN)
        assert runs.begun == 1, "the first one cleans up still"
        assert worker.running == 1
        cleaning.set()
        await runs.at(2)
        runs.go[1].set()
        assert await job.result(WITHIN) == 1, "the result is the second run's"
    assert (runs.most, runs.now, runs.begun) == (1, 0, 2)
    assert lost == [job.id]
    said = {row.message.split(":")[0] for row in caplog.records}
    assert said == {"job_taken_again", "job_waits_for_itself", "lock_lost"}


async def test_a_thread_that_cannot_be_stopped_is_waited_for(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    go, begun, most, now = threading.Event(), 0, 0, 0

    def work(job: Any) -> int:
        nonlocal begun, most, now
        begun, now = begun + 1, now + 1
        most = max(most, now)
        number = begun
        assert number > 1 or go.wait(30)
        now -= 1
        return number

    async with Worker(queue, work, concurrency=4, stalled_interval=0) as worker:
        for options, again in (({}, True), ({"timeout": 0.05, "attempts": 2}, False)):
            go.clear()
            begun = 0
            job = await queue.add("n", {}, **options)

            async def first(at: int = 1) -> bool:
                return begun == at  # noqa: B023 - called within the loop

            await until(first, within_s=WITHIN)
            if again:
                await requeue(queue, redis, job.id)

            async def waits() -> bool:
                return bool(worker._executor.threads.outliving) and worker.running == 1

            await until(waits, within_s=WITHIN)
            assert begun == 1
            go.set()
            assert await job.result(WITHIN) == 2
    assert most == 1


async def test_what_a_run_says_after_its_job_was_given_away_is_refused(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    runs = Runs()
    runs.on_cancel = asyncio.Event().wait
    # Other workers of the same process, so that nobody stops the first run at once.
    async with Worker(queue, runs.work, stalled_interval=0) as first:
        job = await queue.add("n", {})
        await runs.at(1)
        await first.pause(wait=False)
        async with Worker(queue, runs.work, stalled_interval=0):
            await requeue(queue, redis, job.id)
            await runs.at(2)
            for verb in (runs.jobs[0].update_progress, runs.jobs[0].log, runs.jobs[0].update):
                with pytest.raises(JobLockLost, match="another attempt"):
                    await verb("stale")
            await runs.jobs[1].update_progress(5)
            await runs.jobs[1].log("row")
            runs.go[0].set()

            async def dropped() -> bool:
                return first.running == 0

            await until(dropped, within_s=WITHIN)
            assert await job.state() == "active", "the first one's result is not the second one's"
            runs.go[1].set()
            assert await job.result(WITHIN) == 1
    again = await queue.get_job(job.id)
    assert again is not None
    assert (again.progress, again.data) == (5, {})
    assert (await queue.actions.get_logs(job.id))[0] == ["row"]


async def test_listeners_may_write_to_a_job_whose_run_is_over(queue: Queue) -> None:
    written = asyncio.Event()

    async def note(job: Job[Any], _: Any) -> None:
        await job.log("noted")
        await job.update_progress(100)
        written.set()

    async def work(job: Job[Any]) -> None:
        return None

    queue.on("completed", note)
    async with Worker(queue, work, stalled_interval=0):
        job = await queue.add("n", {})
        async with asyncio.timeout(WITHIN):
            await written.wait()
    assert (await queue.actions.get_logs(job.id))[0] == ["noted"]
