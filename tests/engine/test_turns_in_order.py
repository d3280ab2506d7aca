"""Turns in order: calls are made in the order in which jobs were taken from the queue, whatever happens to some."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.until import until

from toril import UnrecoverableError, Worker
from toril.engine.job import Job
from toril.engine.queue import Queue


class Line:
    """Jobs that run until they are let go, and the calls they made.

    Attributes:
        early: of each job, what it waits for before it gets in line.
        late: and between its place and its call.
    """

    def __init__(self, jobs: int, per_second: float = 200) -> None:
        self.per_second = per_second
        self.calls: list[int] = []
        self.begun: list[int] = []
        self.under_way = self.most_under_way = 0
        self.early = [asyncio.Event() for _ in range(jobs)]
        self.late = [asyncio.Event() for _ in range(jobs)]
        self.refusals: dict[int, int] = {}
        self.broken: set[int] = set()
        self.give_up: set[int] = set()
        self.placed: set[int] = set()

    def let_go(self, *numbers: int) -> None:
        for number in numbers:
            self.early[number].set()
            self.late[number].set()

    async def __call__(self, job: Job[Any]) -> None:
        number = job.data["number"]
        self.begun.append(number)
        turn = job.turn("carrier", per_second=self.per_second, in_order=True)
        await self.early[number].wait()
        if number in self.broken:
            raise UnrecoverableError("no good")
        await turn.reserve()
        self.placed.add(number)
        await self.late[number].wait()
        if number in self.give_up:
            return
        while True:
            await turn.come()
            if not self.refusals.get(number, 0):
                break
            self.refusals[number] -= 1
            await turn.hold(0.05)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0.02)  # the service takes longer than the interval
        self.calls.append(number)
        self.under_way -= 1
        await turn.end()

    async def has_begun(self, count: int) -> None:
        async def check() -> bool:
            return len(self.begun) >= count

        await until(check, within_s=20)

    async def has_place(self, number: int) -> None:
        async def check() -> bool:
            return number in self.placed

        await until(check, within_s=20)

    async def has_called(self, count: int) -> None:
        async def check() -> bool:
            return len(self.calls) >= count

        await until(check, within_s=20)


async def fill(queue: Queue, jobs: int) -> list[Job[Any]]:
    return await queue.add_bulk([("n", {"number": number}) for number in range(jobs)])


async def done(jobs: list[Job[Any]]) -> None:
    for job in jobs:
        await job.result(20)


async def test_whoever_is_ready_first_waits_for_those_before(queue: Queue) -> None:
    line = Line(5)
    jobs = await fill(queue, 5)
    async with Worker(queue, line, concurrency=5):
        await line.has_begun(5)
        for number in (4, 2, 3, 1):  # one after the other asks, and none may call
            line.let_go(number)
        assert line.calls == []
        line.let_go(0)
        await done(jobs)
    assert line.calls == [0, 1, 2, 3, 4]
    assert line.most_under_way == 1


@pytest.mark.parametrize("step", ["early", "late"])
async def test_jobs_of_several_workers_keep_the_order_of_the_queue(
    server_url: str, prefix: str, queue_name: str, step: str
) -> None:
    line = Line(60)
    for event in line.late if step == "early" else line.early:
        event.set()

    async def in_reverse() -> None:
        while len(line.calls) < 60:
            running = [n for n in line.begun if not getattr(line, step)[n].is_set()]
            for number in sorted(running, reverse=True):
                getattr(line, step)[number].set()
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.002)

    async with (
        Queue(queue_name, url=server_url, prefix=prefix) as one,
        Queue(queue_name, url=server_url, prefix=prefix) as other,
        Worker(one, line, concurrency=4),
        Worker(other, line, concurrency=3),
    ):
        jobs = await fill(one, 60)
        releasing = asyncio.create_task(in_reverse())
        await done(jobs)
        await releasing
    assert line.calls == list(range(60))
    assert line.most_under_way == 1


async def test_one_that_is_refused_stays_before_those_behind_it(queue: Queue) -> None:
    line = Line(8)
    line.refusals = {0: 3, 2: 1, 5: 2}
    line.let_go(*range(8))
    jobs = await fill(queue, 8)
    async with Worker(queue, line, concurrency=4):
        await done(jobs)
    assert line.calls == list(range(8))


@pytest.mark.parametrize("ready", [True, False])
async def test_one_that_fails_for_good_holds_up_nobody(queue: Queue, ready: bool) -> None:
    line = Line(4)
    line.broken = {0, 2}
    jobs = await fill(queue, 4)
    if ready:
        line.let_go(0, 1, 2, 3)
    async with Worker(queue, line, concurrency=4):
        await line.has_begun(4)
        line.let_go(0, 1, 2, 3)
        await done([jobs[1], jobs[3]])
    assert line.calls == [1, 3]


@pytest.mark.parametrize("asked", [True, False])
async def test_a_job_without_a_lock_is_waited_for_no_more(
    queue: Queue, redis: redis_asyncio.Redis, asked: bool
) -> None:
    # As its worker, which is killed, leaves it.
    line = Line(3)
    jobs = await fill(queue, 3)
    async with Worker(queue, line, concurrency=3, lock_renew=600, lock_duration=1800):
        await line.has_begun(3)
        if asked:
            line.early[0].set()
            waits = f"{queue.keys.base}:toril:turns:carrier:line"

            async def is_in_line() -> bool:
                return bool(await redis.zcard(waits))

            await until(is_in_line)
        line.let_go(1, 2)
        await redis.delete(f"{queue.keys.base}:{jobs[0].id}:lock")
        await line.has_called(2)
        assert line.calls == [1, 2]
        line.let_go(0)


async def test_one_that_ended_in_line_moves_nobody_before_another(queue: Queue) -> None:
    line = Line(5)
    jobs = await fill(queue, 5)
    line.give_up = {1}
    async with Worker(queue, line, concurrency=5):
        await line.has_begun(5)
        for number in (1, 2):  # 2 stands behind 1, which ends without a call
            line.early[number].set()
        for number in (1, 2):
            await line.has_place(number)
        line.late[1].set()
        await jobs[1].result(20)
        line.early[3].set()
        await line.has_place(3)
        line.let_go(0, 2, 3, 4)
        await done(jobs)
    assert line.calls == [0, 2, 3, 4]


async def test_one_on_its_way_to_a_worker_is_waited_for_a_moment(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    # A blocking call moves a job to active, and only the next call locks it.
    on_its_way, job = await fill(queue, 2)
    base = queue.keys.base
    for _ in range(2):
        await redis.lmove(f"{base}:wait", f"{base}:active", "RIGHT", "LEFT")
    await redis.set(f"{base}:{job.id}:lock", "somebody:1")
    turn = job.turn("carrier", per_second=200, in_order=True)
    assert await turn._ask("come") > 0
    await redis.zadd(f"{base}:toril:turns:carrier:unlocked", {on_its_way.id: 1})
    assert await turn._ask("come") == 0


async def test_one_that_never_asks_is_passed_after_the_longest_wait(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    line = Line(2)
    jobs = await fill(queue, 2)
    async with Worker(queue, line, concurrency=2):
        await line.has_begun(2)
        begun = await redis.hget(f"{queue.keys.base}:{jobs[0].id}", "processedOn")
        await redis.hset(f"{queue.keys.base}:{jobs[0].id}", "processedOn", str(int(begun) - 60_000))
        line.let_go(1)
        await line.has_called(1)
        assert line.calls == [1]
        line.let_go(0)


async def test_a_mail_of_many_does_not_hold_up_those_that_come_later(queue: Queue) -> None:
    """A job that makes many calls out of order takes turns with the others."""
    calls: list[str] = []

    async def processor(job: Job[Any]) -> None:
        many: bool = job.data["many"]
        for _ in range(20 if many else 1):
            turn = job.turn("carrier", per_second=200, in_order=not many)
            await turn.come()
            calls.append("many" if many else "one")
            await turn.end()

    jobs = await queue.add_bulk([("n", {"many": number == 0}) for number in range(6)])
    async with Worker(queue, processor, concurrency=2):
        await done(jobs)
    assert calls.count("many") == 20
    assert calls.count("one") == 5
    assert calls.index("one") < 5
    assert "many" in calls[calls.index("one") :]


async def test_a_job_that_runs_again_does_not_wait_for_the_call_of_its_killed_worker(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    first, second = await fill(queue, 2)
    base = queue.keys.base
    for job in (first, second):
        await redis.lmove(f"{base}:wait", f"{base}:active", "RIGHT", "LEFT")
        await redis.set(f"{base}:{job.id}:lock", "somebody:1")

    async def asks(job: Job[Any]) -> float:
        await redis.hset(f"{base}:toril:turns:carrier", "called", 1)  # the interval is over
        return await job.turn("carrier", per_second=200, in_order=True)._ask("come")

    assert await asks(first) == 0
    assert await asks(second) > 0  # the first one's call is under way
    assert await asks(first) == 0  # its worker was killed: nobody ends that call
    assert await asks(second) > 0
