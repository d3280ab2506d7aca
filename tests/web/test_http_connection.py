"""Connections that send too little or too much before there is a request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.support.until import until

from toril.cli.http_connection import LARGEST_HEAD, HttpConnection

GET = b"GET / HTTP/1.1\r\nHost: toril.example\r\n"


#: Seconds for what should come at once.
WITHIN = 60.0


async def _hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body, and answers with its length."""
    if scope["type"] != "http":
        return
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    text = str(length).encode()
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


@pytest.fixture
def application() -> ASGIApp:
    return _hello


@pytest.fixture
def head_within() -> float:
    """Seconds for a head: more than a test takes, unless its end is what is tested."""
    return 2 * WITHIN


@pytest.fixture
async def port(
    application: ASGIApp, head_within: float, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[int]:
    """Of a server with such connections."""
    monkeypatch.setattr(HttpConnection, "head_within", head_within)
    config = uvicorn.Config(
        application, http=HttpConnection, lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))

        async def is_up() -> bool:
            return server.started

        await until(is_up, within_s=WITHIN)
        yield listening.getsockname()[1]
        server.should_exit = True
        await serving


async def _ended_after(port: int, sent: bytes) -> tuple[bytes, float]:
    """What came until the connection was ended, and how many seconds after it was begun that was."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(WITHIN):
            received = await reader.read()
        return received, time.monotonic() - began
    finally:
        writer.close()


@pytest.mark.parametrize(
    "sent", [b"", b"GET", GET, GET + b"X-Slow: 1", b"\r\n"], ids=["none", "start", "head", "header", "blank"]
)
@pytest.mark.parametrize("head_within", [0.5])
async def test_a_connection_without_a_whole_head_is_ended(port: int, sent: bytes) -> None:
    received, took = await _ended_after(port, sent)
    assert received == b""
    assert took >= 0.5


@pytest.mark.parametrize("head_within", [1.0])
async def test_a_second_request_after_a_pause_must_come_in_time_too(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET + b"\r\n")
    assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
    writer.write(b"\r\n")  # ends the pause that the server grants
    async with asyncio.timeout(WITHIN):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("head_within", [1.0])
async def test_a_body_may_come_later_than_the_head_had_to(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: toril.example\r\nContent-Length: 300000\r\n\r\n")
    half = b"a" * 150_000
    writer.write(half)
    await writer.drain()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):  # longer than the head had
            await reader.read(1)
    writer.write(half)
    assert (await reader.readuntil(b"300000")).startswith(b"HTTP/1.1 200")
    writer.write(GET + b"\r\n")
    assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
    writer.close()


async def _assert_it_is_cut_off(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, many: bool
) -> None:
    """Go on with a head, in many headers or in one, until the connection is ended."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while not reader.at_eof() and sent < 100 * LARGEST_HEAD:
            writer.write(b"X-More: 1\r\n" * 1000 if many else b"a" * 11_000)
            sent += 11_000
            await writer.drain()
            await asyncio.sleep(0)
    assert sent < 100 * LARGEST_HEAD
    writer.close()


@pytest.mark.parametrize("many", [True, False], ids=["many", "one"])
async def test_a_head_without_an_end_is_refused(port: int, many: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET + (b"" if many else b"X-Long: "))
    await _assert_it_is_cut_off(reader, writer, many)


async def test_refusals_are_in_the_envelope_of_the_api(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET + b"X-Long: " + b"a" * LARGEST_HEAD)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["error"]["code"] == "head_too_large"
    writer.close()
    received, _ = await _ended_after(port, b"no request\r\n\r\n")
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["success"] is False


async def _never(scope: Scope, receive: Receive, send: Send) -> None:
    """Begins an answer that does not end, as polls, streams and downloads do not for long."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"transfer-encoding", b"chunked")]}
    )
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.mark.parametrize("many", [True, False], ids=["many", "one"])
@pytest.mark.parametrize("application", [_never])
async def test_a_head_without_an_end_is_refused_while_an_answer_is_under_way(port: int, many: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET + b"\r\n")
    await reader.readuntil(b"begun")
    writer.write(GET + (b"" if many else b"X-Long: "))
    await _assert_it_is_cut_off(reader, writer, many)


@pytest.mark.parametrize("application", [_never])
@pytest.mark.parametrize("head_within", [1.0])
async def test_a_second_head_must_come_in_time_while_an_answer_is_under_way(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET + b"\r\n")
    await reader.readuntil(b"begun")
    writer.write(GET)
    async with asyncio.timeout(WITHIN):
        await reader.read()
    writer.close()
