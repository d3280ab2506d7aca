"""Servers and queues for all tests; each test has key names of its own, so all can share a server."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import redis.asyncio as redis_asyncio
from hypothesis import HealthCheck, settings
from tests.support.servers import RedisServer, server_binaries

if TYPE_CHECKING:
    from toril.engine.queue import Queue


# How long an example takes says more about the machine than about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[[str], RedisServer]]:
    """Gives the server ``valkey`` or ``redis``, started once for all tests of this process."""
    running: dict[str, RedisServer] = {}

    def start(name: str) -> RedisServer:
        if name not in server_binaries():
            pytest.skip(f"no {name} server on this machine")
        if name not in running:
            running[name] = RedisServer(name).start()
        return running[name]

    yield start
    for server in running.values():
        server.close()


@pytest.fixture(params=["valkey", "redis"])
def server_url(request: pytest.FixtureRequest, start_server: Callable[[str], RedisServer]) -> str:
    """Address of a server that is shared with other tests."""
    return start_server(request.param).url


@pytest.fixture
def prefix() -> str:
    """Start of this test's keys."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def queue_name() -> str:
    """Name of this test's queue."""
    return f"work-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def queue(server_url: str, prefix: str, queue_name: str) -> AsyncIterator[Queue]:
    """An open queue of this test's own."""
    from toril.engine.queue import Queue

    async with Queue(queue_name, url=server_url, prefix=prefix) as opened:
        yield opened


@pytest.fixture
async def redis(server_url: str) -> AsyncIterator[redis_asyncio.Redis]:
    """A plain client on the same server, for looking at keys."""
    client = redis_asyncio.from_url(server_url, decode_responses=True)
    yield client
    await client.aclose()
