"""Which entries of the audit log somebody is moving to an archive."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified
from toril.db.types import utc_now

AUDIT: Final = "audit"


class ArchiveClaim(Identified, Base):
    """Entries that are one archive's, from before it is written until they are deleted: one claim at a time.

    All machines that share the records see it, and no lock that is lost with a connection takes it away.
    """

    __tablename__ = "archive_claims"

    log: Mapped[str] = mapped_column(String(16), unique=True, default=AUDIT)
    owner: Mapped[str]  #: machine and folder
    file: Mapped[str]  #: path, on that machine
    entries: Mapped[list[Any]]  #: ids, the oldest first
    is_written: Mapped[bool] = mapped_column(default=False)  #: the file is whole, and lasts
    claimed_at: Mapped[datetime] = mapped_column(default=utc_now)
