"""Entries of the audit log, written together when many come at once.

Each waits until it is stored, as nothing is done that is not recorded. A transaction for each would bound the whole
API by how fast the disk confirms them; so those that come while one is written share the next.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import insert

from toril.db.errors import DatabaseUnavailableError
from toril.db.models import AuditEntry
from toril.db.session import Database

#: Entries in one transaction.
_MOST: Final = 200

#: Seconds in which entries gather: a transaction costs as much as several requests.
_GATHER: Final = 0.002


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
            await asyncio.sleep(_GATHER)
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            error = await self._store([row for row, _ in batch])
            for row, stored in batch:
                if error is not None and len(batch) > 1 and not isinstance(error, DatabaseUnavailableError):
                    own = await self._store([row])  # one that cannot be stored is not to take others with it
                else:
                    own = error
                if stored.done():  # whoever waited has gone
                    continue
                if own is None:
                    stored.set_result(None)
                else:
                    stored.set_exception(own)

    async def _store(self, rows: list[dict[str, Any]]) -> Exception | None:
        try:
            async with self._database.session() as session:
                await session.execute(insert(AuditEntry), rows)
        except Exception as error:
            return error
        return None
