"""The database: sessions to read and write records, and its tables in the right version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from toril.db.engines import PoolLimits, reading_engine, writing_engine
from toril.db.failures import asking, connecting
from toril.db.file_lock import locked_file
from toril.db.migrate import SchemaVersion, downgrade, look, upgrade
from toril.db.url import database_url

#: Seconds that closing waits for transactions that are under way; they are short.
_ENDS_WITHIN: Final = 5.0


class Database:
    """All records of an installation, in one SQLite file or on a PostgreSQL server.

    Connects when the first session is opened. Close it, or use it with ``async with``.

    Args:
        url: ``postgresql://…`` or ``sqlite:///…``; None is a SQLite file in ``home``.
        home: folder of this installation.
        pool: how many connections it may have.

    Raises:
        ConfigurationError: the URL cannot be used, or a driver is not installed.
    """

    def __init__(
        self, url: str | None = None, *, home: Path = Path(".toril"), pool: PoolLimits | None = None
    ) -> None:
        self._url, pool = database_url(url, home=home), pool or PoolLimits()
        self._writing = writing_engine(self._url, pool)
        self._reading = reading_engine(self._url, pool)
        self._write = async_sessionmaker(self._writing, expire_on_commit=False)
        self._read = async_sessionmaker(self._reading, expire_on_commit=False)
        self._transactions = 0
        self._idle = asyncio.Event()
        self._closed = False

    def __str__(self) -> str:
        """Its address for people, without the password."""
        shown = self._url.set(drivername=self._url.get_backend_name())
        return shown.render_as_string(hide_password=True)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A transaction that may write: committed at the end of the block, undone when the block raises.

        Keep it short, and never wait for another service in it: on SQLite all writers wait for one another.

        Raises:
            DatabaseUnavailableError: not reached, lost, or locked for too long.
            DatabaseSchemaError: the tables are not there.
            RecordConflictError: a unique value is taken, a record is in use, or a check failed.
        """
        async with self._transaction(self._write) as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads. It sees all records as they were at one moment, however long it takes.

        Raises:
            As ``session``.
        """
        async with self._transaction(self._read) as session:
            yield session

    @asynccontextmanager
    async def only_one(self, name: str) -> AsyncIterator[None]:
        """A block that one task at a time is in, of all processes that work with these records; others wait.

        Records may be read and written in it as always: it holds up nobody but those who want the same.

        Args:
            name: of what is done; a plain word.

        Raises:
            As ``session``.
        """
        if self._url.get_backend_name() == "sqlite":
            async with locked_file(Path(f"{self._url.database}.{name}.lock")):
                yield
            return
        # In a transaction that does nothing else: it holds no rows, and keeps none from being vacuumed.
        async with self.session() as session:
            await session.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"toril:{name}"}
            )
            yield

    async def upgrade(self) -> SchemaVersion:
        """Make the tables, or bring them to this version. Safe when several processes do it at once.

        Raises:
            DatabaseSchemaError: the tables are those of a newer version.
            DatabaseUnavailableError, ConfigurationError: see ``session``.
        """
        return await upgrade(self._url, str(self))

    async def downgrade(self, revision: str) -> SchemaVersion:
        """Take the tables back to an earlier revision; ``base`` removes them all, with every record in them."""
        return await downgrade(self._url, str(self), revision)

    async def schema_version(self) -> SchemaVersion:
        """The revision of the tables that are there, and the one this version needs."""
        async with self.reading() as session:
            return await (await session.connection()).run_sync(look)

    async def close(self) -> None:
        """Close all connections, once transactions that are under way have ended. May be called twice."""
        self._closed = True
        if self._transactions:
            # A connection that comes back after its pool was disposed of would be closed by nobody.
            with suppress(TimeoutError):
                async with asyncio.timeout(_ENDS_WITHIN):
                    await self._idle.wait()
        await self._dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def _transaction(self, sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
        self._transactions += 1
        self._idle.clear()
        try:
            with asking(str(self)):
                async with sessions.begin() as session:
                    with connecting(str(self)):
                        await session.connection()
                    yield session
        finally:
            self._transactions -= 1
            if not self._transactions:
                self._idle.set()
                if self._closed:  # it was used once more
                    await self._dispose()

    async def _dispose(self) -> None:
        await self._reading.dispose()
        await self._writing.dispose()
