"""Bank accounts with their transactions, and currency rates."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified, OfFirm, Stamped
from toril.db.types import Exact, Id, utc_now


class AccountStatus(StrEnum):
    CONNECTED = "connected"
    REQUIRES_REAUTH = "requires_reauth"
    DISCONNECTED = "disconnected"


class Direction(StrEnum):
    CREDIT = "credit"
    DEBIT = "debit"


class BankAccount(Identified, OfFirm, Stamped, Base):
    """An account of the firm, and how its bank is reached."""

    __tablename__ = "bank_accounts"
    # Of all firms: whoever reads an account must be the one that connected it.
    __table_args__ = (UniqueConstraint("provider", "provider_account_id"),)

    name: Mapped[str]
    bank_name: Mapped[str] = mapped_column(default="")
    iban: Mapped[str | None] = mapped_column(String(34))
    currency: Mapped[str] = mapped_column(String(3), default="SAR")
    provider: Mapped[str] = mapped_column(String(32), default="lean")
    provider_account_id: Mapped[str | None] = mapped_column(String(128))
    provider_entity_id: Mapped[str | None] = mapped_column(String(128))  #: the connection to the bank
    status: Mapped[AccountStatus] = mapped_column(default=AccountStatus.CONNECTED)
    balance: Mapped[Decimal | None]
    synced_at: Mapped[datetime | None]
    synced_until: Mapped[date | None]  #: last booking day up to which there is no hole


class BankTransaction(Identified, OfFirm, Stamped, Base):
    """A movement on an account. ``amount`` is never negative; ``direction`` tells the way."""

    __tablename__ = "bank_transactions"
    __table_args__ = (
        UniqueConstraint("account_id", "provider_transaction_id"),
        CheckConstraint("amount >= 0", name="amount"),
        Index(None, "firm_id", "booked_on"),
        Index(None, "account_id", "booked_on"),
    )

    account_id: Mapped[str] = mapped_column(Id, ForeignKey("bank_accounts.id", ondelete="CASCADE"))
    provider_transaction_id: Mapped[str] = mapped_column(String(128))  #: unique within the account only
    direction: Mapped[Direction]
    amount: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(String(3), default="SAR")
    balance: Mapped[Decimal | None]
    booked_on: Mapped[date]
    booked_at: Mapped[datetime | None]
    description: Mapped[str] = mapped_column(default="")
    reference: Mapped[str | None]
    category: Mapped[str | None]
    payee: Mapped[str | None]
    settled: Mapped[bool] = mapped_column(default=True)  #: false while the bank may still change it
    job_id: Mapped[str | None] = mapped_column(String(256))
    raw: Mapped[dict[str, Any] | None]


class CurrencyRate(Identified, Base):
    """``1 base = rate currency`` on a day, from one source. The same for all firms."""

    __tablename__ = "currency_rates"
    __table_args__ = (
        UniqueConstraint("base", "currency", "source", "as_of"),
        CheckConstraint("rate > 0", name="rate"),
        Index(None, "base", "as_of"),
    )

    base: Mapped[str] = mapped_column(String(3))
    currency: Mapped[str] = mapped_column(String(3))
    rate: Mapped[Decimal] = mapped_column(Exact(12, 19))
    as_of: Mapped[date]
    source: Mapped[str] = mapped_column(String(32))
    fetched_at: Mapped[datetime] = mapped_column(default=utc_now)
