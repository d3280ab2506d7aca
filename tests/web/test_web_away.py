"""Requests while the queue server or the database is away: an answer at once, and all as before when it is back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.databases import Databases
from tests.support.postgres import PostgresServer, postgres_binaries
from tests.support.servers import RedisServer
from tests.support.until import until
from tests.support.web_site import Site, code_of, open_site

from toril.db.session import Database
from toril.settings import Settings
from toril.web.auth import access


@pytest.fixture
async def settings(databases: Databases, prefix: str, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home",
        database_url=await databases.fresh("sqlite"),
        prefix=prefix,
        secret="a secret of tests, long enough for all",
    )


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    """A server of this test's own."""
    async with RedisServer(tcp=True) as started:
        yield started


async def checks(site: Site) -> tuple[int, dict[str, str]]:
    response = await site.client.get("/health/ready")
    return response.status_code, {name: each["status"] for name, each in response.json()["checks"].items()}


async def test_without_the_queue_server_requests_fail_at_once_and_recover(
    settings: Settings, server: RedisServer
) -> None:
    async with open_site(replace(settings, redis_url=server.url)) as site:
        await site.add_user()
        token = (await site.sign_in())["accessToken"]
        assert (await site.call("GET", "/api/probes/read", token)).status_code == 200
        server.kill()
        began = time.monotonic()
        for _ in range(20):
            response = await site.call("GET", "/api/probes/read", token)
            assert code_of(response)[0] == 503
            assert code_of(response)[1] in ("queue_unavailable", "connection_lost")
            assert int(response.headers["retry-after"]) >= 1
            assert str(server.port) not in response.text
        assert (
            time.monotonic() - began < 5
        )  # each alone could take a quarter of a second, and far more in a row

        async def unready() -> bool:
            return (await checks(site))[1]["queues"] == "unavailable"

        await until(unready)
        assert (await site.client.get("/health/live")).status_code == 200
        assert (await site.call("GET", "/api/auth/me", token)).status_code == 200  # needs no queue
        server.start()

        async def back() -> bool:
            return (await site.call("GET", "/api/probes/read", token)).status_code == 200

        await until(back, within_s=60)


async def test_a_server_that_neither_answers_nor_hangs_up_does_not_hold_health_up(
    settings: Settings, server: RedisServer
) -> None:
    async with open_site(replace(settings, redis_url=server.url)) as site:
        assert (await checks(site))[1]["queues"] == "ok"
        server.freeze()

        async def unready() -> bool:
            return (await checks(site))[1]["queues"] == "unavailable"

        await until(unready, within_s=60)
        server.thaw()


@pytest.mark.skipif(postgres_binaries() is None, reason="no PostgreSQL on this machine")
async def test_without_the_database_requests_fail_at_once_and_recover(
    settings: Settings, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "TRUSTED_FOR", 0.0)
    async with PostgresServer() as postgres:
        async with Database(postgres.url()) as database:
            await database.upgrade()
        chosen = replace(settings, redis_url=server.url, database_url=postgres.url())
        async with open_site(chosen) as site:
            await site.add_user()
            token = (await site.sign_in())["accessToken"]
            postgres.stop()
            for response in (await site.login(), await site.call("GET", "/api/auth/me", token)):
                assert code_of(response) == (503, "database_unavailable")
                assert "postgresql" not in response.text
                assert response.headers["retry-after"]
            assert (await checks(site))[1] == {
                "queues": "ok",
                "database": "unavailable",
                "workers": "unavailable",
            }
            postgres.start()
            assert (await site.call("GET", "/api/auth/me", token)).status_code == 200
