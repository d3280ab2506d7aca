"""Contracts between the firm, its clients and others."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified, OfFirm, Stamped
from toril.db.types import Id


class ContractStatus(StrEnum):
    DRAFT = "draft"
    SENT = "sent"
    SIGNED = "signed"
    EXPIRED = "expired"
    TERMINATED = "terminated"


class WathqStatus(StrEnum):
    """What the commercial register says about the counterparty."""

    VERIFIED = "verified"
    INACTIVE = "inactive"
    NOT_FOUND = "not_found"
    MISMATCH = "mismatch"
    ERROR = "error"


class Contract(Identified, OfFirm, Stamped, Base):
    """A contract. ``clauses`` are objects with title and text, ``parties`` with name, role and id number."""

    __tablename__ = "contracts"
    __table_args__ = (Index(None, "firm_id", "status"), Index(None, "client_id"), Index(None, "case_id"))

    client_id: Mapped[str | None] = mapped_column(Id, ForeignKey("clients.id"))
    case_id: Mapped[str | None] = mapped_column(Id, ForeignKey("cases.id", ondelete="SET NULL"))
    number: Mapped[str] = mapped_column(String(64))
    title: Mapped[str]
    status: Mapped[ContractStatus] = mapped_column(default=ContractStatus.DRAFT)
    parties: Mapped[list[Any]] = mapped_column(default=list)
    clauses: Mapped[list[Any]] = mapped_column(default=list)
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    signed_at: Mapped[datetime | None]
    counterparty_name: Mapped[str | None]
    counterparty_registration: Mapped[str | None] = mapped_column(
        String(20)
    )  #: unified national or CR number
    wathq_status: Mapped[WathqStatus | None]
    wathq_checked_at: Mapped[datetime | None]
    wathq_answer: Mapped[dict[str, Any] | None]
