"""Node's workers alone on a queue whose Toril workers were killed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from tests.support.interop import WITH_NODE, WITHIN
from tests.support.node import NodeQueue
from tests.support.processes import worker_process
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue

pytestmark = WITH_NODE

COUNT = 2_000


@contextlib.asynccontextmanager
async def killed_worker(
    queue: Queue, node_queue: NodeQueue, redis: Redis, server_url: str, prefix: str
) -> AsyncIterator[list[Job[object]]]:
    """Jobs, most of them out of Node's sight, once the only Toril worker was killed; the queue is idle in here."""
    await queue.pause()
    async with worker_process(server_url, prefix, queue.name) as process:

        async def beats() -> bool:
            return bool(await redis.exists(queue.keys.of("toril:workers")))

        await until(beats, within_s=WITHIN)
        jobs = await queue.add_bulk([("work", n, {"priority": 1 + n % 20}) for n in range(COUNT)])
        process.kill()
        await process.wait()
    assert (await node_queue.get_job_counts())["paused"] < 600
    # Its heartbeat runs out.
    workers = queue.keys.of("toril:workers")
    await redis.zadd(workers, dict.fromkeys(await redis.zrange(workers, 0, -1), 1))
    yield jobs


@pytest.fixture
def queue(queue: Queue) -> Queue:
    """A process that adds, and looks often enough for a test."""
    queue.overflow.period = 0.1
    return queue


async def all_seen(node_queue: NodeQueue) -> None:
    async def seen() -> bool:
        return bool((await node_queue.get_job_counts())["paused"] == COUNT)

    await until(seen, within_s=WITHIN)


async def test_node_counts_and_works_all_of_them_in_order(
    queue: Queue, node_queue: NodeQueue, redis: Redis, server_url: str, prefix: str
) -> None:
    async with killed_worker(queue, node_queue, redis, server_url, prefix) as jobs:
        await all_seen(node_queue)
        assert await node_queue.get_counts_per_priority(range(21)) == {
            "0": 0,
            **{str(n): COUNT // 20 for n in range(1, 21)},
        }
        await node_queue.process({"do": "echo"}, name="work")
        await node_queue.resume()
        await node_queue.event("processing", count=COUNT, within_s=WITHIN)
        expected = sorted(jobs, key=lambda job: (job.priority, int(job.id)))
        ran = [str(event.job_id) for event in node_queue.events if event.name == "processing"]
        assert ran == [job.id for job in expected]


@pytest.mark.parametrize("verb", ["empty", "obliterate"])
async def test_node_deletes_all_of_them(
    queue: Queue, node_queue: NodeQueue, redis: Redis, server_url: str, prefix: str, verb: str
) -> None:
    async with killed_worker(queue, node_queue, redis, server_url, prefix):
        await all_seen(node_queue)
        await getattr(node_queue, verb)()
        assert await queue.count() == 0
        assert await redis.exists(queue.keys.of("toril:overflow")) == 0
