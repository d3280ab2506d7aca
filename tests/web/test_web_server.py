"""The HTTP part of ``toril serve``, from its socket to its end."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
from tests.support.servers import RedisServer

from toril.cli.web_server import WebServer, listen
from toril.settings import Settings
from toril.web.auth.people import FIRST_ADMIN


async def test_a_stop_does_not_wait_for_readers_of_events(tmp_path: Path) -> None:
    async with RedisServer("valkey", tcp=True) as redis:
        settings = Settings(
            home=tmp_path / "home", redis_url=redis.url, secret="a secret of tests, long enough for all"
        )
        serving = WebServer(settings, listen("127.0.0.1", 0))
        await serving.start()
        async with httpx.AsyncClient(base_url=serving.url) as client:
            person = {"email": FIRST_ADMIN, "password": serving.first_password}
            tokens = (await client.post("/api/auth/login", json=person)).json()["data"]
            headers = {"Authorization": f"Bearer {tokens['accessToken']}"}
            async with client.stream("GET", "/api/queues/cleanup/events", headers=headers) as events:
                parts = events.aiter_text()
                assert "connected" in await anext(parts)
                began = time.monotonic()
                await serving.close()
                assert time.monotonic() - began < 20
                assert "event:" not in "".join([part async for part in parts])
