"""A queue whose slot moves from one node of a cluster to another, key by key, while it is used."""

from __future__ import annotations

import asyncio
import contextlib
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
from toril.errors import QueueUnavailableError

WITHIN = 60.0
PREFIX = "{moving}"


class Cluster:
    """Two nodes without replicas, and the slot of the queue."""

    def __init__(self, servers: list[RedisServer], clients: list[redis.Redis]) -> None:
        self.servers, self.clients = servers, clients
        self.slot = int(clients[0].execute_command("CLUSTER", "KEYSLOT", PREFIX))
        self._source = 0 if self.slot < 8192 else 1
        self.source, self.target = clients[self._source], clients[1 - self._source]
        self._ids = [client.execute_command("CLUSTER", "MYID") for client in (self.source, self.target)]
        self._port = servers[1 - self._source].port

    async def run(self, client: redis.Redis, *command: Any) -> Any:
        return await asyncio.to_thread(client.execute_command, *command)

    async def begin(self) -> None:
        """From now on the slot is on its way."""
        await self.run(self.target, "CLUSTER", "SETSLOT", self.slot, "IMPORTING", self._ids[0])
        await self.run(self.source, "CLUSTER", "SETSLOT", self.slot, "MIGRATING", self._ids[1])

    async def move(self, count: int) -> int:
        """Move some keys; returns how many there were to move."""
        keys = await self.run(self.source, "CLUSTER", "GETKEYSINSLOT", self.slot, count)
        if keys:
            await self.run(self.source, "MIGRATE", "127.0.0.1", self._port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    async def end(self) -> None:
        """The slot belongs to the other node."""
        for client in (self.target, self.source):
            await self.run(client, "CLUSTER", "SETSLOT", self.slot, "NODE", self._ids[1])


@pytest.fixture(params=["valkey", "redis"])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    if request.param not in server_binaries():
        pytest.skip(f"no {request.param} server on this machine")
    args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"]
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(RedisServer(server_binaries()[request.param], args, tcp=True))
            for _ in range(2)
        ]
        clients = [stack.enter_context(server.client()) for server in servers]
        clients[0].execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        clients[1].execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", servers[1].port)

        async def agreed() -> bool:
            texts = [str(client.execute_command("CLUSTER", "INFO")) for client in clients]
            return all("cluster_state:ok" in text and "slots_assigned:16384" in text for text in texts)

        await until(agreed, within_s=WITHIN)
        yield Cluster(servers, clients)


async def test_every_job_runs_once_while_its_slot_moves(cluster: Cluster) -> None:
    ran: Counter[str] = Counter()
    added: list[str] = []
    moved = False

    async def work(job: Job[Any]) -> Any:
        ran[job.id] += 1
        await asyncio.sleep(0.01)
        return job.data

    async def add(queue: Queue) -> None:
        while not moved or len(added) < 200:
            added.append((await queue.add("n", len(added))).id)

    async with (
        Queue("q", url=cluster.servers[0].url, prefix=PREFIX, patience=WITHIN) as queue,
        Worker(queue, work, concurrency=5, stalled_interval=0),
    ):
        adding = asyncio.create_task(add(queue))
        await until(lambda: reached(ran, 30), within_s=WITHIN)
        await cluster.begin()
        while await cluster.move(20):
            pass
        await cluster.end()
        moved = True
        await adding
        await until(lambda: reached(ran, len(added)), within_s=WITHIN)

        async def recorded() -> bool:
            return (await queue.counts("completed"))["completed"] == len(added)

        await until(recorded, within_s=WITHIN)
        counts = await queue.counts()
    assert len(set(added)) == len(added)
    assert sum(counts.values()) == len(added), counts
    assert ran == dict.fromkeys(added, 1)


async def reached(ran: Counter[str], count: int) -> bool:
    return len(ran) >= count


async def test_what_has_moved_already_is_asked_for_where_it_is(cluster: Cluster) -> None:
    async with Queue("q", url=cluster.servers[0].url, prefix=PREFIX, patience=WITHIN) as queue:
        job = await queue.add("n", "data")
        await cluster.begin()
        while await cluster.move(20):
            pass
        execute, key = queue.connection.execute, queue.keys.job(job.id)
        assert await execute("HGET", key, "data", patience=WITHIN) == b'"data"'
        assert await execute("HSET", key, "data", '"new"', patience=WITHIN) == 0
        # A script needs all of its keys in one place: it waits, and goes on when the move has ended.
        with pytest.raises(QueueUnavailableError, match=r"TRYAGAIN|ASK"):
            await queue.scripts.run("count_jobs", patience=0.2)
        counting = asyncio.create_task(queue.count())
        await cluster.end()
        assert await counting == 1
        assert (await queue.get_job(job.id)).data == "new"  # type: ignore[union-attr]
