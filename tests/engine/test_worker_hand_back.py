"""Jobs that a closing worker hands back: they come out again in the order in which they had been taken."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker


@pytest.mark.parametrize("count", [8, 600])
@pytest.mark.parametrize("priority", [0, 3])
async def test_jobs_handed_back_keep_their_order(queue: Queue, count: int, priority: int) -> None:
    async def work(job: Job[Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:  # they take leave in another order than they came
            with contextlib.suppress(asyncio.CancelledError):
                for _ in range(job.data * 5 % 7):
                    await asyncio.sleep(0.001)

    options = {"priority": priority} if priority else {}
    jobs = await queue.add_bulk([("n", number, options) for number in range(count + 5)])

    async def all_run() -> bool:
        return worker.running == count

    async with Worker(queue, work, concurrency=count, stalled_interval=0, grace=0) as worker:
        await until(all_run, within_s=60)
    waiting = await queue.get_jobs("waiting", asc=True, end=-1)
    assert [job.id for job in waiting] == [job.id for job in jobs]


async def test_a_job_that_does_not_end_keeps_no_other_from_being_handed_back(queue: Queue) -> None:
    stay = asyncio.Event()

    async def work(job: Job[Any]) -> None:
        while not stay.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await stay.wait()
            if job.data != 1:
                raise asyncio.CancelledError

    jobs = await queue.add_bulk([("n", number) for number in range(4)])

    async def all_run() -> bool:
        return worker.running == 4

    async def others_wait() -> bool:
        return (await queue.counts("waiting"))["waiting"] == 3

    async with Worker(queue, work, concurrency=4, stalled_interval=0, grace=0, lock_duration=2) as worker:
        await until(all_run)
        closing = asyncio.create_task(worker.close())
        await until(others_wait, within_s=60)
        assert not closing.done()
        waiting = await queue.get_jobs("waiting", asc=True)
        assert [job.id for job in waiting] == [jobs[0].id, jobs[2].id, jobs[3].id]
        stay.set()
        await closing


async def test_jobs_that_stalled_together_keep_their_order(queue: Queue) -> None:
    jobs = await queue.add_bulk([("n", number) for number in range(40)])
    await queue.scripts.run("advance", 60_000, 30, "", 0, 0, 0)
    for job in jobs[:30]:
        await queue.scripts.ask("DEL", queue.keys.lock(job.id))
    for _ in range(2):
        await queue.scripts.ask("DEL", queue.keys.of("stalled-check"))
        await queue.scripts.run("move_stalled", 1, 1)
    waiting = await queue.get_jobs("waiting", asc=True, end=-1)
    assert [job.id for job in waiting] == [job.id for job in jobs]


async def test_jobs_that_take_long_to_let_go_one_after_the_other_keep_their_order(queue: Queue) -> None:
    turns = [asyncio.Event() for _ in range(4)]

    async def work(job: Job[Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:  # all four take 3.2 s, each less than the 2 s that are waited for the next: time is what is tested
            with contextlib.suppress(asyncio.CancelledError):
                await turns[job.data].wait()
                await asyncio.sleep(0.8)
                turns[(job.data + 1) % 4].set()

    jobs = await queue.add_bulk([("n", number) for number in range(4)])

    async def all_run() -> bool:
        return worker.running == 4

    async with Worker(queue, work, concurrency=4, stalled_interval=0, grace=0) as worker:
        await until(all_run, within_s=60)
        turns[0].set()
    waiting = await queue.get_jobs("waiting", asc=True, end=-1)
    assert [job.id for job in waiting] == [job.id for job in jobs]


async def test_jobs_are_handed_back_in_order_though_the_loop_is_blocked_for_longer_than_is_waited_for_them(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them was told to stop and did not: nobody could."""
    monkeypatch.setattr("toril.engine.executor._SHUTDOWN_WITHIN_S", 0.5)
    monkeypatch.setattr("toril.engine.gathering._NEXT_WITHIN", 0.5)
    count, blocked = 60, 7

    async def work(job: Job[Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                if job.data == blocked:
                    await asyncio.sleep(0.02)
                    time.sleep(1.5)  # noqa: ASYNC251 - what is tested
                if job.data % 2:  # the others are handed back before
                    for _ in range(4):
                        await asyncio.sleep(0.02)

    jobs = await queue.add_bulk([("n", number) for number in range(count)])

    async def all_run() -> bool:
        return worker.running == count

    async with Worker(queue, work, concurrency=count, stalled_interval=0, grace=0) as worker:
        await until(all_run, within_s=60)
    waiting = await queue.get_jobs("waiting", asc=True, end=-1)
    assert [job.id for job in waiting] == [job.id for job in jobs]
