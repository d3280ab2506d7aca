"""Credentials of firms at outside services."""

from __future__ import annotations

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified, OfFirm, Stamped


class FirmCredential(Identified, OfFirm, Stamped, Base):
    """What lets a firm in at one service. Encrypted: the database alone gives nobody access."""

    __tablename__ = "firm_credentials"
    __table_args__ = (UniqueConstraint("firm_id", "service"),)

    service: Mapped[str] = mapped_column(String(32))
    sealed: Mapped[str]
