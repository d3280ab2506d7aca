"""Requests that no library would send, byte by byte: each gets its answer, and nobody else notices."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from tests.support.queue_api import Api, module_api, served

pytestmark = pytest.mark.asyncio(loop_scope="module")
api = module_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(api: Api) -> AsyncIterator[tuple[str, int]]:
    """Where the application listens."""
    async with served(api.app) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


async def talk(address: tuple[str, int], *sent: bytes, within_s: float = 15) -> bytes:
    """All that comes back for these bytes, until the other side hangs up."""
    async with asyncio.timeout(within_s):
        reader, writer = await asyncio.open_connection(*address)
        try:
            for each in sent:
                writer.write(each)
                await writer.drain()
            return await reader.read()
        except (ConnectionResetError, BrokenPipeError):
            return await reader.read()
        finally:
            writer.close()


def statuses(answers: bytes) -> list[int]:
    """The statuses of the answers that came over one connection."""
    return [int(each) for each in re.findall(rb"HTTP/1\.[01] (\d{3})", answers)]


CLOSE = b"Connection: close\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"GET /health/live HTTP/1.0\r\n\r\n", [200], id="HTTP/1.0"),
        pytest.param(b"GET /api/queues HTTP/1.0\r\n\r\n", [401], id="HTTP/1.0, no token"),
        pytest.param(b"GET /health/live HTTP/1.1\r\n" + CLOSE + b"\r\n", [200], id="no host"),
        pytest.param(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"GET /api/queues HTTP/1.1\r\nHost: a\r\n"
                     + CLOSE + b"\r\n", [200, 200, 200, 401], id="pipelined"),
        pytest.param(b"HEAD /health/live HTTP/1.1\r\nHost: a\r\n" + CLOSE + b"\r\n", [405], id="HEAD"),
        pytest.param(b"OPTIONS /api/queues HTTP/1.1\r\nHost: a\r\n" + CLOSE + b"\r\n", [405], id="OPTIONS"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n" + CLOSE + b"\r\n", [404], id="OPTIONS of the server"),
        pytest.param(b"BREW /api/queues HTTP/1.1\r\nHost: a\r\n" + CLOSE + b"\r\n", [400], id="no method"),
        pytest.param(b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n" + CLOSE + b"\r\n", [400], id="raw bytes in the path"),
        pytest.param(b"GET /api/queues/a b HTTP/1.1\r\nHost: a\r\n" + CLOSE + b"\r\n", [400], id="a space in the path"),
        pytest.param(b"nonsense\r\n\r\n", [400], id="nonsense"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", [400], id="a version to come"),
        pytest.param(b"GET /api/queues HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xe9\r\n" + CLOSE + b"\r\n", [401],
                     id="a token that is no ASCII"),
        pytest.param(b"GET /api/queues HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + b"x" * 60_000 + b"\r\n" + CLOSE
                     + b"\r\n", [401], id="a long token"),
        pytest.param(b"GET /api/queues HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\n" + CLOSE + b"\r\n", [401],
                     id="another scheme"),
        pytest.param(b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", [400],
                     id="a length below 0"),
        pytest.param(b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
                     [400], id="two lengths"),
        pytest.param(b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", [413],
                     id="a length past all"),
        pytest.param(b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                     b"Content-Type: application/json\r\n" + CLOSE + b"\r\n2\r\n{}\r\n0\r\n\r\n", [400], id="chunked"),
        pytest.param(b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
                     [400], id="no length of a chunk"),
        pytest.param(b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Request-ID: a b\tc\r\n" + CLOSE + b"\r\n", [200],
                     id="a request id that is none"),
    ],
)  # fmt: skip
async def test_odd_requests_get_their_answer(
    address: tuple[str, int], sent: bytes, status: list[int]
) -> None:
    answers = await talk(address, sent)
    assert statuses(answers) == status, answers
    assert b"a b\tc" not in answers


@pytest.mark.parametrize("length", [b"Content-Length: 17825792", b"Transfer-Encoding: chunked"])
async def test_a_body_past_the_limit_is_a_413_and_the_end_of_the_connection(
    api: Api, address: tuple[str, int], length: bytes
) -> None:
    token = api.client.headers["authorization"].encode()
    head = (
        b"POST /api/queues/cleanup/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: " + token
        + b"\r\nContent-Type: application/json\r\n" + length + b"\r\n\r\n"
    )  # fmt: skip
    mebibyte = b"x" * 2**20
    part = mebibyte if b"Length" in length else b"100000\r\n" + mebibyte + b"\r\n"
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(head)
        answer = asyncio.create_task(reader.read())
        for _ in range(17):
            writer.write(part)
            await writer.drain()
        if b"Length" not in length:
            writer.write(b"0\r\n\r\n")
        got = await answer
        writer.close()
    assert statuses(got) == [413], got[:500]
    assert b"body_too_large" in got


async def test_one_who_does_not_finish_a_request_keeps_nobody_waiting(
    api: Api, address: tuple[str, int]
) -> None:
    token = api.client.headers["authorization"].encode()
    _, slow = await asyncio.open_connection(*address)
    slow.write(
        b"POST /api/queues/cleanup/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: " + token
        + b"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )  # fmt: skip
    answers = await talk(address, b"GET /health/live HTTP/1.0\r\n\r\n", within_s=60)
    assert statuses(answers) == [200]
    slow.close()
