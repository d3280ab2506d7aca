"""Servers that are there and do not do as they should: each of it passes, and work goes on where it was."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from tests.support.servers import RedisServer, server_binaries
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import QueueUnavailableError, ServerRefusedError

WITHIN = 60.0


@pytest.fixture(params=["valkey", "redis"])
async def own_server(request: pytest.FixtureRequest) -> AsyncIterator[RedisServer]:
    """A server of this test alone."""
    if request.param not in server_binaries():
        pytest.skip(f"no {request.param} server on this machine")
    with RedisServer(request.param) as server:
        yield server


async def echo(job: Job[Any]) -> Any:
    return job.data


async def test_forgotten_scripts_are_loaded_again_in_the_middle_of_work(own_server: RedisServer) -> None:
    ran: Counter[str] = Counter()

    async def work(job: Job[Any]) -> None:
        ran[job.id] += 1
        if job.data % 50 == 0:
            client.script_flush()

    with own_server.client() as client:
        async with Queue("q", url=own_server.url) as queue:
            jobs = await queue.add_bulk([("n", number) for number in range(600)])
            async with Worker(queue, work, concurrency=10, stalled_interval=0):
                await asyncio.gather(*(job.result(WITHIN) for job in jobs))
    assert ran == {job.id: 1 for job in jobs}


async def test_a_worker_outlives_an_emptied_server(own_server: RedisServer) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def work(job: Job[Any]) -> Any:
        if job.data == "running":
            started.set()
            await go_on.wait()
        return job.data

    with own_server.client() as client:
        async with Queue("q", url=own_server.url) as queue:
            async with Worker(queue, work, concurrency=2, stalled_interval=0, lock_duration=1):
                await queue.add("n", "running")
                await started.wait()
                client.flushall()
                go_on.set()
                assert await (await queue.add("n", "after")).result(WITHIN) == "after"
                assert await (await queue.add("n", "later", delay=0.05)).result(WITHIN) == "later"
            assert client.llen(queue.keys.of("active")) == 0


async def test_a_fail_over_is_waited_out(own_server: RedisServer) -> None:
    with RedisServer(own_server.binary, tcp=True) as primary, own_server.client() as client:
        async with Queue("q", url=own_server.url, patience=30) as queue, Worker(queue, echo):
            assert await (await queue.add("n", 1)).result(WITHIN) == 1
            client.execute_command("REPLICAOF", "127.0.0.1", primary.port)
            with pytest.raises(redis.ReadOnlyError):
                client.set("x", 1)
            late = asyncio.create_task(queue.add("n", 2))

            async def refused() -> bool:
                return _refusals(client) >= 3

            await until(refused, within_s=WITHIN)
            assert not late.done()
            client.execute_command("REPLICAOF", "NO", "ONE")
            client.config_set("replica-read-only", "yes")
            job = await late
            assert await job.result(WITHIN) == 2


def _refusals(client: redis.Redis) -> int:
    stats: Any = client.info("errorstats")
    return int(stats.get("errorstat_READONLY", {}).get("count", 0))


async def test_somebodys_long_script_is_waited_out(own_server: RedisServer) -> None:
    with own_server.client() as client, own_server.client() as other:
        client.config_set("lua-time-limit", 50)
        async with Queue("q", url=own_server.url, patience=30) as queue, Worker(queue, echo):
            assert await (await queue.add("n", 1)).result(WITHIN) == 1
            endless = asyncio.create_task(asyncio.to_thread(_run_endlessly, other))

            async def busy() -> bool:
                try:
                    return not client.ping()
                except redis.ResponseError as error:
                    return "BUSY" in str(error)

            await until(busy, within_s=WITHIN)
            late = asyncio.create_task(queue.add("n", 2))
            done, _ = await asyncio.wait([late], timeout=0.3)
            assert not done
            client.script_kill()
            await endless
            assert await (await late).result(WITHIN) == 2


def _run_endlessly(client: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError, match="killed"):
        client.eval("while true do end", 0)


async def test_a_server_with_too_many_clients_is_tried_again(own_server: RedisServer) -> None:
    with own_server.client() as client:
        client.config_set("maxclients", 1)
        async with Queue("q", url=own_server.url, patience=30) as queue:
            late = asyncio.create_task(queue.add("n", 1))

            async def refused() -> bool:
                stats: Any = client.info("stats")
                return int(stats["rejected_connections"]) >= 2

            await until(refused, within_s=WITHIN)
            assert not late.done()
            client.config_set("maxclients", 100)
            assert (await late).id == "1"
        async with Queue("q", url=own_server.url, patience=0.1) as queue:
            client.config_set("maxclients", 1)
            with pytest.raises(QueueUnavailableError, match=r"max number of clients|lost"):
                await queue.add("n", 1)


async def test_a_worker_that_may_not_listen_leaves_no_connection_behind(own_server: RedisServer) -> None:
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "+@all", "resetchannels")
        url = own_server.url.replace("unix://", "unix://deaf:pw@")
        async with Queue("q", url=url) as queue:
            await queue.count()
            with pytest.raises(ServerRefusedError, match="SUBSCRIBE"):
                async with Worker(queue, echo):
                    pass
            assert not client.zcard(queue.keys.of("toril:workers"))

            async def only_the_queue() -> bool:
                rows: Any = client.client_list()
                return sum("bull:" in row["name"] for row in rows) == 0

            await until(only_the_queue, within_s=2)


async def test_a_refused_wait_is_not_repeated_without_a_pause(
    own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with own_server.client() as client:
        client.execute_command("ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all")
        url = own_server.url.replace("unix://", "unix://worker:pw@")
        async with Queue("q", url=url, patience=0.5) as queue:
            worker = Worker(queue, echo, stalled_interval=0, grace=0.1)
            await worker.start()
            assert await (await queue.add("n", 1)).result(WITHIN) == 1
            before: Any = client.info("stats")
            client.execute_command("ACL", "SETUSER", "worker", "off")
            client.execute_command("CLIENT", "KILL", "USER", "worker")
            await asyncio.sleep(1.5)  # time to do harm in
            after: Any = client.info("stats")
            tries = after["total_connections_received"] - before["total_connections_received"]
            assert 0 < tries < 15
            client.execute_command("ACL", "SETUSER", "worker", "on")
            assert await (await queue.add("n", 2)).result(WITHIN) == 2
            await worker.close()
    assert not [record for record in caplog.records if record.levelno > logging.ERROR]


async def test_an_outcome_is_stored_although_the_server_took_no_writes_for_a_while(
    own_server: RedisServer,
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()
    runs = 0

    async def work(job: Job[Any]) -> str:
        nonlocal runs
        runs += 1
        started.set()
        await go_on.wait()
        return "kept"

    with own_server.client() as client:
        async with Queue("q", url=own_server.url, patience=30) as queue, Worker(queue, work):
            job = await queue.add("n", {})
            await started.wait()
            client.config_set("min-replicas-to-write", 1)
            go_on.set()
            late = asyncio.create_task(queue.add("n", {}))

            async def refused() -> bool:
                stats: Any = client.info("errorstats")
                return int(stats.get("errorstat_NOREPLICAS", {}).get("count", 0)) >= 4

            await until(refused, within_s=WITHIN)
            assert not late.done()
            client.config_set("min-replicas-to-write", 0)
            assert await job.result(WITHIN) == "kept"
            assert await (await late).result(WITHIN) == "kept"
    assert runs == 2
