"""Bodies that take long to come hold nobody else up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest
from tests.support.web_site import Site

#: What takes a body and writes a record, and a body of each.
WRITES: Final = {
    "/api/keys": b'{"name": "machine", "scopes": ["queues:read"]}',
    "/api/notifications/read": b"{}",
    "/api/push/subscriptions": b'{"endpoint": "https://push.example/1", "keys": {"p256dh": "AA", "auth": "AA"}}',
}


@pytest.mark.parametrize("path", WRITES)
async def test_records_are_written_while_a_body_is_still_on_its_way(site: Site, path: str) -> None:
    await site.add_user()
    token = (await site.sign_in())["accessToken"]
    asked_for, rest = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield WRITES[path][:1]
        asked_for.set()
        await rest.wait()
        yield WRITES[path][1:]

    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    slow = asyncio.create_task(site.client.post(path, content=body(), headers=headers))
    try:
        async with asyncio.timeout(60):
            await asked_for.wait()
            assert (await site.login()).status_code == 200
    finally:
        rest.set()
        answer: httpx.Response = await slow
    assert answer.status_code in (200, 201, 400), answer.text
