"""Transactions: what they keep, what they undo, what they see, and how they fail."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from tests.support.databases import KINDS, Databases
from tests.support.postgres import PostgresServer, postgres_binaries
from tests.support.records import add_client, add_firm, add_user

from toril.db.errors import (
    DatabaseSchemaError,
    DatabaseUnavailableError,
    RecordConflictError,
    RecordValueError,
)
from toril.db.models import Client, Firm
from toril.db.session import Database
from toril.errors import ConfigurationError, TorilError


async def add_firm_and_fail(database: Database) -> None:
    async with database.session() as session:
        await add_firm(session)
        raise KeyError("of the caller")


async def count_firms(database: Database) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(Firm)) or 0


async def test_a_session_commits_at_its_end(database: Database) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
    assert firm.name_en == "Al Mizan Law Firm", "records stay readable when the session is over"
    assert await count_firms(database) == 1


async def test_a_session_that_raises_undoes_everything(database: Database) -> None:
    with pytest.raises(KeyError, match="of the caller"):
        await add_firm_and_fail(database)
    assert await count_firms(database) == 0


async def test_a_cancelled_session_undoes_everything_and_leaves_no_lock(database: Database) -> None:
    stored = asyncio.Event()

    async def hang() -> None:
        async with database.session() as session:
            await add_firm(session)
            stored.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await stored.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5), database.session() as session:
        await add_firm(session)
    assert await count_firms(database) == 1


#: Takes a second or more when it is not stopped.
LONG = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(1)",
}


async def test_a_statement_that_is_cancelled_leaves_the_database_usable(database: Database) -> None:
    async def hang() -> None:
        async with database.session() as session:
            await add_firm(session)
            await session.execute(text(LONG[session.get_bind().dialect.name]))

    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hang(), 0.2)
    async with asyncio.timeout(10), database.session() as session:
        await add_firm(session)
    assert await count_firms(database) == 1


async def test_closing_waits_for_a_transaction_that_is_under_way(databases: Databases) -> None:
    url = await databases.fresh("sqlite")

    async def close_while_reading() -> None:
        database = Database(url)
        inside, on = asyncio.Event(), asyncio.Event()

        async def read() -> None:
            async with database.reading() as session:
                inside.set()
                await on.wait()
                await session.execute(text("SELECT 1"))

        reading = asyncio.create_task(read())
        await inside.wait()
        closing = asyncio.create_task(database.close())
        for _ in range(3):
            await asyncio.sleep(0)
        assert not closing.done()
        on.set()
        await asyncio.gather(reading, closing)
        async with database.reading() as session:  # closed, and used once more
            await session.execute(text("SELECT 1"))

    await close_while_reading()
    gc.collect()  # a connection that nobody closed complains when it is collected, and that fails a test


async def test_reading_sees_one_moment_however_long_it_takes(database: Database) -> None:
    async with database.reading() as session:
        before = await session.scalar(select(func.count()).select_from(Firm))
        async with database.session() as other:
            await add_firm(other)
        assert await session.scalar(select(func.count()).select_from(Firm)) == before == 0
    assert await count_firms(database) == 1


async def test_reading_cannot_write(database: Database) -> None:
    with pytest.raises((TorilError, DBAPIError), match=r"read-?only"):
        async with database.reading() as session:
            await add_firm(session)
    assert await count_firms(database) == 0


async def test_many_sessions_at_once_lose_nothing(database: Database) -> None:
    async def add() -> None:
        async with database.session() as session:
            # Reads first, as most do: with SQLite's own way to begin, all but one would fail.
            count = await session.scalar(select(func.count()).select_from(Firm))
            await add_firm(session, name_en=str(count))

    await asyncio.gather(*(add() for _ in range(40)))
    assert await count_firms(database) == 40


async def test_a_value_that_is_taken_is_a_conflict(database: Database) -> None:
    async with database.session() as session:
        await add_user(session, await add_firm(session), email="Sara@Firm.example ")
    with pytest.raises(RecordConflictError, match=r"uq_users_email|users\.email"):
        async with database.session() as session:
            await add_user(session, await add_firm(session), email="sara@firm.example")
    assert await count_firms(database) == 1


async def test_a_record_in_use_cannot_be_deleted(database: Database) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        client = await add_client(session, firm)
    with pytest.raises(RecordConflictError):
        async with database.session() as session:
            await session.execute(
                text("UPDATE clients SET firm_id = :other"), {"other": "507f1f77bcf86cd799439011"}
            )
    async with database.session() as session:
        await session.delete(await session.get_one(Firm, firm.id))
    async with database.reading() as session:
        assert await session.get(Client, client.id) is None, "what is the firm's goes with the firm"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_database_without_tables_says_how_to_make_them(databases: Databases, kind: str) -> None:
    async with Database(await databases.empty(kind)) as database:
        with pytest.raises(DatabaseSchemaError, match="toril db upgrade"):
            await count_firms(database)


async def test_a_fault_of_the_program_stays_what_it_is(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)syntax error"):
        async with database.session() as session:
            await session.execute(text("SELEKT"))


async def test_a_locked_sqlite_file_is_unavailable(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.db.engines.SQLITE_PATIENCE", 0.05)
    url = await databases.fresh("sqlite")
    holder = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    async with Database(url) as database:
        with pytest.raises(DatabaseUnavailableError, match="locked"):
            async with database.session():
                pytest.fail("it is locked")
        assert await count_firms(database) == 0, "reading goes on"
        holder.close()
        async with database.session() as session:
            await add_firm(session)


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "toril.db").write_text("minutes of the meeting " * 100)
    async with Database(home=tmp_path) as database:
        with pytest.raises(ConfigurationError, match=r"cannot be used.*not a database"):
            await count_firms(database)


async def test_an_absent_server_is_unavailable(tmp_path: Path) -> None:
    async with Database(f"postgresql://u:secret@/firm?host={tmp_path}") as database:
        with pytest.raises(DatabaseUnavailableError, match="cannot be reached") as caught:
            await count_firms(database)
    assert "secret" not in str(caught.value)


async def test_a_database_that_the_server_has_not_is_a_wrong_setting(databases: Databases) -> None:
    async with Database(databases.server().url("nowhere")) as database:
        with pytest.raises(ConfigurationError, match='"nowhere" does not exist'):
            await count_firms(database)


async def test_text_that_postgresql_cannot_keep_is_a_bad_value(databases: Databases) -> None:
    async with Database(await databases.fresh("postgresql")) as database:
        with pytest.raises(RecordValueError, match="too long"):
            async with database.session() as session:
                await add_firm(session, vat_number="3" * 16)


async def lose(server: PostgresServer, database: Database) -> None:
    async with database.session() as session:
        await asyncio.to_thread(server.stop)
        await add_firm(session)


@pytest.mark.skipif(postgres_binaries() is None, reason="no PostgreSQL on this machine")
async def test_a_server_that_comes_back_is_used_again() -> None:
    async with PostgresServer() as server, Database(server.url()) as database:
        await database.upgrade()
        async with database.session() as session:
            await add_firm(session)
        with pytest.raises(DatabaseUnavailableError, match="not available"):
            await lose(server, database)
        await asyncio.to_thread(server.start)
        assert await count_firms(database) == 1
