"""A server that is one of several: found by sentinels, or a node of a cluster."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.support.servers import RedisServer, free_port, server_binaries
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import QueueStateError, QueueUnavailableError

WITHIN = 60.0


@pytest.fixture(params=["valkey", "redis"])
def binary(request: pytest.FixtureRequest) -> Path:
    """A server to start several of."""
    if request.param not in server_binaries():
        pytest.skip(f"no {request.param} server on this machine")
    return server_binaries()[request.param]


@contextlib.contextmanager
def sentinel_for(server: RedisServer, folder: Path) -> Iterator[Any]:
    """A sentinel that watches over ``server`` as ``mymaster`` and acts alone, without much patience."""
    port = free_port()
    conf = folder / "sentinel.conf"
    conf.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nlogfile {folder}/sentinel.log\n"
        f"sentinel monitor mymaster 127.0.0.1 {server.port} 1\n"
        "sentinel down-after-milliseconds mymaster 300\nsentinel failover-timeout mymaster 3000\n"
    )
    process = subprocess.Popen([server.binary, conf, "--sentinel"])
    try:
        with redis.Redis(port=port, decode_responses=True) as client:
            yield client
    finally:
        process.kill()
        process.wait()


async def answers(client: Any) -> None:
    async def it_does() -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    await until(it_does, within_s=WITHIN)


async def test_work_goes_on_after_the_sentinels_chose_another_server(binary: Path, tmp_path: Path) -> None:
    async def work(job: Job[Any]) -> Any:
        return job.data

    with (
        RedisServer(binary, tcp=True) as first,
        RedisServer(binary, tcp=True) as second,
        second.client() as replica,
        sentinel_for(first, tmp_path) as sentinel,
    ):
        replica.execute_command("REPLICAOF", "127.0.0.1", first.port)
        await answers(sentinel)
        port = sentinel.connection_pool.connection_kwargs["port"]

        async def known() -> bool:
            row: Any = sentinel.execute_command("SENTINEL", "MASTER", "mymaster")
            row = row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))
            info: Any = replica.info("replication")
            return int(row["num-slaves"]) == 1 and info["master_link_status"] == "up"

        await until(known, within_s=WITHIN)
        # The first of the sentinels is not there.
        url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{port}/mymaster/0"
        async with Queue("q", url=url, patience=30) as queue, Worker(queue, work, lock_duration=60):
            assert await (await queue.add("n", "before")).result(WITHIN) == "before"
            first.kill()
            job = await queue.add("n", "after")
            assert await job.result(WITHIN) == "after"
            assert replica.llen(queue.keys.of("active")) == 0
            assert {job.data for job in await queue.get_completed()} >= {"after"}


async def test_a_service_no_sentinel_knows_is_said(binary: Path, tmp_path: Path) -> None:
    with RedisServer(binary, tcp=True) as server, sentinel_for(server, tmp_path) as sentinel:
        await answers(sentinel)
        port = sentinel.connection_pool.connection_kwargs["port"]
        async with Queue("q", url=f"redis+sentinel://127.0.0.1:{port}/other", patience=0.2) as queue:
            with pytest.raises(QueueUnavailableError, match="knows no service 'other'"):
                await queue.count()


@pytest.fixture
async def nodes(binary: Path) -> AsyncIterator[list[RedisServer]]:
    """A cluster of two nodes without replicas."""
    args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(RedisServer(binary, args, tcp=True)) for _ in range(2)]
        clients = [stack.enter_context(server.client()) for server in servers]
        clients[0].execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        clients[1].execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", servers[1].port)

        async def agreed() -> bool:
            texts = [str(client.execute_command("CLUSTER", "INFO")) for client in clients]
            return all("cluster_state:ok" in text and "slots_assigned:16384" in text for text in texts)

        await until(agreed, within_s=WITHIN)
        yield servers


async def test_a_queue_is_found_from_any_node_of_a_cluster(nodes: list[RedisServer]) -> None:
    async def work(job: Job[Any]) -> Any:
        return job.data

    for number, node in enumerate(nodes):
        for prefix in ("{bull}", "{other}", "{one-more}"):
            async with Queue("q", url=node.url, prefix=prefix) as queue, Worker(queue, work):
                jobs = await queue.add_bulk([("n", number), ("n", number, {"delay": 0.05})])
                assert [await job.result(WITHIN) for job in jobs] == [number, number]
                await queue.obliterate(force=True)


async def test_keys_on_several_nodes_are_refused_with_the_way_out(nodes: list[RedisServer]) -> None:
    async with Queue("q", url=nodes[0].url) as queue:
        with pytest.raises(QueueStateError, match="braces"):
            await queue.add("n", {})
