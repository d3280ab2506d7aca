"""A worker that would serve nothing, although jobs wait."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.deafness import DeafnessCheck
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker

SOON = 30.0


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks that follow one another quickly."""
    monkeypatch.setattr("toril.engine.deafness.PERIOD", 0.2)


async def work(job: Job[Any]) -> Any:
    return job.data


async def test_a_worker_that_listens_at_a_former_server_notices_and_connects_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with RedisServer(tcp=True) as server, RedisServer(tcp=True) as former, Proxy(server.port) as proxy:
        async with Queue("q", url=proxy.url) as queue:
            await queue.connection.ready(time.monotonic() + SOON)
            proxy.lead_to(former.port)
            async with Worker(queue, work, stalled_interval=0) as worker:

                async def waits() -> bool:
                    return worker._idle.waiting

                await until(waits, within_s=SOON)
                proxy.lead_to(server.port)
                assert await (await queue.add("n", "heard")).result(SOON) == "heard"
    assert [row for row in caplog.records if row.message.startswith("worker_deaf")]


async def test_a_worker_that_takes_others_before_the_one_that_is_next_is_not_deaf(
    server_url: str, prefix: str
) -> None:
    async with (
        Queue("q", url=server_url, prefix=prefix) as queue,
        Worker(queue, work, stalled_interval=0) as worker,
    ):
        check = check_of(worker)
        before = check._taken()
        jobs = await queue.add_bulk([("n", number) for number in range(5)])
        await asyncio.gather(*(job.result(SOON) for job in jobs))
        assert check._taken() == before + 5


def check_of(worker: Worker) -> DeafnessCheck:
    return next(service for service in worker._services if isinstance(service, DeafnessCheck))


@pytest.mark.parametrize("state", ["paused", "paused here", "full", "rate limited", "busy elsewhere"])
async def test_a_worker_that_rightly_takes_nothing_is_left_alone(
    server_url: str, prefix: str, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    async def hold(job: Job[Any]) -> None:
        started.set()
        await finish.wait()

    limiter = {"max": 1, "duration": 60} if state == "rate limited" else None
    async with (
        Queue("q", url=server_url, prefix=prefix, limiter=limiter) as queue,
        Worker(queue, hold, concurrency=1 if state == "full" else 2, stalled_interval=0) as worker,
    ):
        if state == "paused":
            await queue.pause()
        elif state == "paused here":
            await worker.pause(wait=False)
        jobs = await queue.add_bulk([("n", number) for number in range(6)])
        if state in ("full", "rate limited", "busy elsewhere"):
            await started.wait()
        check = check_of(worker)
        if state == "busy elsewhere":
            await worker.pause(wait=False)
            check._could_take = lambda: True
        for _ in range(4):
            if state == "busy elsewhere":  # somebody else takes what is next
                await queue.scripts.ask("RPOP", queue.keys.of("wait"))
            await check.run_once()
        assert jobs
        finish.set()
    assert not [row for row in caplog.records if row.message.startswith("worker_deaf")]
