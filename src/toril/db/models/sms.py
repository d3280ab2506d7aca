"""What SMS providers tell us."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified
from toril.db.types import utc_now


class SmsReport(Identified, Base):
    """How far a message came: ``sent``, ``delivered`` or ``failed``; may come before the job has noted the message."""

    __tablename__ = "sms_reports"
    __table_args__ = (UniqueConstraint("provider", "message_id"), Index(None, "created_at"))

    provider: Mapped[str] = mapped_column(String(32))
    message_id: Mapped[str] = mapped_column(String(256))
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class SmsOptOut(Identified, Base):
    """A number, in E.164, that gets no SMS of ours. ``source`` is the provider that told, or ``command line``."""

    __tablename__ = "sms_opt_outs"

    number: Mapped[str] = mapped_column(String(16), unique=True)
    source: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
