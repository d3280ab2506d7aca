"""Old audit entries: into a compressed file, verified, and only then deleted."""

from __future__ import annotations

import asyncio
import gzip
import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from toril.db.insist import insist
from toril.db.models.archive_claims import ArchiveClaim
from toril.db.repositories.archive_claims import ArchiveClaims
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
#: How long another machine's claim is left alone whose file is not noted as whole; writing one takes a second or two.
CLAIMED = timedelta(hours=1)


class ArchiveError(TorilError):
    """An archive does not hold what was written to it; nothing was deleted."""

    code = "archive_not_verified"


class AuditArchive:
    """Moves entries of the audit log to files: one JSON object a line, gzip.

    Args:
        folder: where archives go.
        now: the present, aware.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database, self._now = database, now
        self._folder = Path(os.path.abspath(folder))
        self._owner = f"{socket.gethostname()}:{self._folder}"

    async def count(self, before: datetime) -> int:
        """How many entries are from before a moment."""
        async with self._database.reading() as session:
            return await AuditLog(session).count_before(before)

    async def store_next(self, before: datetime) -> tuple[Path, int] | None:
        """Move the oldest entries from before a moment, at most ``STEP``, to a file.

        Writers of the database never wait for it: no transaction is open while the file is written, read back and made
        to last; then the entries are deleted in short ones, with pauses. What is to go into which file is claimed in
        the records first, and noted there when the file is whole. A run that is cut off leaves its claim to the next
        one: of the same folder, which writes that file again, or of another machine, which deletes what is in a whole
        file, and takes over what is not written after ``CLAIMED``. Of two runs at the same time one waits for the
        other.

        Returns:
            The file, and how many entries were deleted; None when there are none, or another machine has claimed them.
        Raises:
            ArchiveError: what was read back differs.
        """
        async with self._database.only_one("audit-archive"):
            claim = await self._earlier()
            if claim is None:
                claim, entries = await self._begin(before)
            elif claim.owner != self._owner and not claim.is_written:
                claim, entries = await self._take_over(claim), None
            else:
                entries = None
            if claim is None:
                return None
            if not claim.is_written:
                await self._store(claim, entries)
            deleted = await self._delete(claim.entries)
            async with self._database.session() as session:
                await ArchiveClaims(session).remove(claim.id)
            return Path(claim.file), deleted

    async def _earlier(self) -> ArchiveClaim | None:
        async with self._database.reading() as session:
            return await ArchiveClaims(session).find()

    async def _begin(
        self, before: datetime
    ) -> tuple[ArchiveClaim | None, Sequence[Mapping[str, Any]] | None]:
        """Claim the oldest entries."""
        async with self._database.reading() as session:
            entries = await AuditLog(session).oldest_before(before, limit=STEP)
        if not entries:
            return None, None
        ids = [entry["id"] for entry in entries]
        left = await asyncio.to_thread(self._left, _beginning(entries[0]))
        if left is not None:
            kept = await asyncio.to_thread(_ids_in, left)
            ids = [each for each in ids if each in kept]
        path = left or self._folder / f"{_beginning(entries[0])}-{ids[-1]}.jsonl.gz"
        values = {
            "owner": self._owner,
            "file": str(path),
            "entries": ids,
            "is_written": left is not None,
            "claimed_at": self._now(),
        }
        async with self._database.session() as session:
            return await ArchiveClaims(session).add(values), entries

    async def _take_over(self, claim: ArchiveClaim) -> ArchiveClaim | None:
        """Another machine's claim, if that is gone."""
        now = self._now()
        if claim.claimed_at > now - CLAIMED:
            return None
        path = str(self._folder / Path(claim.file).name)
        async with self._database.session() as session:
            if not await ArchiveClaims(session).take_over(claim, owner=self._owner, file=path, now=now):
                return None
        return await self._earlier()

    async def _store(self, claim: ArchiveClaim, entries: Sequence[Mapping[str, Any]] | None) -> None:
        """Write the file of a claim, and note that it is whole."""
        if entries is None:
            async with self._database.reading() as session:
                now = await ArchiveClaims(session).find()
                if now is None or (now.id, now.owner) != (claim.id, self._owner) or now.is_written:
                    return  # another run of this folder has done it meanwhile
                entries = await AuditLog(session).get_all(claim.entries)
        if len(entries) != len(claim.entries):
            raise ArchiveError(
                f"{len(claim.entries) - len(entries)} of {len(claim.entries)} entries that are claimed for the archive "
                f"{claim.file} were deleted by somebody else; nothing was written. Delete the row of archive_claims to "
                "archive the others"
            )
        try:
            await asyncio.to_thread(self._write, Path(claim.file), [orjson.dumps(entry) for entry in entries])
        except Exception:
            # There is no such file: others need not wait.
            async with self._database.session() as session:
                await ArchiveClaims(session).remove(claim.id)
            raise

        async def note() -> None:
            async with self._database.session() as session:
                await ArchiveClaims(session).written(claim.id, owner=self._owner)

        await insist(note)

    async def _delete(self, ids: Sequence[str]) -> int:
        deleted = 0
        for start in reversed(range(0, len(ids), BATCH)):
            async with self._database.session() as session:
                deleted += await AuditLog(session).delete(ids[start : start + BATCH])
            await asyncio.sleep(PAUSE)
        return deleted

    def _left(self, beginning: str) -> Path | None:
        """The file from this entry on that a run has written whose claim is gone: it was cut off while the database was
        away."""
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
