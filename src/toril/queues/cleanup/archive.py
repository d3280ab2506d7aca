"""Old audit entries: into a compressed file, verified, and only then deleted."""

from __future__ import annotations

import asyncio
import gzip
import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from toril.db.models.access import AuditEntry
from toril.db.repositories.audit import AuditLog
from toril.db.session import Database
from toril.errors import TorilError
from toril.queues.private_files import create_private

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

    async def count(self, before: datetime) -> int:
        """How many entries are from before a moment."""
        async with self._database.reading() as session:
            return await AuditLog(session).count_before(before)

    async def store_next(self, before: datetime) -> tuple[Path, int] | None:
        """Move the oldest entries from before a moment, at most ``STEP``, to a file.

        The file is written, read back and made to last before they are deleted, all of them in one transaction. A run
        that is cut off in between leaves them in the log, and the next one writes the same file again; of two runs at
        the same time one waits for the other.

        Returns:
            The file, and how many entries it has; None when there are none.
        Raises:
            ArchiveError: what was read back differs.
        """
        async with self._database.session() as session:
            log = AuditLog(session)
            entries = self._of_one_file(await log.take_before(before, limit=STEP))
            if not entries:
                return None
            path = self._folder / f"{_beginning(entries[0])}-{entries[-1].id}.jsonl.gz"
            # Others wait meanwhile; it takes a tenth of a second.
            await asyncio.to_thread(self._write, path, [orjson.dumps(_row(entry)) for entry in entries])
            ids = [entry.id for entry in entries]
            for start in range(0, len(ids), 500):
                await log.delete(ids[start : start + 500])
        return path, len(entries)

    def _of_one_file(self, entries: Sequence[AuditEntry]) -> Sequence[AuditEntry]:
        """Those that a run which was cut off has written to a file, else all of them: by now more entries may be old,
        and those of that file must not go into a second one."""
        if entries:
            begun = {path.name for path in self._folder.glob(f"{_beginning(entries[0])}-*.jsonl.gz")}
            for number, entry in enumerate(entries, 1):
                if f"{_beginning(entries[0])}-{entry.id}.jsonl.gz" in begun:
                    return entries[:number]
        return entries

    def _write(self, path: Path, lines: list[bytes]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Of this call alone: one that was given up may still be writing.
        part = path.with_suffix(f".{secrets.token_hex(4)}.part")
        try:
            with create_private(part) as raw:
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
        finally:
            part.unlink(missing_ok=True)
        _keep_names(self._folder)


def _beginning(first: AuditEntry) -> str:
    return f"audit-{first.at:%Y%m%dT%H%M%S}-{first.id}"


def _keep_names(folder: Path) -> None:
    """Make the names of a folder's files last, which writing the files does not."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {column.name: getattr(entry, column.key) for column in entry.__mapper__.columns}
