"""Answers that get lost between the server and the worker, at the worst moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.link import Link
from toril.engine.queue import Queue
from toril.engine.worker import Worker


class Cutter:
    """Cuts connections after a command has been carried out and before its answer is read.

    Args:
        every: one in so many script calls loses its answer.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
        self.cuts = 0
        self._calls = 0
        send = Link.send

        def cutting(link: Link, *command: Any) -> asyncio.Future[Any]:
            future = send(link, *command)
            if command[0] != "EVALSHA":
                return future
            self._calls += 1
            if self._calls % every:
                return future
            self.cuts += 1
            lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            def answered(arrived: asyncio.Future[Any]) -> None:
                arrived.exception() if not arrived.cancelled() else None
                link.close()
                if not lost.done():
                    from toril.engine.link import ConnectionLostError

                    lost.set_exception(ConnectionLostError("cut by the test"))

            future.add_done_callback(answered)
            return lost

        monkeypatch.setattr(Link, "send", cutting)


async def test_every_job_runs_once_although_answers_get_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    total = 1500
    ran: Counter[str] = Counter()

    async def work(job: Job[Any]) -> int:
        ran[job.id] += 1
        if job.data % 7 == 0 and job.attempts_made == 0:
            raise ValueError("once")
        await asyncio.sleep(0)
        return int(job.data)

    with RedisServer() as server:
        async with Queue("q", url=server.url) as queue:
            cutter = Cutter(monkeypatch, every=9)
            adding = [queue.add("n", number, attempts=2) for number in range(total)]
            jobs = [
                job
                for start in range(0, total, 30)
                for job in await asyncio.gather(*adding[start : start + 30])
            ]
            assert len({job.id for job in jobs}) == total
            # No stalled check: what is lost would stay lost.
            async with Worker(queue, work, concurrency=10, stalled_interval=0, lock_duration=120):

                async def all_done() -> bool:
                    return (await queue.counts("completed"))["completed"] == total

                await until(all_done, within_s=60)
            assert cutter.cuts > 20
            counts = await queue.counts()
    assert sum(counts.values()) == total
    expected = {job.id: 2 if job.data % 7 == 0 else 1 for job in jobs}
    assert ran == expected
