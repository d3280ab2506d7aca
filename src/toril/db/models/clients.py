"""Clients, their cases, and the work on them: time and expenses."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified, OfFirm, Stamped
from toril.db.models.firms import Language
from toril.db.types import Id


class ClientKind(StrEnum):
    """Decides the kind of tax invoice: businesses and government get standard ones, persons simplified ones."""

    PERSON = "person"
    BUSINESS = "business"
    GOVERNMENT = "government"


class CaseStatus(StrEnum):
    OPEN = "open"
    PENDING = "pending"
    ON_HOLD = "on_hold"
    CLOSED = "closed"


class CaseType(StrEnum):
    COMMERCIAL = "commercial"
    LABOUR = "labour"
    CRIMINAL = "criminal"
    FAMILY = "family"
    ADMINISTRATIVE = "administrative"
    REAL_ESTATE = "real_estate"
    ENFORCEMENT = "enforcement"
    OTHER = "other"


class Client(Identified, OfFirm, Stamped, Base):
    """Somebody the firm works for."""

    __tablename__ = "clients"
    __table_args__ = (Index(None, "firm_id", "client_since"), Index(None, "firm_id", "email"))

    kind: Mapped[ClientKind] = mapped_column(default=ClientKind.PERSON)
    name: Mapped[str]
    email: Mapped[str | None] = mapped_column(String(320))
    phone: Mapped[str | None] = mapped_column(String(32))
    vat_number: Mapped[str | None] = mapped_column(String(15))
    national_id: Mapped[str | None] = mapped_column(String(20))  #: or a company's unified national number
    commercial_registration: Mapped[str | None] = mapped_column(String(20))
    street: Mapped[str | None]
    building_number: Mapped[str | None] = mapped_column(String(10))
    district: Mapped[str | None]
    city: Mapped[str | None]
    postal_code: Mapped[str | None] = mapped_column(String(10))
    country: Mapped[str] = mapped_column(String(2), default="SA")
    language: Mapped[Language] = mapped_column(default=Language.ARABIC)
    client_since: Mapped[date]


class Case(Identified, OfFirm, Stamped, Base):
    """A matter that the firm handles for a client."""

    __tablename__ = "cases"
    __table_args__ = (
        Index(None, "firm_id", "number", unique=True),
        Index(None, "firm_id", "status", "type"),
        Index(None, "firm_id", "opened_on"),
        Index(None, "client_id"),
        Index(None, "lawyer_id"),
    )

    number: Mapped[str] = mapped_column(String(64))
    title: Mapped[str]
    client_id: Mapped[str] = mapped_column(Id, ForeignKey("clients.id"))
    lawyer_id: Mapped[str | None] = mapped_column(Id, ForeignKey("users.id", ondelete="SET NULL"))
    type: Mapped[CaseType] = mapped_column(default=CaseType.OTHER)
    status: Mapped[CaseStatus] = mapped_column(default=CaseStatus.OPEN)
    court: Mapped[str | None]
    opened_on: Mapped[date]
    closed_on: Mapped[date | None]


class TimeEntry(Identified, OfFirm, Stamped, Base):
    """Time somebody spent on a case, or on the firm's own affairs when there is no case."""

    __tablename__ = "time_entries"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="minutes"),
        Index(None, "firm_id", "worked_on", "user_id"),
        Index(None, "user_id"),
        Index(None, "case_id"),
    )

    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id"))
    case_id: Mapped[str | None] = mapped_column(Id, ForeignKey("cases.id", ondelete="SET NULL"))
    worked_on: Mapped[date]
    minutes: Mapped[int]
    billable: Mapped[bool] = mapped_column(default=True)
    hourly_rate: Mapped[Decimal | None]
    description: Mapped[str] = mapped_column(default="")


class Expense(Identified, OfFirm, Stamped, Base):
    """Money the firm spent, for a case or for itself. ``amount`` includes ``vat_amount``."""

    __tablename__ = "expenses"
    __table_args__ = (
        CheckConstraint("amount >= 0 AND vat_amount >= 0", name="amounts"),
        Index(None, "firm_id", "spent_on"),
        Index(None, "case_id"),
    )

    case_id: Mapped[str | None] = mapped_column(Id, ForeignKey("cases.id", ondelete="SET NULL"))
    user_id: Mapped[str | None] = mapped_column(Id, ForeignKey("users.id", ondelete="SET NULL"))
    category: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(default="")
    amount: Mapped[Decimal]
    vat_amount: Mapped[Decimal] = mapped_column(default=Decimal(0))
    currency: Mapped[str] = mapped_column(String(3), default="SAR")
    spent_on: Mapped[date]
    billable: Mapped[bool] = mapped_column(default=False)
