"""WhatsApp: the webhook's inbox, and the messages read from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, select, update

from toril.db.models.whatsapp import (
    MessageDirection,
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


#: Type of a message of which only states are known.
ONLY_STATUS: Final = "status"


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

    async def list_waiting(self) -> Sequence[WhatsAppNumber]:
        """Numbers of all firms whose inbox has deliveries that are not worked, for whoever runs the installation."""
        waiting = (
            select(WhatsAppNotification.phone_number_id)
            .where(WhatsAppNotification.processed_at.is_(None))
            .distinct()
        )
        statement = select(WhatsAppNumber).where(WhatsAppNumber.phone_number_id.in_(waiting))
        return (await self.session.scalars(statement.order_by(WhatsAppNumber.id))).all()

    async def save(self, number: WhatsAppNumber, rows: Sequence[dict[str, Any]]) -> int:
        """Store messages of a number; those that are there stay as they are. Returns how many were not.

        One that is known by its states only gets what it says, and keeps how far it is.

        Args:
            rows: attributes of ``WhatsAppMessage``, the same in each, without number and firm.
        """
        own = {"phone_number_id": number.phone_number_id, "firm_id": number.firm_id}
        key = ["phone_number_id", "message_id"]
        new = await insert_new(self.session, WhatsAppMessage, [{**row, **own} for row in rows], key=key)
        filled = 0
        for row in rows:
            if (number.phone_number_id, row["message_id"]) not in new:
                filled += await self._fill(number, row)
        return len(new) + filled

    async def apply_status(
        self,
        number: WhatsAppNumber,
        message_id: str,
        *,
        status: MessageStatus,
        at: datetime,
        error: str | None = None,
        contact: str | None = None,
    ) -> bool:
        """Note how far a message is; False when it is further already.

        The state of a message that is not there is kept in a row of its own, of the type ``status``: the message may
        come after it, or was sent by somebody else with this number.

        Args:
            contact: who got it, for such a row.
        """
        if await self._move(number, message_id, status, at, error):
            return True
        row: dict[str, Any] = {
            "phone_number_id": number.phone_number_id,
            "firm_id": number.firm_id,
            "message_id": message_id,
            "direction": MessageDirection.OUTBOUND,
            "contact": contact,
            "type": ONLY_STATUS,
            "payload": {},
            "status": status,
            "status_at": at,
            "error": error,
            "sent_at": at,
        }
        if await insert_new(self.session, WhatsAppMessage, [row], key=["phone_number_id", "message_id"]):
            return True
        return await self._move(number, message_id, status, at, error)  # another may have stored it just now

    async def _move(
        self, number: WhatsAppNumber, message_id: str, status: MessageStatus, at: datetime, error: str | None
    ) -> bool:
        changed = await self.session.scalar(
            update(WhatsAppMessage)
            .where(
                *_which(number, message_id),
                WhatsAppMessage.status.in_(_BEFORE.get(status, ())),
            )
            .values(status=status, status_at=at, error=error)
            .returning(WhatsAppMessage.id)
        )
        return changed is not None

    async def _fill(self, number: WhatsAppNumber, row: dict[str, Any]) -> bool:
        says = {name: value for name, value in row.items() if name not in ("status", "status_at", "error")}
        changed = await self.session.scalar(
            update(WhatsAppMessage)
            .where(*_which(number, row["message_id"]), WhatsAppMessage.type == ONLY_STATUS)
            .values(**says)
            .returning(WhatsAppMessage.id)
        )
        return changed is not None


def _which(number: WhatsAppNumber, message_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        WhatsAppMessage.phone_number_id == number.phone_number_id,
        WhatsAppMessage.firm_id == number.firm_id,
        WhatsAppMessage.message_id == message_id,
    )
