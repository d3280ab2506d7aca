"""Report jobs for tests: a job that needs no queue, and the queue it is for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toril.db.session import Database
from toril.queues.report import ReportQueue, report_queue
from toril.queues.storage import LocalFileStore

#: 00:30 on the first of April in Riyadh, while it is still March in UTC.
NOW = datetime(2026, 3, 31, 21, 30, tzinfo=UTC)


class ReportJob:
    """What a processor sees of a job, keeping all it was told."""

    def __init__(self, type: str, *, id: str = "1", timestamp: int = 1_774_992_600_000, **data: Any) -> None:
        self.id, self.timestamp = id, timestamp
        self.data = {"type": type, "data": data}
        self.opts: Mapping[str, Any] = {"attempts": 2}
        self.attempts_made = 0
        self.progress: list[Any] = []
        self.rows: list[str] = []

    async def update_progress(self, progress: Any) -> None:
        self.progress.append(progress)

    async def log(self, row: str) -> int:
        self.rows.append(row)
        return len(self.rows)


class PdfJobs:
    """Takes the place of the service: keeps the jobs that were added, and an id once."""

    def __init__(self) -> None:
        self.added: dict[str, tuple[str, Mapping[str, Any]]] = {}

    async def add(self, queue: str, data: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
        self.added.setdefault(options["jobId"], (queue, data))
        return {"jobId": options["jobId"]}


def reports(database: Database, folder: Path, **options: Any) -> ReportQueue:
    """The queue ``report`` with its files in ``folder``, at a fixed time."""
    return report_queue(
        **{"database": database, "files": LocalFileStore(folder), "now": lambda: NOW, **options}
    )


def content_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON file that a job made."""
    content: dict[str, Any] = json.loads(Path(result["filePath"]).read_bytes())
    return content


def files_in(folder: Path) -> list[str]:
    """Names of all files below a folder, hidden ones too."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
