"""What tests with Node on the other side share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.support.node import NodeQueue, node_available
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker

#: Opens one more of Node's queue objects, for the test's queue unless given another name; takes Bull's options.
OpenNode = Callable[..., Awaitable[NodeQueue]]

#: Seconds anything may take here; machines that run many tests at once are slow.
WITHIN = 60.0

needs_node = pytest.mark.skipif(not node_available(), reason=node_available().reason)

#: For asynchronous tests of one file: one event loop, since they share a Node process.
one_loop = pytest.mark.asyncio(loop_scope="module")

#: ``pytestmark`` of a file with such tests only.
WITH_NODE = [needs_node, one_loop]

#: For tests where the server matters.
both_servers = pytest.mark.parametrize("server_url", ["valkey", "redis"], indirect=True)


@contextlib.asynccontextmanager
async def working(
    queue: Queue, processor: Callable[..., Any] | None = None, **options: Any
) -> AsyncIterator[Worker]:
    """A worker of ours that is open for a while; the stalled check is off unless asked for."""
    async with Worker(queue, processor, **{"stalled_interval": 0, "grace": 5, **options}) as worker:
        yield worker


async def echo(job: Job[Any]) -> Any:
    """A processor that returns the job's data."""
    return job.data


def as_told(steps: list[dict[str, Any]]) -> Any:
    """A processor that does what Node's does with the same steps, see ``node/behaviours.js``."""

    async def work(job: Job[Any]) -> Any:
        for step in steps:
            match step:
                case {"do": "return", "value": value}:
                    return value
                case {"do": "echo"}:
                    return job.data
                case {"do": "failTimes", "times": times, "message": message}:
                    if job.attempts_made < times:
                        raise RuntimeError(message)
                case {"do": "fail", "message": message}:
                    raise RuntimeError(message)
                case {"do": "discard", "message": message}:
                    job.discard()
                    raise RuntimeError(message)
                case {"do": "progress", "values": values}:
                    for value in values:
                        await job.update_progress(value)
                case {"do": "log", "rows": rows}:
                    for row in rows:
                        await job.log(row)
                case {"do": "update", "data": data}:
                    await job.update(data)

    return work


async def reaches(queue: Queue, state: str, *ids: str, within_s: float = WITHIN) -> None:
    """Return when all these jobs are in this state."""
    for job_id in ids:

        async def is_there(job_id: str = job_id) -> bool:
            return await queue.state(job_id) == state

        await until(is_there, within_s=within_s)


async def reread(queue: Queue, job_id: str) -> Job[Any]:
    """The job as it is now."""
    job = await queue.get_job(job_id)
    assert job is not None
    return job


async def make_due(redis: Redis, queue: Queue, job_id: str) -> None:
    """Let a delayed job be due already; nobody is told."""
    score = await redis.zscore(queue.keys.of("delayed"), job_id)
    assert score is not None
    await redis.zadd(queue.keys.of("delayed"), {job_id: score - 3_600_000 * 4096}, xx=True)
