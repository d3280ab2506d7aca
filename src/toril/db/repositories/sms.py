"""How far SMS came, and who wants none."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, select, update

from toril.db.models.sms import SmsOptOut, SmsReport
from toril.db.repositories.base import Page, Repository
from toril.db.upsert import insert_new

#: What a report may be followed by. Reports come in any order, and more than once.
_BEFORE: Final = {"sent": (), "delivered": ("sent", "failed"), "failed": ("sent",)}


class SmsReports(Repository):
    """Reports of providers."""

    async def receive(self, provider: str, message_id: str, *, status: str, error: str | None = None) -> bool:
        """Store a report; a delivery is never taken back.

        Args:
            status: ``sent``, ``delivered`` or ``failed``.

        Returns:
            Whether it said something new.
        """
        row = {"provider": provider, "message_id": message_id, "status": status, "error": error}
        if await insert_new(self.session, SmsReport, [row], key=["provider", "message_id"]):
            return True
        changed = await self.session.execute(
            update(SmsReport)
            .where(
                SmsReport.provider == provider,
                SmsReport.message_id == message_id,
                SmsReport.status.in_(_BEFORE[status]),
            )
            .values(status=status, error=error)
            .returning(SmsReport.id)
        )
        return changed.first() is not None

    async def list(
        self, *, message_id: str | None = None, limit: int = 50, offset: int = 0
    ) -> Page[SmsReport]:
        """Reports, the newest first; of one message only, if that is given."""
        statement = select(SmsReport)
        if message_id is not None:
            statement = statement.where(SmsReport.message_id == message_id)
        ordered = statement.order_by(SmsReport.created_at.desc(), SmsReport.id.desc())
        return await self._page(ordered, limit=limit, offset=offset)


class SmsOptOuts(Repository):
    """Numbers that get no SMS, in E.164."""

    async def add(self, number: str, *, source: str) -> bool:
        """Send no more to a number; returns whether that is new."""
        return bool(
            await insert_new(self.session, SmsOptOut, [{"number": number, "source": source}], key=["number"])
        )

    async def remove(self, number: str) -> bool:
        """Send to it again; returns whether it had opted out."""
        removed = await self.session.execute(
            delete(SmsOptOut).where(SmsOptOut.number == number).returning(SmsOptOut.id)
        )
        return removed.first() is not None

    async def has(self, number: str) -> bool:
        """Whether a number gets none."""
        found = await self.session.scalar(select(SmsOptOut.id).where(SmsOptOut.number == number))
        return found is not None

    async def list(self, *, number: str | None = None, limit: int = 50, offset: int = 0) -> Page[SmsOptOut]:
        """All of them, the newest first; or one, if it is there."""
        statement = select(SmsOptOut)
        if number is not None:
            statement = statement.where(SmsOptOut.number == number)
        ordered = statement.order_by(SmsOptOut.created_at.desc(), SmsOptOut.id.desc())
        return await self._page(ordered, limit=limit, offset=offset)
