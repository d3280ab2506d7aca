"""Node's Bull on one side, Toril on the other: one Node process for a file, keys of its own for a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from redis.asyncio import Redis, from_url
from tests.support.interop import OpenNode
from tests.support.node import NodeBull, NodeQueue
from tests.support.servers import RedisServer, server_binaries

from toril.engine.queue import Queue


@pytest.fixture
def server_url(request: pytest.FixtureRequest, start_server: Callable[[str], RedisServer]) -> str:
    """Address of a server shared with other tests; which one can be asked for by an indirect parameter."""
    return start_server(getattr(request, "param", next(iter(server_binaries()), "valkey"))).url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node() -> AsyncIterator[NodeBull]:
    """The Node process of this file's tests; a test that kills Node starts another."""
    async with NodeBull() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closing(node: NodeBull) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Closes that are under way: Bull takes half a second for each worker, which no test needs to wait for."""
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    await asyncio.gather(*tasks)


@pytest_asyncio.fixture(loop_scope="module")
async def open_node(
    node: NodeBull, closing: list[asyncio.Task[None]], server_url: str, prefix: str, queue_name: str
) -> AsyncIterator[OpenNode]:
    """See ``OpenNode``; what a test opened is closed when it ends."""
    opened: list[NodeQueue] = []

    async def open_queue(name: str = queue_name, **options: object) -> NodeQueue:
        opened.append(await node.open(name, server_url, prefix, **options))
        return opened[-1]

    yield open_queue
    left = [opened_queue for opened_queue in opened if opened_queue.handle in node.queues]
    closing += [asyncio.create_task(left_queue.close(do_not_wait_jobs=True)) for left_queue in left]


@pytest_asyncio.fixture(loop_scope="module")
async def node_queue(open_node: OpenNode) -> NodeQueue:
    """The test's queue as Node opens it, with Bull's defaults."""
    return await open_node()


@pytest_asyncio.fixture(loop_scope="module")
async def queue(server_url: str, prefix: str, queue_name: str) -> AsyncIterator[Queue]:
    """The test's queue as Toril opens it."""
    async with Queue(queue_name, url=server_url, prefix=prefix) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def redis(server_url: str) -> AsyncIterator[Redis]:
    """A plain client on the same server, for looking at keys."""
    client = from_url(server_url, decode_responses=True)
    yield client
    await client.aclose()
