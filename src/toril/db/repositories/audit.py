"""The audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Table, delete, func, select

from toril.db.models.access import AuditEntry
from toril.db.repositories.base import Page, Repository

#: For many entries at once, of which nobody needs records.
_TABLE: Final = cast(Table, AuditEntry.__table__)


class AuditLog(Repository):
    """What was done, by whom. Entries are written with ``session.add``, in the transaction of what they record."""

    async def list(self, *, firm_id: str | None = None, limit: int = 50, offset: int = 0) -> Page[AuditEntry]:
        """Entries of one firm, or all of them for whoever runs the installation; the newest first."""
        statement = select(AuditEntry).order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
        if firm_id is not None:
            statement = statement.where(AuditEntry.firm_id == firm_id)
        return await self._page(statement, limit=limit, offset=offset)

    async def count_before(self, before: datetime) -> int:
        """How many entries are from before a moment."""
        return (
            await self.session.scalar(
                select(func.count()).select_from(AuditEntry).where(AuditEntry.at < before)
            )
            or 0
        )

    async def oldest_before(self, before: datetime, *, limit: int = 1000) -> Sequence[dict[str, Any]]:
        """The oldest entries from before a moment, as rows by column: reading many takes a fraction of the time."""
        statement = select(_TABLE).where(_TABLE.c.at < before).order_by(_TABLE.c.at, _TABLE.c.id).limit(limit)
        return [dict(row) for row in (await self.session.execute(statement)).mappings()]

    async def get_all(self, ids: Sequence[str], *, at_once: int = 500) -> Sequence[dict[str, Any]]:
        """Entries by their ids, in that order; those that are gone are left out."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), at_once):
            statement = select(_TABLE).where(_TABLE.c.id.in_(ids[start : start + at_once]))
            for row in (await self.session.execute(statement)).mappings():
                found[row["id"]] = dict(row)
        return [found[each] for each in ids if each in found]

    async def delete(self, ids: Sequence[str]) -> int:
        """Delete entries that are archived; returns how many there were. At most some thousand at once."""
        deleted = await self.session.execute(
            delete(_TABLE).where(_TABLE.c.id.in_(ids)).returning(_TABLE.c.id)
        )
        return len(deleted.all())
