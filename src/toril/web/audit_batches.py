"""Entries of the audit log, written together when many come at once.

Each waits until it is stored, as nothing is done that is not recorded. A transaction for each would bound the whole
API by how fast the disk confirms them; so those that come while one is written share the next.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import insert

from toril.db.models import AuditEntry
from toril.db.session import Database

#: Entries in one transaction.
_MOST: Final = 200


class AuditBatches:
    """Writes entries to one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, row: dict[str, Any]) -> None:
        """Return when the entry is stored.

        Args:
            row: its values, as ``Audit.row`` gives them.

        Raises:
            DatabaseUnavailableError: it was not.
        """
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all(), name="toril-audit")
        await stored

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            error: Exception | None = None
            try:
                async with self._database.session() as session:
                    await session.execute(insert(AuditEntry), [row for row, _ in batch])
            except Exception as failure:
                error = failure
            for _, stored in batch:
                if stored.done():  # whoever waited has gone
                    continue
                if error is None:
                    stored.set_result(None)
                else:
                    stored.set_exception(error)
