"""Old audit entries: into a compressed file, verified, and only then deleted."""

from __future__ import annotations

import asyncio
import gzip
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from toril.db.repositories.audit import AuditLog
from toril.db.session import Database
from toril.errors import TorilError
from toril.queues.private_files import create_private

#: Entries in one archive file.
STEP = 5000
#: Entries that one transaction deletes.
BATCH = 500
#: Seconds between two such transactions, for others that write: on SQLite they look every tenth of one if they can.
PAUSE = 0.1


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

        Writers of the database never wait for it: no transaction is open while the file is written, read back and made
        to last; then the entries are deleted in short ones, with pauses. The oldest entry, which names the file, goes
        last: a run that is cut off leaves it in the log, and the next one deletes what that file has before it begins
        another. Of two runs at the same time one waits for the other.

        Returns:
            The file, and how many entries were deleted; None when there are none.
        Raises:
            ArchiveError: what was read back differs.
        """
        async with self._database.only_one("audit-archive"):
            async with self._database.reading() as session:
                entries = await AuditLog(session).oldest_before(before, limit=STEP)
            if not entries:
                return None
            path = await asyncio.to_thread(self._begun, _beginning(entries[0]))
            if path is None:
                path = self._folder / f"{_beginning(entries[0])}-{entries[-1]['id']}.jsonl.gz"
                await asyncio.to_thread(self._write, path, [orjson.dumps(entry) for entry in entries])
                ids = [entry["id"] for entry in entries]
            else:
                kept = await asyncio.to_thread(_ids_in, path)
                ids = [entry["id"] for entry in entries if entry["id"] in kept]
            return path, await self._delete(ids)

    async def _delete(self, ids: Sequence[str]) -> int:
        deleted = 0
        for start in reversed(range(0, len(ids), BATCH)):
            async with self._database.session() as session:
                deleted += await AuditLog(session).delete(ids[start : start + BATCH])
            await asyncio.sleep(PAUSE)
        return deleted

    def _begun(self, beginning: str) -> Path | None:
        """The file that a run which was cut off has written, from the same entry on."""
        return next(iter(sorted(self._folder.glob(f"{beginning}-*.jsonl.gz"))), None)

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


def _beginning(first: Mapping[str, Any]) -> str:
    return f"audit-{first['at']:%Y%m%dT%H%M%S}-{first['id']}"


def _ids_in(path: Path) -> set[str]:
    with gzip.open(path, "rb") as packed:
        return {orjson.loads(line)["id"] for line in packed.read().splitlines()}


def _keep_names(folder: Path) -> None:
    """Make the names of a folder's files last, which writing the files does not."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
