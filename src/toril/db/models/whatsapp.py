"""WhatsApp: whose number it is, what the webhook brought, and the messages read from that."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified, OfFirm, Stamped
from toril.db.types import utc_now


class MessageDirection(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageStatus(StrEnum):
    """How far a message is. Webhooks come late and in any order, and never move a message back."""

    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    DELETED = "deleted"
    RECEIVED = "received"


class WhatsAppNumber(Identified, OfFirm, Stamped, Base):
    """A number of a firm. Meta's webhooks and the sync job name it by ``phone_number_id``."""

    __tablename__ = "whatsapp_numbers"
    __table_args__ = (Index(None, "firm_id"),)

    phone_number_id: Mapped[str] = mapped_column(String(64), unique=True)
    display_number: Mapped[str | None] = mapped_column(String(32))


class WhatsAppNotification(Identified, Base):
    """The inbox: one delivery of the webhook, stored at once and worked later by the sync job.

    Only its number says whose it is. ``digest`` is of the body, so that a delivery that comes again is stored once
    for each number in it.
    """

    __tablename__ = "whatsapp_inbox"
    __table_args__ = (
        UniqueConstraint("phone_number_id", "digest"),
        Index(None, "phone_number_id", "processed_at", "received_at"),
        Index(None, "processed_at"),
    )

    phone_number_id: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))  #: SHA-256, in hex
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[datetime] = mapped_column(default=utc_now)
    processed_at: Mapped[datetime | None]
    error: Mapped[str | None]  #: why it could not be read; such a row is not tried again


class WhatsAppMessage(Identified, OfFirm, Stamped, Base):
    """One message. Users may hide their number, so ``contact`` is whichever id of theirs there is."""

    __tablename__ = "whatsapp_messages"
    __table_args__ = (
        UniqueConstraint("phone_number_id", "message_id"),
        Index(None, "firm_id", "sent_at"),
        Index(None, "phone_number_id", "contact", "sent_at"),
    )

    phone_number_id: Mapped[str] = mapped_column(String(64))
    message_id: Mapped[str] = mapped_column(String(128))  #: Meta's
    direction: Mapped[MessageDirection]
    contact: Mapped[str | None] = mapped_column(String(128))
    contact_name: Mapped[str | None]
    type: Mapped[str] = mapped_column(String(32))
    text: Mapped[str | None]
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[MessageStatus]
    status_at: Mapped[datetime | None]
    error: Mapped[str | None]
    sent_at: Mapped[datetime]
