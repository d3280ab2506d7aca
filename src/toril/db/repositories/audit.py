"""The audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from toril.db.models.access import AuditEntry
from toril.db.repositories.base import Page, Repository


class AuditLog(Repository):
    """What was done, by whom. Entries are written with ``session.add``, in the transaction of what they record."""

    async def list(self, *, firm_id: str | None = None, limit: int = 50, offset: int = 0) -> Page[AuditEntry]:
        """Entries of one firm, or all of them for whoever runs the installation; the newest first."""
        statement = select(AuditEntry).order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
        if firm_id is not None:
            statement = statement.where(AuditEntry.firm_id == firm_id)
        return await self._page(statement, limit=limit, offset=offset)

    async def list_before(
        self, before: datetime, *, after: AuditEntry | None = None, limit: int = 1000
    ) -> Sequence[AuditEntry]:
        """The oldest entries from before a moment, for the archive; the next ones follow ``after``."""
        statement = select(AuditEntry).where(AuditEntry.at < before)
        if after is not None:
            # By (at, id), written out, as a comparison of pairs keeps no column's type.
            later = (AuditEntry.at > after.at) | ((AuditEntry.at == after.at) & (AuditEntry.id > after.id))
            statement = statement.where(later)
        return (
            await self.session.scalars(statement.order_by(AuditEntry.at, AuditEntry.id).limit(limit))
        ).all()

    async def delete(self, ids: Sequence[str]) -> int:
        """Delete entries that are archived; returns how many there were. At most some thousand at once."""
        deleted = await self.session.execute(
            delete(AuditEntry).where(AuditEntry.id.in_(ids)).returning(AuditEntry.id)
        )
        return len(deleted.all())
