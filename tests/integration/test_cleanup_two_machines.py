"""The audit log archived by two machines, each with a folder of its own, that share the records: no entry twice."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from toril.db.models.access import AuditEntry
from toril.db.models.archive_claims import ArchiveClaim
from toril.db.repositories.archive_claims import ArchiveClaims
from toril.db.repositories.audit import AuditLog
from toril.db.session import Database
from toril.queues.cleanup.archive import CLAIMED, AuditArchive

ENTRIES = 250
_write = AuditArchive._write


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toril.queues.cleanup.archive.STEP", 100)
    monkeypatch.setattr("toril.queues.cleanup.archive.BATCH", 30)
    monkeypatch.setattr("toril.queues.cleanup.archive.PAUSE", 0)


@pytest.fixture
async def before(database: Database) -> datetime:
    old = datetime.now(UTC) - timedelta(days=200)
    rows = [
        {"action": "queue.pause", "details": {"n": n}, "at": old + timedelta(seconds=n)}
        for n in range(ENTRIES)
    ]
    async with database.session() as session:
        await session.execute(insert(AuditEntry), rows)
    return old + timedelta(days=1)


async def left(database: Database, model: Any = AuditEntry) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


def archived(*folders: Path) -> list[int]:
    """Numbers of all entries in all archives."""
    return sorted(
        json.loads(line)["details"]["n"]
        for folder in folders
        for path in folder.glob("*.gz")
        for line in gzip.decompress(path.read_bytes()).splitlines()
    )


async def finish(before: datetime, *machines: AuditArchive) -> None:
    for machine in machines:
        while await machine.store_next(before):
            pass


def in_the_middle(monkeypatch: pytest.MonkeyPatch, of: AuditArchive, do: Callable[[], Any]) -> None:
    """Have something done, once, while the archive's first file is about to be written."""
    loop, left = asyncio.get_running_loop(), [do]

    def write(self: AuditArchive, path: Path, lines: list[bytes]) -> None:
        if self is of and left:
            asyncio.run_coroutine_threadsafe(left.pop()(), loop).result(60)
        _write(self, path, lines)

    monkeypatch.setattr(AuditArchive, "_write", write)


async def test_a_lock_that_was_lost_archives_nothing_twice(
    database: Database, before: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL was restarted: the lock is gone with its connection, and another machine begins."""
    monkeypatch.setattr(Database, "only_one", lambda self, name: nullcontext())
    one, other = AuditArchive(database, tmp_path / "1"), AuditArchive(database, tmp_path / "2")
    found: list[Any] = []

    async def meanwhile() -> None:
        found.append(await other.store_next(before))

    in_the_middle(monkeypatch, one, meanwhile)
    await finish(before, one)
    assert found == [None]
    assert archived(tmp_path / "1", tmp_path / "2") == list(range(ENTRIES))
    assert (await left(database), await left(database, ArchiveClaim)) == (0, 0)


async def test_two_runs_in_one_folder_without_a_lock_write_one_file(
    database: Database, before: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "only_one", lambda self, name: nullcontext())
    one, other = AuditArchive(database, tmp_path), AuditArchive(database, tmp_path)

    async def meanwhile() -> None:
        assert await other.store_next(before) is not None

    in_the_middle(monkeypatch, one, meanwhile)
    await finish(before, one)
    assert archived(tmp_path) == list(range(ENTRIES))
    assert (await left(database), await left(database, ArchiveClaim)) == (0, 0)


@pytest.mark.parametrize("at", ["before the file", "before it is noted", "before entries go", "among them"])
async def test_what_a_machine_was_killed_with_is_archived_once_by_itself_or_another(
    database: Database, before: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    dies = {"before the file": 0, "before it is noted": 0, "before entries go": 1, "among them": 2}[at]
    one, calls = AuditArchive(database, tmp_path / "1"), 0
    delete = AuditLog.delete

    def kill(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    async def delete_some(self: AuditLog, ids: Any) -> int:
        nonlocal calls
        calls += 1
        return kill() if calls == dies else await delete(self, ids)

    with monkeypatch.context() as patch:
        if at == "before the file":
            patch.setattr(AuditArchive, "_write", kill)
        if at == "before it is noted":
            patch.setattr(ArchiveClaims, "written", kill)
        patch.setattr(AuditLog, "delete", delete_some)
        with pytest.raises(KeyboardInterrupt):
            await one.store_next(before)

    # At once another machine takes nothing that may be in a file of the first; it deletes what surely is.
    is_whole = at in ("before entries go", "among them")
    other = AuditArchive(database, tmp_path / "2")
    assert (await other.store_next(before) is not None) is is_whole
    assert archived(tmp_path / "2") == []
    await finish(before, one, other)
    assert archived(tmp_path / "1", tmp_path / "2") == list(range(ENTRIES))
    assert (await left(database), await left(database, ArchiveClaim)) == (0, 0)


async def test_what_a_machine_claimed_that_is_gone_for_good_is_taken_over(
    database: Database, before: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = [datetime.now(UTC)]
    other = AuditArchive(database, tmp_path / "2", now=lambda: later[0])

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AuditArchive, "_write", kill)
        with pytest.raises(KeyboardInterrupt):
            await AuditArchive(database, tmp_path / "1").store_next(before)
    assert await other.store_next(before) is None
    later[0] += CLAIMED + timedelta(seconds=10)
    await finish(before, other)
    assert archived(tmp_path / "2") == list(range(ENTRIES))
    assert (await left(database), await left(database, ArchiveClaim)) == (0, 0)
