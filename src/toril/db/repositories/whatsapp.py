"""WhatsApp: the webhook's inbox, and the messages read from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update

from toril.db.models.whatsapp import (
    MessageStatus,
    WhatsAppMessage,
    WhatsAppNotification,
    WhatsAppNumber,
)
from toril.db.repositories.base import Repository
from toril.db.upsert import insert_new

#: From which states a message may come to one; so a late webhook never moves it back.
_BEFORE: Final = {
    MessageStatus.SENT: (MessageStatus.PENDING,),
    MessageStatus.DELIVERED: (MessageStatus.PENDING, MessageStatus.SENT),
    MessageStatus.READ: (MessageStatus.PENDING, MessageStatus.SENT, MessageStatus.DELIVERED),
    MessageStatus.FAILED: (MessageStatus.PENDING, MessageStatus.SENT),
    MessageStatus.DELETED: tuple(status for status in MessageStatus if status != MessageStatus.DELETED),
}


class WhatsAppInbox(Repository):
    """What the webhook delivered, worked in the order it came."""

    async def receive(
        self, phone_number_id: str, *, digest: str, payload: dict[str, Any], now: datetime
    ) -> bool:
        """Store a delivery; False when it came before."""
        row = {"phone_number_id": phone_number_id, "digest": digest, "payload": payload, "received_at": now}
        return bool(
            await insert_new(self.session, WhatsAppNotification, [row], key=["phone_number_id", "digest"])
        )

    async def claim(self, phone_number_id: str, *, limit: int = 100) -> Sequence[WhatsAppNotification]:
        """The oldest deliveries of a number that are not worked, for this transaction alone.

        Set ``processed_at``, and ``error`` if one cannot be read, before the transaction ends.
        """
        statement = (
            select(WhatsAppNotification)
            .where(
                WhatsAppNotification.phone_number_id == phone_number_id,
                WhatsAppNotification.processed_at.is_(None),
            )
            .order_by(WhatsAppNotification.received_at, WhatsAppNotification.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return (await self.session.scalars(statement)).all()


class WhatsAppMessages(Repository):
    """The firm's messages."""

    async def get_number(self, phone_number_id: str, *, firm_id: str) -> WhatsAppNumber:
        """The firm's number.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        which = WhatsAppNumber.phone_number_id == phone_number_id
        return await self._own(WhatsAppNumber, phone_number_id, which, firm_id=firm_id)

    async def save(self, number: WhatsAppNumber, rows: Sequence[dict[str, Any]]) -> int:
        """Store messages of a number; those that are there stay as they are. Returns how many were not.

        Args:
            rows: attributes of ``WhatsAppMessage``, the same in each, without number and firm.
        """
        own = {"phone_number_id": number.phone_number_id, "firm_id": number.firm_id}
        key = ["phone_number_id", "message_id"]
        return len(await insert_new(self.session, WhatsAppMessage, [{**row, **own} for row in rows], key=key))

    async def apply_status(
        self,
        number: WhatsAppNumber,
        message_id: str,
        *,
        status: MessageStatus,
        at: datetime,
        error: str | None = None,
    ) -> bool:
        """Note how far a message is; False when there is no such message, or it is further already."""
        changed = await self.session.scalar(
            update(WhatsAppMessage)
            .where(
                WhatsAppMessage.phone_number_id == number.phone_number_id,
                WhatsAppMessage.firm_id == number.firm_id,
                WhatsAppMessage.message_id == message_id,
                WhatsAppMessage.status.in_(_BEFORE.get(status, ())),
            )
            .values(status=status, status_at=at, error=error)
            .returning(WhatsAppMessage.id)
        )
        return changed is not None
