"""Who asked for a job."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified
from toril.db.types import Id, utc_now


class JobOwner(Identified, Base):
    """The user for whom a job was added: they may see how it is, and fetch the file it makes."""

    __tablename__ = "job_owners"
    __table_args__ = (UniqueConstraint("queue", "job_id"), Index(None, "created_at"))

    queue: Mapped[str] = mapped_column(String(128))
    job_id: Mapped[str] = mapped_column(String(256))
    user_id: Mapped[str] = mapped_column(Id)
    firm_id: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
