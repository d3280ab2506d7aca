"""Old audit entries: into a compressed file, verified, and only then deleted."""

from __future__ import annotations

import gzip
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from toril.db.models.access import AuditEntry
from toril.db.repositories.audit import AuditLog
from toril.db.session import Database
from toril.errors import TorilError

#: Entries in one archive file, which is the step that is verified and deleted as a whole.
STEP = 5000


class ArchiveError(TorilError):
    """An archive does not hold what was written to it; nothing was deleted."""

    code = "archive_not_verified"


class AuditArchive:
    """Moves entries of the audit log to files: one JSON object a line, gzip.

    Args:
        folder: where archives go.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database, self._folder = database, folder

    async def next_step(self, before: datetime, *, after: AuditEntry | None = None) -> list[AuditEntry]:
        """The oldest entries from before a moment, at most ``STEP``."""
        async with self._database.reading() as session:
            return list(await AuditLog(session).list_before(before, after=after, limit=STEP))

    async def store(self, entries: list[AuditEntry]) -> Path:
        """Write entries to a new file, read it back, and delete them from the log.

        A run that is cut off in between leaves the entries in the log; the next one writes the same file again.

        Raises:
            ArchiveError: what was read back differs.
        """
        lines = [orjson.dumps(_row(entry)) for entry in entries]
        path = self._folder / f"audit-{entries[0].at:%Y%m%dT%H%M%S}-{entries[0].id}-{entries[-1].id}.jsonl.gz"
        self._write(path, lines)
        ids = [entry.id for entry in entries]
        for start in range(0, len(ids), 500):
            async with self._database.session() as session:
                await AuditLog(session).delete(ids[start : start + 500])
        return path

    def _write(self, path: Path, lines: list[bytes]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_suffix(".part")
        with part.open("wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
                packed.write(b"\n".join(lines) + b"\n")
            raw.flush()
            os.fsync(raw.fileno())
        with gzip.open(part, "rb") as packed:
            if packed.read().splitlines() != lines:
                raise ArchiveError(
                    f"archive {path.name} does not hold what was written; the log keeps its entries"
                )
        part.replace(path)


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {column.name: getattr(entry, column.key) for column in entry.__mapper__.columns}
