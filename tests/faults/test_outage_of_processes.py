"""Worker processes whose server freezes, or is cut off from some of them, for longer than their locks live."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.fleet import Fleet
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.queue import Queue

LOCK = 1.0
OPTIONS: dict[str, Any] = {"lock_duration": LOCK, "stalled_interval": 0.5}
WITHIN = 60.0


@contextlib.asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[tuple[RedisServer, Queue, Fleet]]:
    """A server that keeps what it was told, a queue there, and no worker yet."""
    durable = ["--appendonly", "yes", "--appendfsync", "always"]
    async with (
        RedisServer(None, durable, tcp=True) as server,
        Queue("work", url=server.url, patience=WITHIN) as queue,
        Fleet("work", folder) as fleet,
    ):
        yield server, queue, fleet


async def begun(fleet: Fleet, job_id: str, count: int) -> list[int]:
    """The processes that have begun the job, once there are so many."""

    async def there() -> bool:
        return len(fleet.begun_by(job_id)) == count

    await until(there, within_s=WITHIN)
    return fleet.begun_by(job_id)


async def stalls(queue: Queue, job_id: str) -> int:
    job = await queue.get_job(job_id)
    assert job is not None
    return job.stalled_counter


async def checks(queue: Queue, count: int) -> None:
    """Wait for some checks for stalled jobs."""
    seen: set[bytes] = set()

    async def enough() -> bool:
        if stamp := await queue.scripts.ask("GET", queue.keys.of("stalled-check")):
            seen.add(stamp)
        return len(seen) > count

    await until(enough, within_s=WITHIN)


async def test_a_server_frozen_for_longer_than_the_locks_costs_its_workers_nothing(tmp_path: Path) -> None:
    go = tmp_path / "go"
    async with scene(tmp_path) as (server, queue, fleet):
        for _ in range(3):
            await fleet.start(server.url, concurrency=4, **OPTIONS)
        held = [await queue.add("n", {"until": str(go)}) for _ in range(9)]
        for job in held:
            await begun(fleet, job.id, 1)
        for _ in range(2):
            server.freeze()
            await asyncio.sleep(3 * LOCK)
            server.thaw()
            await checks(queue, 3)
        go.touch()
        quick = await queue.add_bulk([("n", {"seconds": 0})] * 20)
        pids = {process.pid for process in fleet.processes}
        assert {await job.result(WITHIN) for job in held + quick} <= pids
        assert [await stalls(queue, job.id) for job in held] == [0] * len(held)
        await fleet.stop()
    assert set(fleet.runs().values()) == {1}
    assert fleet.reasons() == {}


@pytest.mark.parametrize("how", ["frozen", "restarted"])
async def test_only_the_jobs_of_a_worker_that_died_in_an_outage_are_run_again(
    tmp_path: Path, how: str
) -> None:
    go = tmp_path / "go"
    async with scene(tmp_path) as (server, queue, fleet):
        dies = await fleet.start(server.url, concurrency=1, **OPTIONS)
        its = await queue.add("n", {"until": str(go)})
        await begun(fleet, its.id, 1)
        lives = await fleet.start(server.url, concurrency=4, **OPTIONS)
        others = [await queue.add("n", {"until": str(go)}) for _ in range(2)]
        for job in others:
            assert await begun(fleet, job.id, 1) == [lives.pid]
        server.freeze() if how == "frozen" else await asyncio.to_thread(server.kill)
        await asyncio.sleep(LOCK)
        dies.kill()
        await dies.wait()
        await asyncio.sleep(LOCK)
        await asyncio.to_thread(server.thaw if how == "frozen" else server.start)
        assert sorted(await begun(fleet, its.id, 2)) == sorted([dies.pid, lives.pid])
        await checks(queue, 3)
        go.touch()
        assert [await job.result(WITHIN) for job in (its, *others)] == [lives.pid] * 3
        assert [await stalls(queue, job.id) for job in (its, *others)] == [1, 0, 0]
        await fleet.stop()
    assert fleet.runs() == {its.id: 2, **{job.id: 1 for job in others}}
    assert fleet.said(its.id) >= {"stalled"}


@pytest.mark.parametrize("first_run", ["goes on", "ends meanwhile"])
async def test_a_worker_cut_off_for_longer_than_its_lock_loses_its_job_to_one_that_is_not(
    tmp_path: Path, first_run: str
) -> None:
    """The server counts: who cannot reach it is not there. One outcome is recorded, the second run's."""
    go, told = tmp_path / "go", []
    async with scene(tmp_path) as (server, queue, fleet):
        queue.on("global:completed", lambda job_id, _: told.append(job_id))
        queue.on("global:failed", lambda job_id, _: told.append(job_id))
        await queue.subscriber.ready()
        with Proxy(server.port) as proxy:
            far = await fleet.start(proxy.url, concurrency=1, **OPTIONS)
            first = tmp_path / "first"
            job = await queue.add("n", {"until": str(first)})
            assert await begun(fleet, job.id, 1) == [far.pid]
            await job.update({"until": str(go)})  # what the next run waits for
            near = await fleet.start(server.url, concurrency=1, **OPTIONS)
            proxy.swallow(new=True)
            assert sorted(await begun(fleet, job.id, 2)) == sorted([far.pid, near.pid])
            if first_run == "ends meanwhile":
                first.touch()
                await until(
                    lambda: _is(any(note.what == "end" for note in fleet.notes(far.pid))), within_s=WITHIN
                )
            proxy.heal()
            what = "lock_lost" if first_run == "goes on" else "outcome_not_stored"
            await until(lambda: _is(what in fleet.said(job.id)), within_s=WITHIN)
            await until(
                lambda: _is(any(note.what == "end" for note in fleet.notes(far.pid))), within_s=WITHIN
            )
            assert await job.state() == "active"
            go.touch()
            assert await job.result(WITHIN) == near.pid
            quick = await queue.add_bulk([("n", {"seconds": 0})] * 4)
            assert {await each.result(WITHIN) for each in quick} <= {far.pid, near.pid}
            assert await stalls(queue, job.id) == 1
            await fleet.stop()
        assert sorted(told) == sorted([job.id, *(each.id for each in quick)])
    assert fleet.runs()[job.id] == 2
    assert fleet.said(job.id) >= {"stalled", what}
    assert fleet.at_once() == []


async def _is(value: bool) -> bool:
    return value
