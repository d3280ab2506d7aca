"""Notifications inside the application, and where to push them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified
from toril.db.types import Id, utc_now


class Notification(Identified, Base):
    """Something a user should know. ``user_id`` may be one of a Node application's, so it is any text."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index(None, "user_id", "read_at", "created_at"),
        Index(None, "firm_id"),
        Index(None, "read_at", "created_at"),
    )

    firm_id: Mapped[str | None] = mapped_column(Id)
    user_id: Mapped[str] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(64), default="info")
    title: Mapped[str]
    message: Mapped[str]
    link: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    job_id: Mapped[str | None] = mapped_column(String(256), unique=True)  #: so that a retry notifies once
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    read_at: Mapped[datetime | None]


class PushSubscription(Identified, Base):
    """A browser that takes pushes for a user. The endpoint is the browser's; who signs in there last has it."""

    __tablename__ = "push_subscriptions"
    __table_args__ = (Index(None, "user_id"),)

    user_id: Mapped[str] = mapped_column(String(64))
    endpoint: Mapped[str] = mapped_column(String(2048), unique=True)
    p256dh: Mapped[str] = mapped_column(String(128))
    auth: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
