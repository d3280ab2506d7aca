"""Each cleanup on real records, files and jobs: what goes, what stays, and that a dry run deletes nothing."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.support.steps import fail, take

from toril.db.models.access import AuditEntry, OneTimeToken, Session, TokenPurpose
from toril.db.models.deliveries import Delivery
from toril.db.models.firms import Role, User
from toril.db.models.mail import BulkSend
from toril.db.models.notifications import Notification
from toril.db.repositories.audit import AuditLog
from toril.db.session import Database
from toril.engine.queue import Queue
from toril.errors import UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.cleanup.archive import ArchiveError
from toril.queues.cleanup.definition import cleanup_queue
from toril.queues.cleanup.failed_jobs import FailedJobs
from toril.queues.cleanup.processors import Cleaner
from toril.queues.registry import make_worker
from toril.service import QueueService


def now() -> datetime:
    """When the test runs, which may be long after it was collected."""
    return datetime.now(UTC)


class Running:
    """A job as a processor sees it."""

    def __init__(self, type: str, **data: Any) -> None:
        self.id, self.attempts_made = "1", 0
        self.data = {"type": type, "data": data}
        self.progress: list[Any] = []
        self.rows: list[str] = []

    async def update_progress(self, progress: Any) -> None:
        self.progress.append(progress)

    async def log(self, row: str) -> int:
        self.rows.append(row)
        return len(self.rows)


@pytest.fixture
def definition(database: Database, tmp_path: Path) -> QueueDefinition:
    async def none(older_than: float, dry_run: bool) -> dict[str, int]:
        return {}

    cleaner = Cleaner(
        database,
        log_folders=[tmp_path / "logs"],
        temp_folders=[tmp_path / "temp"],
        archive_folder=tmp_path / "archive",
        purge_failed_jobs=none,
    )
    return cleanup_queue(cleaner)


async def add(database: Database, *rows: Any) -> None:
    async with database.session() as session:
        session.add_all(rows)


def lines_of(archive: str) -> list[bytes]:
    return gzip.decompress(Path(archive).read_bytes()).splitlines()


async def count(database: Database, model: Any) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def a_user(database: Database) -> str:
    user = User(email="ada@firm.example", name="Ada", role=Role.STAFF)
    await add(database, user)
    return user.id


@pytest.mark.parametrize("dry_run", [True, False])
async def test_ended_sessions_go(database: Database, definition: QueueDefinition, dry_run: bool) -> None:
    user_id = await a_user(database)
    day = timedelta(days=1)
    await add(
        database,
        *(Session(user_id=user_id, token_hash=f"e{n}", expires_at=now() - day) for n in range(1200)),
        Session(user_id=user_id, token_hash="r", expires_at=now() + day, revoked_at=now() - day),
        Session(user_id=user_id, token_hash="good", expires_at=now() + day),
    )
    job = Running("sessions", dryRun=dry_run)
    result = await definition.process(job)
    deleted = 0 if dry_run else 1201
    assert result == {"success": True, "dryRun": dry_run, "foundCount": 1201, "deletedCount": deleted}
    assert await count(database, Session) == 1202 - deleted
    assert job.progress[-1] == 100


async def test_spent_tokens_go(database: Database, definition: QueueDefinition) -> None:
    user_id = await a_user(database)
    hour = timedelta(hours=1)

    def token(name: str, **times: datetime) -> OneTimeToken:
        return OneTimeToken(user_id=user_id, purpose=TokenPurpose.OTP, token_hash=name, **times)

    await add(
        database,
        token("expired", expires_at=now() - hour),
        token("used", expires_at=now() + hour, used_at=now() - hour),
        token("good", expires_at=now() + hour),
    )
    assert (await definition.process(Running("tokens")))["deletedCount"] == 2
    assert await count(database, OneTimeToken) == 1


async def test_only_notifications_that_were_read_go(database: Database, definition: QueueDefinition) -> None:
    old = now() - timedelta(days=100)
    await add(
        database,
        *(
            Notification(user_id="u", title=str(n), message="m", created_at=old, read_at=read_at)
            for n, read_at in enumerate((old, now() - timedelta(days=80), None))
        ),
    )
    assert (await definition.process(Running("notifications")))["deletedCount"] == 1
    assert (await definition.process(Running("notifications", retentionDays=30)))["deletedCount"] == 1
    assert await count(database, Notification) == 1


@pytest.mark.parametrize("dry_run", [True, False])
async def test_old_notes_of_what_was_sent_go(
    database: Database, definition: QueueDefinition, dry_run: bool
) -> None:
    def days_ago(days: int) -> datetime:
        return now() - timedelta(days=days)

    await add(
        database,
        *(Delivery(job=f"n:{n}", recipient="+966512345678", created_at=days_ago(31)) for n in range(700)),
        Delivery(job="n:new", recipient="+966512345678", created_at=days_ago(29)),
        *(BulkSend(job=f"e:{n}", email="a@b.example", created_at=days_ago(31)) for n in range(501)),
        BulkSend(job="e:new", email="a@b.example", created_at=days_ago(29)),
    )
    job = Running("deliveries", dryRun=dry_run)
    result = await definition.process(job)
    deleted = 0 if dry_run else 1201
    assert result == {"success": True, "dryRun": dry_run, "foundCount": 1201, "deletedCount": deleted}
    left = await count(database, Delivery), await count(database, BulkSend)
    assert left == ((701, 502) if dry_run else (1, 1))
    assert job.progress == sorted(job.progress)
    assert (await definition.process(Running("deliveries", retentionDays=7)))["deletedCount"] == sum(left)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_old_audit_entries_are_archived_and_verified(
    database: Database,
    definition: QueueDefinition,
    tmp_path: Path,
    dry_run: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("toril.queues.cleanup.archive.STEP", 100)
    old = now() - timedelta(days=200)
    entries = [
        AuditEntry(action="queue.pause", target=f"ق{n}", details={"n": n}, at=old + timedelta(seconds=n))
        for n in range(250)
    ]
    await add(database, *entries, AuditEntry(action="queue.resume", at=now()))
    result = await definition.process(Running("audit-logs", dryRun=dry_run))
    assert (result["foundCount"], result["deletedCount"]) == (250, 0 if dry_run else 250)
    assert await count(database, AuditEntry) == (251 if dry_run else 1)
    assert len(result["archivedFiles"]) == (0 if dry_run else 3)
    rows = [json.loads(line) for path in result["archivedFiles"] for line in lines_of(path)]
    if not dry_run:
        assert [row["details"]["n"] for row in rows] == list(range(250))
        assert rows[3]["target"] == "ق3"


def archived(folder: Path) -> list[int]:
    """Numbers of all entries in all archives."""
    return [json.loads(line)["details"]["n"] for path in folder.glob("*.gz") for line in lines_of(str(path))]


async def test_a_run_that_is_cut_off_at_any_point_archives_each_entry_once(
    database: Database, definition: QueueDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.queues.cleanup.archive.STEP", 1000)
    old = now() - timedelta(days=200)

    async def write(numbers: range) -> None:
        entries = [
            AuditEntry(action="queue.pause", details={"n": n}, at=old + timedelta(seconds=n)) for n in numbers
        ]
        await add(database, *entries)

    await write(range(700))
    delete = AuditLog.delete
    calls = 0

    async def killed(self: AuditLog, ids: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return await delete(self, ids)

    monkeypatch.setattr(AuditLog, "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        await definition.process(Running("audit-logs"))
    assert len(archived(tmp_path / "archive")) == 700
    await write(range(700, 800))  # have become old meanwhile
    result = await definition.process(Running("audit-logs"))
    assert result["deletedCount"] == 600  # the run that was cut off deleted 200, the newest of its file
    assert sorted(archived(tmp_path / "archive")) == list(range(800))
    assert await count(database, AuditEntry) == 0


async def test_two_runs_at_once_archive_each_entry_once(
    database: Database, definition: QueueDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.queues.cleanup.archive.STEP", 100)
    old = now() - timedelta(days=200)
    rows = [
        AuditEntry(action="queue.pause", details={"n": n}, at=old + timedelta(seconds=n)) for n in range(450)
    ]
    await add(database, *rows)
    results = await asyncio.gather(*(definition.process(Running("audit-logs")) for _ in range(3)))
    while await count(database, AuditEntry):  # one may have ended while another still had the rest
        results.append(await definition.process(Running("audit-logs")))
    assert sorted(archived(tmp_path / "archive")) == list(range(450))
    assert sum(result["deletedCount"] for result in results) == 450


async def test_a_full_disk_deletes_nothing_and_leaves_no_half_file(
    database: Database, definition: QueueDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(database, AuditEntry(action="queue.pause", at=now() - timedelta(days=200)))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("toril.queues.cleanup.archive.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        await definition.process(Running("audit-logs"))
    assert await count(database, AuditEntry) == 1
    assert list((tmp_path / "archive").iterdir()) == []


async def test_an_archive_that_cannot_be_read_back_deletes_nothing(
    database: Database, definition: QueueDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(database, AuditEntry(action="queue.pause", at=now() - timedelta(days=200)))
    opened = gzip.open

    def damaged(*args: Any, **kwargs: Any) -> Any:
        Path(args[0]).write_bytes(gzip.compress(b"{}\n"))
        return opened(*args, **kwargs)

    monkeypatch.setattr("toril.queues.cleanup.archive.gzip.open", damaged)
    with pytest.raises(ArchiveError):
        await definition.process(Running("audit-logs"))
    assert await count(database, AuditEntry) == 1


async def test_old_files_go(definition: QueueDefinition, tmp_path: Path) -> None:
    for folder, name in (("logs", "app.log.1"), ("logs", "app.log"), ("temp", "x.part")):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"12345")
        os.utime(path, (time.time() - 40 * 86_400,) * 2)
    logs = await definition.process(Running("old-logs"))
    assert (logs["deletedCount"], logs["sizeBytes"], logs["failedCount"]) == (1, 5, 0)
    assert (tmp_path / "logs/app.log").exists()
    assert (await definition.process(Running("temp-files", maxAgeHours=24)))["deletedCount"] == 1


async def test_old_failed_jobs_of_all_queues_go(server_url: str, prefix: str) -> None:
    for name in ("one", "two"):
        async with Queue(name, url=server_url, prefix=prefix) as queue:
            old, new = await queue.add("n", {}), await queue.add("n", {})
            await take(queue, 2)
            await fail(queue, old.id)
            await fail(queue, new.id)
            key = queue.keys.of("failed")
            await queue.connection.execute("ZINCRBY", key, -8 * 86_400_000, old.id)
    jobs = FailedJobs(["one", "two", "three"], url=server_url, prefix=prefix)
    assert await jobs.purge(7 * 86_400, True) == {"one": 1, "two": 1, "three": 0}
    assert await jobs.purge(7 * 86_400, False) == {"one": 1, "two": 1, "three": 0}
    assert await jobs.purge(7 * 86_400, False) == {"one": 0, "two": 0, "three": 0}
    async with Queue("one", url=server_url, prefix=prefix) as queue:
        assert [job.id for job in await queue.get_failed()] == ["2"]


async def test_every_cleanup_is_worked(
    database: Database, definition: QueueDefinition, server_url: str, prefix: str
) -> None:
    async with QueueService([definition], url=server_url, prefix=prefix) as service:
        queue = service.queue("cleanup")
        async with make_worker(definition, queue):
            for type in definition.types:
                for data in ({}, {"dryRun": True}):
                    added = await service.schedule_cleanup(type, data)
                    job = await queue.get_job(added["jobId"])
                    assert job is not None
                    result = await job.result(timeout=60)
                    assert (result["success"], result["dryRun"]) == (True, bool(data)), type
                    status = await service.get_job_status("cleanup", added["jobId"])
                    assert status is not None
                    assert (status["progress"], status["returnValue"]) == (100, result), type
                    assert (status["options"]["attempts"], status["options"]["backoff"]["delay"]) == (
                        2,
                        30_000,
                    )


@pytest.mark.parametrize(
    ("type", "data", "field"),
    [
        ("old-logs", {"retentionDays": 0}, "retentionDays"),
        ("old-logs", {"retentionDays": "30"}, "retentionDays"),
        ("temp-files", {"maxAgeHours": -1}, "maxAgeHours"),
        ("sessions", {"dryRun": "yes"}, "dryRun"),
        ("tokens", {"extra": 1}, "extra"),
        ("notifications", {"retentionDays": 1.5}, "retentionDays"),
        ("audit-logs", {"archiveAfterDays": 99_999}, "archiveAfterDays"),
        ("failed-jobs", {"olderThanDays": None}, "olderThanDays"),
        ("deliveries", {"retentionDays": 6}, "retentionDays"),
        ("everything", {}, "unknown type 'everything'"),
    ],
)
async def test_bad_payloads_fail_at_once_and_name_the_field(
    definition: QueueDefinition, type: str, data: dict[str, Any], field: str
) -> None:
    with pytest.raises(UnrecoverableError, match=field):
        await definition.process(Running(type, **data))
