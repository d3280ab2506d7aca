"""Fresh databases for tests, with all tables, on SQLite and on PostgreSQL.

Import the fixtures ``databases`` and ``database`` into a ``conftest.py`` to have them.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer, postgres_binaries

from toril.db.session import Database

KINDS = ("sqlite", "postgresql")


class Databases:
    """Makes databases: migrates one of each kind, and copies it for every test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count(1)
        self._server: PostgresServer | None = None
        self._templates: set[str] = set()

    def server(self) -> PostgresServer:
        """The PostgreSQL server of this process; skips the test when there is none on this machine."""
        if postgres_binaries() is None:
            pytest.skip("no PostgreSQL on this machine")
        self._server = self._server or PostgresServer().start()
        return self._server

    async def empty(self, kind: str) -> str:
        """URL of a database without tables."""
        name = f"records_{next(self._numbers)}"
        if kind == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        server = self.server()
        await server.execute(f"CREATE DATABASE {name}")
        return server.url(name)

    async def fresh(self, kind: str) -> str:
        """URL of a database with all tables and no rows."""
        if kind not in self._templates:
            await self._make_template(kind)
        name = f"records_{next(self._numbers)}"
        if kind == "sqlite":
            shutil.copy(self.folder / "template.db", self.folder / f"{name}.db")
            return f"sqlite:///{self.folder / name}.db"
        await self.server().execute(f"CREATE DATABASE {name} TEMPLATE records_template")
        return self.server().url(name)

    async def _make_template(self, kind: str) -> None:
        if kind == "sqlite":
            url = f"sqlite:///{self.folder / 'template.db'}"
        else:
            await self.server().execute("CREATE DATABASE records_template")
            url = self.server().url("records_template")
        async with Database(url) as database:
            await database.upgrade()
        self._templates.add(kind)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Makes databases for this test run."""
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.close()


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[Database]:
    """An open database with all tables and no rows; the test runs once on each kind."""
    async with Database(await databases.fresh(request.param)) as opened:
        yield opened
