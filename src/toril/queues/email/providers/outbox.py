"""Mail into a folder: real .eml files, for development and wherever no mail server is configured."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path

from toril.errors import OptionError
from toril.queues.email.message import Mail
from toril.queues.email.mime import to_bytes
from toril.queues.email.providers.base import SentMail
from toril.queues.private_files import create_private

_ID = re.compile(r"[0-9a-f]{32}")
_HEAD = 64 * 1024  #: bytes read of each file to list it; headers are far shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMail:
    """One mail of the outbox, by its headers."""

    id: str  #: what ``OutboxProvider.read`` takes
    path: Path
    message_id: str
    sender: str
    to: str
    subject: str
    stored_at: datetime
    size: int  #: bytes


class OutboxProvider:
    """Writes each mail to ``<folder>/<id>.eml``, which mail programs open. Nothing leaves the machine.

    The id comes from the idempotency key and the mail itself, so another attempt at a job finds the file
    there and writes no second one, while a different mail under a key used before (ids start again when a
    queue is obliterated) is kept too.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
        """Store the mail; a reader of the folder sees the whole file or none.

        Raises:
            OSError: the folder cannot be written; the job's own retries deal with it.
        """
        await asyncio.to_thread(self._store, mail, idempotency_key)
        return SentMail(message_id=mail.message_id)

    async def list(self, *, limit: int = 100) -> Sequence[StoredMail]:
        """The newest ``limit`` mails, newest first."""
        return await asyncio.to_thread(self._list, limit)

    async def read(self, mail_id: str) -> bytes:
        """The whole .eml file.

        Raises:
            OptionError: there is no such mail.
        """
        if not _ID.fullmatch(mail_id):
            raise OptionError(f"there is no mail {mail_id!r} in the outbox")
        try:
            return await asyncio.to_thread((self.folder / f"{mail_id}.eml").read_bytes)
        except FileNotFoundError as error:
            raise OptionError(f"there is no mail {mail_id!r} in the outbox") from error

    async def close(self) -> None:
        """Nothing is held open."""

    def _store(self, mail: Mail, key: str) -> None:
        mail_id = hashlib.sha256(f"{key}\n{mail.fingerprint()}".encode()).hexdigest()[:32]
        target = self.folder / f"{mail_id}.eml"
        if target.exists():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.folder / f".{secrets.token_hex(8)}.part"
        try:
            with create_private(part) as file:
                file.write(to_bytes(mail))
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _list(self, limit: int) -> Sequence[StoredMail]:
        try:
            with os.scandir(self.folder) as entries:
                found = [(e.stat().st_mtime_ns, e.name) for e in entries if e.name.endswith(".eml")]
        except FileNotFoundError:
            return []
        newest = []
        for stored_ns, name in sorted(found, reverse=True)[:limit]:
            with contextlib.suppress(FileNotFoundError):  # somebody may be emptying the folder
                newest.append(self._describe(name, stored_ns))
        return newest

    def _describe(self, name: str, stored_ns: int) -> StoredMail:
        path = self.folder / name
        with path.open("rb") as file:
            headers = message_from_bytes(file.read(_HEAD))
            size = os.fstat(file.fileno()).st_size
        return StoredMail(
            id=path.stem,
            path=path,
            message_id=str(headers["Message-ID"]),
            sender=_readable(headers["From"]),
            to=_readable(headers["To"]),
            subject=_readable(headers["Subject"]),
            stored_at=datetime.fromtimestamp(stored_ns / 1e9, UTC),
            size=size,
        )


def _readable(value: str | None) -> str:
    return str(make_header(decode_header(" ".join((value or "").split()))))
