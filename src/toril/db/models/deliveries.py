"""What jobs hand to outside services that cannot tell a second time from a first."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified
from toril.db.models.mail import SendStatus
from toril.db.types import utc_now


class Delivery(Identified, Base):
    """A notification that a job handed over for one recipient. A job that runs again finds here what it has done.

    ``job`` must name one job for ever, as for ``BulkSend``. ``recipient`` is a phone number, or a digest of a user and
    their browser.
    """

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("job", "recipient"), Index(None, "created_at"))

    job: Mapped[str] = mapped_column(String(320))
    recipient: Mapped[str] = mapped_column(String(64))
    status: Mapped[SendStatus] = mapped_column(default=SendStatus.SENDING)
    message_id: Mapped[str | None] = mapped_column(String(256))
    provider: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
