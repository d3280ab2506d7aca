"""Bodies that break off or cannot be read: an answer where there can be one, and no fault of ours in the log."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from tests.support.http_server import Served, served_by
from tests.support.queue_api import Api, module_api
from tests.support.until import until

from toril.cli.http_connection import HttpConnection

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api

#: Sizes of chunks that are none.
BAD_CHUNKS: Final = (
    b"zz\r\n", b"-1\r\n", b"0x5\r\n", b" 5\r\n", b"5 5\r\n", b"fffffffffffffffff\r\n", b"\r\n", b"5\r\nabcdeXX",
    b"5;\0\r\n",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(queue_api: Api) -> AsyncIterator[Served]:
    async with served_by(queue_api.app, HttpConnection) as opened:
        yield opened


def head(api: Api, path: str, length: bytes = b"Transfer-Encoding: chunked") -> bytes:
    token = api.client.headers["authorization"].encode()
    return (
        b"POST " + path.encode() + b" HTTP/1.1\r\nHost: a\r\nAuthorization: " + token
        + b"\r\nContent-Type: application/json\r\n" + length + b"\r\n\r\n"
    )  # fmt: skip


def faults(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.exc_info or each.levelno >= logging.ERROR]


async def is_worked_on(served: Served) -> None:
    """Wait until the application has begun with what was sent."""

    async def is_so() -> bool:
        return bool(served.server.server_state.tasks)

    await until(is_so)


@pytest.mark.parametrize("bad", BAD_CHUNKS, ids=repr)
@pytest.mark.parametrize("path", ["/api/queues/cleanup/jobs", "/api/auth/login", "/api/keys"])
@pytest.mark.parametrize("together", [True, False], ids=["together", "later"])
async def test_a_bad_chunk_is_a_400_and_the_end_of_the_connection(
    queue_api: Api, served: Served, caplog: pytest.LogCaptureFixture, path: str, bad: bytes, together: bool
) -> None:
    caplog.set_level(logging.INFO)
    reader, writer = await asyncio.open_connection(*served.address)
    begun = head(queue_api, path) + b'9\r\n{"data": \r\n'
    async with asyncio.timeout(30):
        if together:
            writer.write(begun + bad)
        else:
            writer.write(begun)
            await is_worked_on(served)
            writer.write(bad)
        top, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert top.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in top.lower()
    assert json.loads(body)["error"]["code"] == "bad_request"
    await nothing_is_left(served)
    assert faults(caplog) == []


@pytest.mark.parametrize(
    "length", [b"Transfer-Encoding: chunked", b"Content-Length: 1000"], ids=["chunked", "length"]
)
async def test_who_hangs_up_in_the_middle_of_a_body_is_no_fault(
    queue_api: Api, served: Served, caplog: pytest.LogCaptureFixture, length: bytes
) -> None:
    caplog.set_level(logging.INFO)
    _, writer = await asyncio.open_connection(*served.address)
    writer.write(head(queue_api, "/api/queues/cleanup/jobs", length) + b'9\r\n{"data": \r\n')
    await is_worked_on(served)
    writer.transport.abort()
    await nothing_is_left(served)
    assert faults(caplog) == []
    assert [each.__dict__["status"] for each in caplog.records if each.getMessage() == "request"] == [0]


async def test_a_bad_chunk_behind_another_answer_does_not_get_into_it(queue_api: Api, served: Served) -> None:
    reader, writer = await asyncio.open_connection(*served.address)
    events = head(queue_api, "/api/queues/cleanup/events").replace(b"POST", b"GET", 1)
    events = events.replace(b"Transfer-Encoding: chunked\r\n", b"")
    async with asyncio.timeout(30):
        writer.write(events)
        before = await reader.readuntil(b": connected\n\n")
        writer.write(head(queue_api, "/api/queues/cleanup/jobs") + b"zz\r\n")
        rest = await reader.read()
    writer.close()
    assert before.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 400" not in rest
    await nothing_is_left(served)
    assert queue_api.web.feeds.open == 0


async def nothing_is_left(served: Served) -> None:
    async def is_so() -> bool:
        return not served.connections and not served.server.server_state.tasks

    await until(is_so)
