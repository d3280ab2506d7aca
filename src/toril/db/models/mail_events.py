"""What a mail provider told us about mails after it had taken them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified
from toril.db.types import utc_now


class MailEvent(Identified, Base):
    """Delivered, bounced, opened and so on. Events come more than once and in any order; ``event_id`` tells them
    apart."""

    __tablename__ = "mail_events"
    __table_args__ = (Index(None, "message_id", "at"), Index(None, "created_at"))

    event_id: Mapped[str] = mapped_column(String(128), unique=True)
    type: Mapped[str] = mapped_column(String(64))  #: the provider's word, such as email.bounced
    message_id: Mapped[str | None] = mapped_column(String(256))
    recipient: Mapped[str | None] = mapped_column(String(320))
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
