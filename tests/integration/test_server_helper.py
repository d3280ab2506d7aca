"""The server helper that other tests rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.support.servers import RedisServer, server_binaries

DURABLE = ["--appendonly", "yes", "--appendfsync", "always"]


@pytest.fixture(params=["valkey", "redis"])
def binary(request: pytest.FixtureRequest) -> Path:
    found = server_binaries()
    if request.param not in found:
        pytest.skip(f"no {request.param} server on this machine")
    return found[request.param]


@pytest.fixture(params=[False, True], ids=["socket", "tcp"])
def server(request: pytest.FixtureRequest, binary: Path) -> Iterator[RedisServer]:
    with RedisServer(binary, DURABLE, tcp=request.param) as started:
        yield started


def test_server_answers_at_its_url(server: RedisServer) -> None:
    with server.client() as client:
        assert client.info("server")["process_id"] == server.pid


@pytest.mark.parametrize("crash", [False, True], ids=["stop", "kill"])
def test_restarted_server_has_its_data_and_its_address(server: RedisServer, crash: bool) -> None:
    url, pid = server.url, server.pid
    with server.client() as client:
        client.set("kept", "yes")
    server.restart(crash=crash)
    assert server.pid != pid
    with redis.Redis.from_url(url, decode_responses=True) as client:
        assert client.get("kept") == "yes"


def test_killed_server_refuses_connections(server: RedisServer) -> None:
    server.kill()
    assert not server.is_running
    with server.client() as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_frozen_server_keeps_its_clients_waiting_until_it_thaws(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url, socket_timeout=0.05, retry=None) as client:
        client.ping()
        server.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
    server.thaw()
    with server.client() as client:
        assert client.ping()


def test_closed_server_leaves_no_folder() -> None:
    server = RedisServer()
    server.start()
    server.close()
    assert not server.folder.exists()


def test_server_that_cannot_start_says_what_its_log_says() -> None:
    server = RedisServer(args=["--no-such-setting", "1"])
    with pytest.raises(RuntimeError, match="no-such-setting"):
        server.start()
    server.close()


def test_unknown_server_names_those_that_are_known() -> None:
    with pytest.raises(RuntimeError, match=r"no server 'nosuch'.*valkey"):
        RedisServer("nosuch")


async def test_server_is_an_async_context_too() -> None:
    async with RedisServer() as server:
        assert server.is_running
    assert not server.is_running
