"""The application on each kind of database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.support.databases import KINDS, Databases, databases
from tests.support.servers import RedisServer
from tests.support.web_people import make_firm
from tests.support.web_site import Site, open_site

from toril.settings import Settings

__all__ = ["databases"]


@pytest.fixture(params=KINDS)
async def site_settings(
    request: pytest.FixtureRequest,
    databases: Databases,
    start_server: Callable[[str], RedisServer],
    prefix: str,
    tmp_path: Path,
) -> Settings:
    """Settings of an application with an empty database."""
    return Settings(
        home=tmp_path / "home",
        database_url=await databases.fresh(request.param),
        redis_url=start_server("valkey").url,
        prefix=prefix,
        secret="a secret of tests, long enough for all",
    )


@pytest.fixture
async def site(site_settings: Settings) -> AsyncIterator[Site]:
    """A running application."""
    async with open_site(site_settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def firm_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the database of a firm, to be copied."""
    home = tmp_path_factory.mktemp("firm") / "home"
    asyncio.run(make_firm(home))
    return home
