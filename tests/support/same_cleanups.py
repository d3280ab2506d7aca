"""Cleanups for many workers at once: what has had its time goes once, and nothing else."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from tests.support.all_queues import no_failed_jobs
from tests.support.email_jobs import PlainJob
from tests.support.records import add_firm, add_user
from tests.support.same_work import Scenario, Scenarios, Work, add_none

from toril.db.base import Base
from toril.db.models import GeneratedFile, Report
from toril.db.models.access import AuditEntry, OneTimeToken, Session, TokenPurpose
from toril.db.models.deliveries import Delivery
from toril.db.models.mail import BulkSend, CampaignSend
from toril.db.models.notifications import Notification
from toril.db.session import Database
from toril.queues.base import QueueDefinition
from toril.queues.cleanup.definition import cleanup_queue
from toril.queues.cleanup.processors import Cleaner
from toril.queues.report.processors import AddJob
from toril.queues.storage import LocalFileStore

_TYPES = (
    "audit-logs", "notifications", "sessions", "tokens", "deliveries", "campaigns", "reports", "old-logs",
    "temp-files", "failed-jobs",
)  # fmt: skip
_OLD, _NEW = 1200, 40  #: rows of each table
_ENTRIES = 2600  #: of the audit log
_DAYS = 800


async def cleanups(database: Database, stack: AsyncExitStack) -> Work:
    """Old and new of everything; workers of two installations' folders, which share the records."""
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    patch.setattr("toril.queues.cleanup.archive.STEP", 400)
    for room in ("archive", "processors"):
        patch.setattr(f"toril.queues.cleanup.{room}.PAUSE", 0.01)
        patch.setattr(f"toril.queues.cleanup.{room}.BATCH", 100)
    home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    files = LocalFileStore(home / "files")
    await _fill(database, files)
    _write_old_files(home)
    numbers = itertools.count()

    def open(own: Database, add: AddJob) -> Sequence[QueueDefinition]:
        cleaner = Cleaner(
            own,
            log_folders=[home / "logs"],
            temp_folders=[home / "temp"],
            leftover_folders=[home / "files"],
            archive_folder=home / f"archive-{next(numbers) % 2}",
            files=LocalFileStore(home / "files"),
            purge_failed_jobs=no_failed_jobs,
        )
        return [cleanup_queue(cleaner)]

    async def left(own: Database, results: Sequence[Any]) -> Any:
        # What a run has claimed that was cut off waits for the next one in the same folder.
        for _ in range(2):
            [definition] = open(own, add_none)
            await definition.process(PlainJob({"type": "audit-logs", "data": {}}))
        async with own.reading() as session:
            rows = {
                table.name: await session.scalar(select(func.count()).select_from(table))
                for table in Base.metadata.sorted_tables
            }
        return {
            "rows": {name: number for name, number in rows.items() if number},
            "archived": sorted(Counter(_archived(home)).items()),
            "files": _files_in(home),
        }

    jobs = [{"type": type, "data": {}} for _ in range(3) for type in _TYPES]
    return Work(open=open, jobs=jobs, left=left)


def _archived(home: Path) -> list[int]:
    paths = home.glob("archive-*/*.gz")
    return [
        json.loads(line)["details"]["n"]
        for path in paths
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def _files_in(home: Path) -> list[str]:
    """All but archives, without the folder that has the firm's id."""
    paths = (path.relative_to(home).parts for path in home.rglob("*") if path.is_file())
    return sorted(
        f"{top}: {name}" for top, *_, name in paths if not top.startswith("archive") or name.endswith(".part")
    )


async def _fill(database: Database, files: LocalFileStore) -> None:
    now = datetime.now(UTC)
    async with database.session() as session:
        firm = await add_firm(session)
        user = await add_user(session, firm)
    for age, number, word in ((timedelta(days=_DAYS), _OLD, "old"), (timedelta(hours=1), _NEW, "new")):
        at = now - age
        ends = at if word == "old" else now + timedelta(days=1)
        names = [f"{word}-{n}" for n in range(number)]
        rows: dict[type[Base], list[dict[str, Any]]] = {
            Session: [{"user_id": user.id, "token_hash": name, "expires_at": ends} for name in names],
            OneTimeToken: [
                {"user_id": user.id, "purpose": TokenPurpose.OTP, "token_hash": name, "expires_at": ends}
                for name in names
            ],
            Notification: [
                {"user_id": user.id, "title": name, "message": "m", "created_at": at, "read_at": at}
                for name in names
            ],
            Delivery: [{"job": name, "recipient": "r", "created_at": at} for name in names],
            BulkSend: [{"job": name, "email": "a@b.example", "created_at": at} for name in names],
            CampaignSend: [
                {"campaign_id": "c", "email": name, "tracking_id": name, "created_at": at} for name in names
            ],
            AuditEntry: [
                {"action": "queue.pause", "details": {"n": n}, "at": at + timedelta(seconds=n)}
                for n in range(_ENTRIES if word == "old" else number)
            ],
            Report: [
                {"firm_id": firm.id, "type": "financial", "name": name, "created_at": at}
                for name in names[:300]
            ],
        }
        async with database.session() as session:
            for model, values in rows.items():
                await session.execute(insert(model), values)
        stored = [
            await files.save(firm_id=firm.id, folder="reports", name=f"{name}.json", content=b"{}")
            for name in names[:300]
        ]
        async with database.session() as session:
            await session.execute(
                insert(GeneratedFile),
                [
                    {
                        "firm_id": firm.id, "kind": "report", "name": each.name, "path": each.path,
                        "size": each.size, "media_type": "application/json", "created_at": at,
                    }
                    for each in stored
                ],
            )  # fmt: skip


def _write_old_files(home: Path) -> None:
    long_ago = time.time() - _DAYS * 86_400
    for folder, name in (("logs", "app.log.{}"), ("temp", "{}/x.tmp")):
        for number in range(200):
            path = home / folder / name.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"12345")
            if number:
                os.utime(path, (long_ago, long_ago))


CLEANUPS: Scenarios = {"cleanups": Scenario("cleanup", _TYPES, cleanups)}
