"""The audit log is archived without holding up those who write, on records that many others use."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select
from tests.support.databases import KINDS, Databases

from toril.db.models.access import AuditEntry
from toril.db.session import Database
from toril.queues.cleanup.archive import BATCH, AuditArchive

ENTRIES = 2300


async def old_entries(database: Database) -> datetime:
    """Entries of 200 days ago; returns a moment after them."""
    old = datetime.now(UTC) - timedelta(days=200)
    rows = [{"action": "queue.pause", "details": {"n": n}, "at": old} for n in range(ENTRIES)]
    async with database.session() as session:
        await session.execute(insert(AuditEntry), rows)
    return old + timedelta(days=1)


def deletes_of_transactions(database: Database) -> list[int]:
    """How many rows each writing transaction deletes, from now on."""
    counted: list[int] = []
    engine = database._writing.sync_engine

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        counted.append(0)

    @event.listens_for(engine, "after_cursor_execute")
    def after(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("DELETE FROM audit_log"):
            counted[-1] += len(parameters)

    return counted


async def test_no_transaction_deletes_many_entries(database: Database, tmp_path: Path) -> None:
    before = await old_entries(database)
    counted = deletes_of_transactions(database)
    stored = await AuditArchive(database, tmp_path).store_next(before)
    assert stored is not None
    assert stored[1] == ENTRIES == sum(counted)
    assert max(counted) <= BATCH


async def test_others_write_while_the_file_is_written(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite, where one writes at a time; the other one does not even wait."""
    url = await databases.fresh("sqlite")
    written: list[int] = []
    write = AuditArchive._write

    def beside(self: AuditArchive, path: Path, lines: list[bytes]) -> None:
        other = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0)
        written.append(other.execute("UPDATE audit_log SET target = 'seen' WHERE target IS NULL").rowcount)
        other.rollback()
        other.close()
        write(self, path, lines)

    monkeypatch.setattr(AuditArchive, "_write", beside)
    async with Database(url) as database:
        before = await old_entries(database)
        stored = await AuditArchive(database, tmp_path).store_next(before)
    assert written == [ENTRIES]
    assert stored is not None
    assert stored[1] == ENTRIES


@pytest.mark.parametrize("kind", KINDS)
async def test_one_task_of_all_processes_is_in_a_block(databases: Databases, kind: str) -> None:
    url, inside, most = await databases.fresh(kind), 0, 0

    async def enter() -> None:
        nonlocal inside, most
        async with Database(url) as own, own.only_one("counting"):
            inside += 1
            most = max(most, inside)
            async with own.session() as session:  # writers are not kept out
                session.add(AuditEntry(action="queue.pause"))
            await asyncio.sleep(0)
            inside -= 1

    async with Database(url) as database:
        held: Callable[[], Awaitable[None]] = enter
        await asyncio.gather(*(held() for _ in range(5)))
        async with database.only_one("another"), database.only_one("counting"):
            pass
        async with database.reading() as session:
            assert await session.scalar(select(func.count()).select_from(AuditEntry)) == 5
    assert most == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_whoever_waits_gets_in_when_the_one_inside_is_cancelled(
    databases: Databases, kind: str
) -> None:
    async with Database(await databases.fresh(kind)) as database:
        entered = asyncio.Event()

        async def stay() -> None:
            async with database.only_one("staying"):
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(stay())
        await entered.wait()
        task.cancel()
        async with asyncio.timeout(30), database.only_one("staying"):
            assert task.done() or task.cancelling()
        await asyncio.gather(task, return_exceptions=True)
