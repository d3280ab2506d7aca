"""All six ready-made queues, with nothing outside configured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toril.db.session import Database
from toril.queues.base import QueueDefinition
from toril.queues.cleanup.definition import cleanup_queue
from toril.queues.cleanup.processors import Cleaner
from toril.queues.registry import ready_made_queues
from toril.queues.storage import LocalFileStore


async def no_failed_jobs(older_than: float, dry_run: bool) -> dict[str, int]:
    """For cleanups that are not about failed jobs."""
    return {}


def all_queues(database: Database, folder: Path, **options: Any) -> Mapping[str, QueueDefinition]:
    """The definitions by name; their files go to ``folder``."""
    definitions = ready_made_queues(
        files=LocalFileStore(folder / "files"),
        outbox=folder / "outbox",
        from_email="office@firm.example",
        database=database,
        **options,
    )
    cleaner = Cleaner(
        database,
        log_folders=[folder / "logs"],
        temp_folders=[folder / "temp"],
        archive_folder=folder / "archive",
        purge_failed_jobs=no_failed_jobs,
    )
    return {**definitions, "cleanup": cleanup_queue(cleaner)}
