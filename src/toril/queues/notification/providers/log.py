"""SMS into a folder: one file a message, for development and wherever no provider is configured."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from datetime import UTC, datetime
from pathlib import Path

import orjson

from toril.queues.notification.providers.base import SentSms, SmsMessage
from toril.queues.notification.segments import count_segments
from toril.queues.private_files import create_private


class LogProvider:
    """Writes each message to ``<folder>/<id>.json``. Nothing leaves the machine.

    The id comes from the job and the message, so another attempt at a job finds the file there and writes no second.
    """

    name = "log"

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    async def send(self, message: SmsMessage) -> SentSms:
        """Store the message; a reader of the folder sees the whole file or none.

        Raises:
            OSError: the folder cannot be written; the job's own retries deal with it.
        """
        return SentSms(message_id=await asyncio.to_thread(self._store, message), status="stored")

    async def close(self) -> None:
        """Nothing is held open."""

    def _store(self, message: SmsMessage) -> str:
        parts = (message.reference, message.to, message.sender, message.text)
        message_id = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        target = self.folder / f"{message_id}.json"
        if target.exists():
            return message_id
        segments = count_segments(message.text)
        stored = {
            "id": message_id,
            "to": message.to,
            "from": message.sender,
            "message": message.text,
            "alphabet": segments.alphabet,
            "segments": segments.count,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.folder / f".{secrets.token_hex(8)}.part"
        try:
            with create_private(part) as file:
                file.write(orjson.dumps(stored, option=orjson.OPT_INDENT_2))
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return message_id
