"""A blocking call that moved a job on a connection that was given up meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.link import ConnectionLostError, Link
from toril.engine.lost_moves import LostMoveSearch
from toril.engine.queue import Queue
from toril.engine.scripts.loader import load
from toril.engine.worker import Worker


def lose_the_next_job_moved(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Cut the connection between one blocking call that brings a job and the reading of its answer.

    Returns:
        The id that nobody was told about, once there is one.
    """
    lost: list[bytes] = []
    send = Link.send

    def losing(link: Link, *command: Any) -> asyncio.Future[Any]:
        future = send(link, *command)
        if command[0] != "BLMOVE" or lost:
            return future
        outer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(inner: asyncio.Future[Any]) -> None:
            if outer.done():
                return
            if inner.cancelled() or inner.exception() is not None or inner.result() is None or lost:
                error = None if inner.cancelled() else inner.exception()
                outer.set_exception(error) if error else outer.set_result(inner.result())
                return
            lost.append(inner.result())
            link.close()
            outer.set_exception(ConnectionLostError("cut by the test"))

        future.add_done_callback(answered)
        return outer

    monkeypatch.setattr(Link, "send", losing)
    return lost


async def _waits(worker: Worker) -> bool:
    return worker._idle.waiting


@pytest.mark.parametrize("priority", [0, 3])
async def test_a_job_that_was_moved_but_not_heard_of_is_run_soon(
    server_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch, priority: int
) -> None:
    lost = lose_the_next_job_moved(monkeypatch)
    ran: list[str] = []

    async def work(job: Job[Any]) -> str:
        ran.append(job.id)
        return "done"

    async with Queue("q", url=server_url, prefix=prefix) as queue:
        # No stalled check: it would find the job half a minute later.
        async with Worker(queue, work, stalled_interval=0) as worker:
            # Else the worker's first look could bring it, before there is a blocking call.
            await until(lambda: _waits(worker), within_s=60)
            job = await queue.add("n", {}, priority=priority)
            assert await job.result(60) == "done"
        again = await queue.get_job(job.id)
    assert (lost, ran) == ([job.id.encode()], [job.id])
    assert again is not None
    assert again.stalled_counter == 0


async def test_a_server_that_thaws_serves_calls_that_were_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("toril.engine.idle.DRAIN_DELAY", 0.2)

    async def work(job: Job[Any]) -> str:
        return "went on"

    with RedisServer() as server:
        async with Queue("q", url=server.url, patience=30) as queue, Worker(queue, work, stalled_interval=0):
            for _ in range(3):
                assert await (await queue.add("n", {})).result(60) == "went on"
                server.freeze()
                late = [asyncio.create_task(queue.add("n", number)) for number in range(3)]
                await asyncio.sleep(0.6)  # frozen for longer than a blocking call may last
                server.thaw()
                for job in await asyncio.gather(*late):
                    assert await job.result(60) == "went on"


async def test_a_search_leaves_the_jobs_of_a_worker_that_cannot_reach_the_server() -> None:
    """Its lock runs out meanwhile, and is given back: there is one run."""
    lock, ran, go = 0.6, [], asyncio.Event()

    async def work(job: Job[Any]) -> str:
        ran.append(job.id)
        await go.wait()
        return "kept"

    options: dict[str, Any] = {"lock_duration": lock, "stalled_interval": 0}
    with RedisServer(tcp=True) as server, Proxy(server.port) as proxy:
        async with (
            Queue("q", url=proxy.url) as far,
            Queue("q", url=server.url) as near,
            Worker(far, work, **options),
            Worker(near, work, **options) as other,
        ):
            await other.pause()
            job = await far.add("n", {}, attempts=2)
            await until(lambda: _is(len(ran) == 1), within_s=60)
            proxy.swallow(new=True)

            async def has_run_out() -> bool:
                return not await near.scripts.ask("EXISTS", near.keys.lock(job.id))

            await until(has_run_out, within_s=60)
            other.resume()
            await until(lambda: _is(other._idle.waiting), within_s=60)
            search = next(each for each in other._services if isinstance(each, LostMoveSearch))
            search._pause = 0.05
            other._idle.renew()  # as an outage does, its call is given up
            await until(lambda: _is(search._left > 0), within_s=60)
            await until(lambda: _is(search._left == 0), within_s=60)
            proxy.heal()
            go.set()
            assert await job.result(60) == "kept"
    assert ran == [job.id]


async def test_a_job_given_out_in_an_answer_that_got_lost_is_run_after_an_outage_longer_than_its_lock() -> (
    None
):
    """Its lock is gone, by which its worker would know it. It has not been run, and counts no stall."""
    lock, ran, go = 1.0, [], asyncio.Event()

    async def work(job: Job[Any]) -> str:
        ran.append(job.name)
        if job.name == "held":
            await go.wait()
        return "done"

    with RedisServer(tcp=True) as server, Proxy(server.port) as proxy:
        async with (
            Queue("q", url=proxy.url) as far,
            Queue("q", url=server.url) as near,
            Worker(far, work, concurrency=2, lock_duration=lock, stalled_interval=0) as worker,
        ):
            held = await near.add("held", {})
            await until(lambda: _is(ran == ["held"]), within_s=20)
            await until(lambda: _is(worker._idle.waiting), within_s=20)
            await worker.pause(wait=False)
            job = await near.add("n", {})
            # The next call that takes it is carried out, and its answer is the last thing that is lost.
            proxy.lose_answer_to(load("advance").sha.encode())
            worker.resume()

            async def is_started() -> bool:
                found = await near.get_job(job.id)
                return found is not None and found.processed_on is not None

            await until(is_started, within_s=20)
            proxy.swallow(new=True)

            async def has_run_out() -> bool:
                return not await near.scripts.ask("EXISTS", near.keys.lock(job.id))

            await until(has_run_out, within_s=20)
            proxy.heal()
            assert await job.result(30) == "done"
            go.set()
            assert await held.result(30) == "done"
            again = await near.get_job(job.id)
    assert ran == ["held", "n"]
    assert again is not None
    assert again.stalled_counter == 0


async def _is(value: bool) -> bool:
    return value
