"""Firms, the tenants, and their people."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, validates

from toril.db.base import Base, Identified, Stamped
from toril.db.types import Id


class Language(StrEnum):
    ARABIC = "ar"
    ENGLISH = "en"


class Role(StrEnum):
    """What a user may do; see the HTTP API."""

    ADMIN = "admin"
    LAWYER = "lawyer"
    STAFF = "staff"


class Firm(Identified, Stamped, Base):
    """A law firm: a tenant. Every other record of its is read through its id."""

    __tablename__ = "firms"

    name_ar: Mapped[str]
    name_en: Mapped[str]
    vat_number: Mapped[str | None] = mapped_column(String(15))
    commercial_registration: Mapped[str | None] = mapped_column(String(20))
    street: Mapped[str | None]
    building_number: Mapped[str | None] = mapped_column(String(10))
    district: Mapped[str | None]
    city: Mapped[str | None]
    postal_code: Mapped[str | None] = mapped_column(String(10))
    country: Mapped[str] = mapped_column(String(2), default="SA")
    phone: Mapped[str | None] = mapped_column(String(32))
    email: Mapped[str | None] = mapped_column(String(320))
    bank_name: Mapped[str | None]
    iban: Mapped[str | None] = mapped_column(String(34))
    logo_path: Mapped[str | None]  #: in the file store
    time_zone: Mapped[str] = mapped_column(String(64), default="Asia/Riyadh")
    language: Mapped[Language] = mapped_column(default=Language.ARABIC)


class User(Identified, Stamped, Base):
    """Somebody who signs in. One without a firm runs the installation.

    An address belongs to one user only, as it is what they sign in with; it is kept in lower case.
    """

    __tablename__ = "users"
    __table_args__ = (Index(None, "firm_id", "role"),)

    firm_id: Mapped[str | None] = mapped_column(Id, ForeignKey("firms.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(String(320), unique=True)
    name: Mapped[str]
    phone: Mapped[str | None] = mapped_column(String(32))
    role: Mapped[Role] = mapped_column(default=Role.STAFF)
    password_hash: Mapped[str | None]  #: argon2; without one nobody can sign in
    active: Mapped[bool] = mapped_column(default=True)
    language: Mapped[Language] = mapped_column(default=Language.ARABIC)
    last_login_at: Mapped[datetime | None]

    @validates("email")
    def _in_lower_case(self, _: str, email: str) -> str:
        return email.strip().lower()
