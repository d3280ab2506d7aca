"""Every endpoint that the API describes, called by somebody who takes for ever over it: others are answered meanwhile,
and the slow one is not waited for. A new endpoint is in here by itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.support.databases import Databases
from tests.support.described_api import operations
from tests.support.loop_turns import HALF_A_SECOND, watched, yardstick
from tests.support.queue_api import DATA, Api, open_api, served

from toril.cli.http_connection import HttpConnection
from toril.db.ids import new_id
from toril.settings import Settings
from toril.web import create_app
from toril.web.middleware.deadline import Deadline

EVERYTHING = operations(create_app(Settings(home=Path("nowhere"), secret="s" * 40)).openapi())
SOCKETS = [("GET", "/socket.io/?EIO=4&transport=polling"), ("POST", "/socket.io/?EIO=4&transport=polling")]
CALLS = [
    *((each.method, each.url(lambda name: {"name": "report"}.get(name, "nobody"))) for each in EVERYTHING),
    *SOCKETS,
]

#: Seconds until whatever a test waits for; far more than it takes.
WITHIN = 60.0


class _Hasty(HttpConnection):
    head_within = 2.0


@pytest.fixture
async def api(start_server: Any, databases: Databases, tmp_path: Path) -> AsyncIterator[Api]:
    database_url = await databases.fresh("sqlite")
    async with open_api(
        start_server("valkey").url, f"t{new_id()}", tmp_path, database_url=database_url
    ) as opened:
        await opened.client.get("/health/live")  # the layers are made for the first request
        layer: Any = opened.app.middleware_stack
        while layer is not None:
            for deadline in (layer, getattr(layer, "_sent", None), getattr(layer, "_awaited", None)):
                if isinstance(deadline, Deadline):
                    deadline._seconds = 6.0
            layer = getattr(layer, "app", None) or getattr(layer, "_app", None)
        yield opened


def beginning(api: Api, method: str, url: str, *, whole_head: bool) -> bytes:
    """A request that stops in its head, or in its body."""
    head = (
        f"{method} {url} HTTP/1.1\r\nHost: toril.example\r\nAuthorization: {api.client.headers['authorization']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n"
    )
    return f'{head}\r\n{{"'.encode() if whole_head else head.encode()


async def what_comes(address: str, sent: bytes) -> bytes:
    """All that comes back until the other side hangs up, or there has been an answer."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(sent)
        received = b""
        while part := await reader.read(65_536):
            received += part
            if b"Content-Length: 1000\r\n\r\n" in sent and re.match(rb"HTTP/1.1 \d\d\d", received):
                break
        return received
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("whole_head", [False, True], ids=["in the head", "in the body"])
async def test_who_stops_in_the_middle_keeps_nobody_waiting(api: Api, whole_head: bool) -> None:
    async with (
        served(api.app, http=_Hasty) as address,
        httpx.AsyncClient(base_url=address, headers=api.client.headers, timeout=WITHIN) as other,
        asyncio.timeout(2 * WITHIN),
    ):
        slow = [
            asyncio.create_task(what_comes(address, beginning(api, *call, whole_head=whole_head)))
            for call in CALLS
            for _ in range(2)
        ]
        with watched() as turns:
            for _ in range(5):
                assert (await other.get("/health/live")).status_code == 200
                assert (await other.get("/api/auth/me")).status_code == 200
                assert (await other.post("/api/queues/cleanup/jobs", json={"data": DATA})).status_code == 201
            answers = await asyncio.gather(*slow)
        assert turns.longest < HALF_A_SECOND * yardstick(fresh=True)
    for (method, url), answer in zip([call for call in CALLS for _ in range(2)], answers, strict=True):
        assert len(answer) < 100_000, f"{method} {url}"
        if not whole_head:
            assert answer == b"", f"{method} {url}: {answer[:200]!r}"
        elif method != "GET":
            assert re.match(rb"HTTP/1.1 (200|201|400|401|403|404|409|413|415|503)", answer), (
                f"{method} {url}: {answer[:200]!r}"
            )
