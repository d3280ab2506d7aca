"""Servers that go away and come back: nothing acknowledged is lost, nobody stays deaf."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.servers import RedisServer, server_binaries
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import QueueUnavailableError, ServerRefusedError, ServerVersionError

DURABLE = ["--appendonly", "yes", "--appendfsync", "always"]


@pytest.fixture(params=["valkey", "redis"])
async def own_server(request: pytest.FixtureRequest) -> AsyncIterator[RedisServer]:
    """A durable server of this test alone, which may be killed."""
    if request.param not in server_binaries():
        pytest.skip(f"no {request.param} server on this machine")
    with RedisServer(request.param, DURABLE, tcp=True) as server:
        yield server


async def test_a_killed_server_comes_back_with_every_job(own_server: RedisServer) -> None:
    acknowledged: list[str] = []
    ran: Counter[str] = Counter()

    async def work(job: Job[Any]) -> None:
        ran[job.id] += 1

    async with Queue("q", url=own_server.url, patience=30) as queue:
        worker = Worker(
            queue, work, concurrency=20, stalled_interval=0.5, lock_duration=1, max_stalled_count=99
        )
        async with worker:

            async def produce() -> None:
                for _ in range(60):
                    added = await asyncio.gather(*(queue.add("n", {}) for _ in range(20)))
                    acknowledged.extend(job.id for job in added)

            producing = asyncio.create_task(produce())
            for threshold in (200, 600):

                async def so_far(at: int = threshold) -> bool:
                    return len(acknowledged) >= at

                await until(so_far, within_s=60)
                await asyncio.to_thread(own_server.restart, crash=True)
            await producing

            async def all_done() -> bool:
                return (await queue.counts("completed"))["completed"] >= len(acknowledged)

            await until(all_done, within_s=60)
            counts = await queue.counts()
    assert len(acknowledged) == len(set(acknowledged)) == 1200
    assert counts["completed"] == 1200, "each add was carried out once, lost answers included"
    assert sum(counts.values()) == 1200
    assert set(acknowledged) <= set(ran)


async def test_an_idle_worker_hears_again_after_the_server_was_away(own_server: RedisServer) -> None:
    async def work(job: Job[Any]) -> str:
        return "heard"

    async with Queue("q", url=own_server.url, patience=30) as queue, Worker(queue, work):
        assert await (await queue.add("n", {})).result(20) == "heard"
        for crash in (True, False):
            await asyncio.to_thread(own_server.restart, crash=crash)
            assert await (await queue.add("n", {})).result(20) == "heard"
            assert await (await queue.add("n", {}, delay=0.05)).result(20) == "heard"


async def test_an_add_beside_one_who_waits_for_ever_waits_only_as_long_as_it_is_told(
    own_server: RedisServer,
) -> None:
    async with Queue("q", url=own_server.url, patience=0.3) as queue:
        await queue.add("n", {})
        await asyncio.to_thread(own_server.kill)
        # As a worker does.
        endless = asyncio.create_task(queue.connection.execute("PING", patience=math.inf, repeat=True))
        for _ in range(2):
            async with asyncio.timeout(5):
                with pytest.raises(QueueUnavailableError, match="cannot connect"):
                    await queue.add("n", {})
        await asyncio.to_thread(own_server.start)
        assert await endless == b"PONG"


async def test_an_idle_worker_does_not_wait_for_a_lost_server_to_close(own_server: RedisServer) -> None:
    async with Queue("q", url=own_server.url) as queue:
        worker = Worker(queue, print)
        await worker.start()
        await asyncio.to_thread(own_server.kill)
        # A call that waits for jobs, and had only begun, has five seconds; who waits for the server has fifteen more.
        async with asyncio.timeout(14):
            await worker.close()


async def test_an_outcome_is_stored_although_the_server_was_away_at_the_end(own_server: RedisServer) -> None:
    started, finish = asyncio.Event(), asyncio.Event()
    runs = 0

    async def work(job: Job[Any]) -> str:
        nonlocal runs
        runs += 1
        started.set()
        await finish.wait()
        return "kept"

    async with Queue("q", url=own_server.url, patience=30) as queue, Worker(queue, work, lock_duration=60):
        job = await queue.add("n", {})
        await started.wait()
        await asyncio.to_thread(own_server.kill)
        finish.set()
        await asyncio.to_thread(own_server.start)
        assert await job.result(20) == "kept"
    assert runs == 1


async def test_an_add_waits_only_as_long_as_it_is_told(own_server: RedisServer) -> None:
    async with Queue("q", url=own_server.url, patience=0.2) as queue:
        await queue.add("n", {})
        await asyncio.to_thread(own_server.kill)
        with pytest.raises(QueueUnavailableError, match="cannot connect"):
            await queue.add("n", {})
        await asyncio.to_thread(own_server.start)
        await queue.add("n", {})
        assert await queue.count() == 2


async def test_callers_of_one_batch_get_an_error_each(own_server: RedisServer) -> None:
    async with Queue("q", url=own_server.url, patience=0.2) as queue:
        await asyncio.to_thread(own_server.kill)
        errors = await asyncio.gather(*(queue.add("n", {}) for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in errors] == [QueueUnavailableError] * 3
        assert len({id(error) for error in errors}) == 3
        for error in errors:
            assert isinstance(error, QueueUnavailableError)
            assert "cannot connect" in str(error.__cause__)
            error.add_note("mine")
            assert error.__notes__ == ["mine"]


async def test_a_frozen_server_is_noticed_and_work_goes_on(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.engine.idle.DRAIN_DELAY", 0.2)

    async def work(job: Job[Any]) -> str:
        return "went on"

    async with Queue("q", url=own_server.url, patience=30) as queue, Worker(queue, work):
        assert await (await queue.add("n", {})).result(20) == "went on"
        own_server.freeze()
        late = asyncio.create_task(queue.add("n", {}))
        await asyncio.sleep(0.6)  # frozen for longer than a blocking call may last
        own_server.thaw()
        assert await (await late).result(20) == "went on"


async def test_a_wrong_password_is_said_at_once(tmp_path: Path) -> None:
    with RedisServer(args=["--requirepass", "right"], tcp=True) as server:
        host = server.url.removeprefix("redis://")
        async with Queue("q", url=f"redis://:wrong@{host}") as queue:
            with pytest.raises(ServerRefusedError, match="REDIS_PASSWORD"):
                await queue.add("n", {})
        async with Queue("q", url=server.url) as queue:
            with pytest.raises(ServerRefusedError, match="wants a password"):
                await queue.add("n", {})
        async with Queue("q", url=f"redis://:right@{host}") as queue:
            await queue.add("n", {})


async def test_a_full_server_refuses_adds_and_loses_nothing(own_server: RedisServer) -> None:
    async with Queue("q", url=own_server.url) as queue:
        with own_server.client() as client:
            await queue.add("n", {})
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1mb")
            with pytest.raises(QueueUnavailableError, match="out of memory"):
                await queue.add("n", {})
            client.config_set("maxmemory", "0")
        assert await queue.count() == 1
        assert (await queue.add("n", {})).id == "2"


async def test_an_evicting_server_is_warned_about(
    own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with own_server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    async with Queue("q", url=own_server.url) as queue:
        await queue.add("n", {})
    assert [record.message for record in caplog.records if "eviction_policy_loses_jobs" in record.message]


async def test_an_old_server_is_refused_with_its_version(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.engine.server_check.OLDEST_REDIS", (99, 0))
    monkeypatch.setattr("toril.engine.server_check.OLDEST_VALKEY", (99, 0))
    async with Queue("q", url=own_server.url) as queue:
        with pytest.raises(ServerVersionError, match=r"Toril needs Redis 99\.0"):
            await queue.add("n", {})
