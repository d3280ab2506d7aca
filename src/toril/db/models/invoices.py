"""Invoices with their lines, and payments."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from toril.db.base import Base, Identified, OfFirm, Stamped
from toril.db.models.clients import Client
from toril.db.models.firms import Language
from toril.db.types import Exact, Id


class InvoiceStatus(StrEnum):
    """``sent``, ``partial`` and ``overdue`` are owed; drafts are not yet, and void ones no more."""

    DRAFT = "draft"
    SENT = "sent"
    PARTIAL = "partial"
    PAID = "paid"
    OVERDUE = "overdue"
    VOID = "void"


#: What a client still owes something on.
OWED = (InvoiceStatus.SENT, InvoiceStatus.PARTIAL, InvoiceStatus.OVERDUE)


class VatCategory(StrEnum):
    """As in UBL 2.1."""

    STANDARD = "S"
    ZERO = "Z"
    EXEMPT = "E"
    OUT_OF_SCOPE = "O"


class PaymentStatus(StrEnum):
    """How far a payment is; ``completed`` and ``reconciled`` count as money received."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    RECONCILED = "reconciled"


#: Money that the firm has.
RECEIVED = (PaymentStatus.COMPLETED, PaymentStatus.RECONCILED)


class PaymentMethod(StrEnum):
    CASH = "cash"
    TRANSFER = "transfer"
    CHEQUE = "cheque"
    CARD = "card"
    MADA = "mada"
    STC_PAY = "stcpay"
    APPLE_PAY = "applepay"
    SADAD = "sadad"
    OTHER = "other"


class Invoice(Identified, OfFirm, Stamped, Base):
    """An invoice. ``total`` = ``subtotal`` − ``discount`` + ``vat_amount``; the lines are net of VAT."""

    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint("firm_id", "number"),
        CheckConstraint(
            "subtotal >= 0 AND discount >= 0 AND vat_amount >= 0 AND total >= 0 AND amount_paid >= 0",
            name="amounts",
        ),
        Index(None, "firm_id", "issue_date"),
        Index(None, "firm_id", "status", "due_date"),
        Index(None, "client_id", "issue_date"),
        Index(None, "case_id"),
    )

    number: Mapped[str] = mapped_column(String(64))
    client_id: Mapped[str] = mapped_column(Id, ForeignKey("clients.id"))
    case_id: Mapped[str | None] = mapped_column(Id, ForeignKey("cases.id", ondelete="SET NULL"))
    status: Mapped[InvoiceStatus] = mapped_column(default=InvoiceStatus.DRAFT)
    issue_date: Mapped[date]
    supply_date: Mapped[date | None]
    due_date: Mapped[date]
    currency: Mapped[str] = mapped_column(String(3), default="SAR")
    language: Mapped[Language] = mapped_column(default=Language.ARABIC)
    subtotal: Mapped[Decimal]
    discount: Mapped[Decimal] = mapped_column(default=Decimal(0))
    vat_rate: Mapped[Decimal] = mapped_column(Exact(2, 5), default=Decimal(15))  #: per cent
    vat_amount: Mapped[Decimal]
    total: Mapped[Decimal]
    amount_paid: Mapped[Decimal] = mapped_column(default=Decimal(0))
    notes: Mapped[str] = mapped_column(default="")
    payment_terms: Mapped[str] = mapped_column(default="")
    sent_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]

    client: Mapped[Client] = relationship(lazy="raise")
    lines: Mapped[list[InvoiceLine]] = relationship(
        lazy="raise", order_by="InvoiceLine.position", cascade="all, delete-orphan", passive_deletes=True
    )

    @hybrid_property
    def balance(self) -> Decimal:
        """What is still to be paid."""
        return self.total - self.amount_paid


class InvoiceLine(Identified, OfFirm, Base):
    """One line. ``net`` = ``quantity`` × ``unit_price`` − ``discount``, rounded to halalas; VAT is on top."""

    __tablename__ = "invoice_lines"
    __table_args__ = (
        UniqueConstraint("invoice_id", "position"),
        CheckConstraint("quantity >= 0 AND unit_price >= 0 AND discount >= 0", name="amounts"),
        Index(None, "firm_id"),
    )

    invoice_id: Mapped[str] = mapped_column(Id, ForeignKey("invoices.id", ondelete="CASCADE"))
    position: Mapped[int]
    description: Mapped[str]
    quantity: Mapped[Decimal] = mapped_column(Exact(4))
    unit: Mapped[str] = mapped_column(String(32), default="")
    unit_price: Mapped[Decimal] = mapped_column(Exact(4))
    discount: Mapped[Decimal] = mapped_column(default=Decimal(0))
    vat_category: Mapped[VatCategory] = mapped_column(default=VatCategory.STANDARD)
    vat_rate: Mapped[Decimal] = mapped_column(Exact(2, 5), default=Decimal(15))
    net: Mapped[Decimal]
    vat_amount: Mapped[Decimal]


class Payment(Identified, OfFirm, Stamped, Base):
    """Money from a client, or an attempt at it."""

    __tablename__ = "payments"
    __table_args__ = (
        # Of all firms: money that came once pays one invoice.
        UniqueConstraint("provider", "provider_payment_id"),
        UniqueConstraint("firm_id", "bill_number"),
        CheckConstraint("amount >= 0 AND refunded_amount >= 0", name="amounts"),
        Index(None, "firm_id", "paid_on"),
        Index(None, "firm_id", "status"),
        Index(None, "invoice_id"),
        Index(None, "client_id"),
    )

    client_id: Mapped[str | None] = mapped_column(Id, ForeignKey("clients.id"))
    invoice_id: Mapped[str | None] = mapped_column(Id, ForeignKey("invoices.id"))
    method: Mapped[PaymentMethod] = mapped_column(default=PaymentMethod.TRANSFER)
    status: Mapped[PaymentStatus] = mapped_column(default=PaymentStatus.PENDING)
    amount: Mapped[Decimal]
    refunded_amount: Mapped[Decimal] = mapped_column(default=Decimal(0))
    currency: Mapped[str] = mapped_column(String(3), default="SAR")
    provider: Mapped[str | None] = mapped_column(String(32))  #: such as stripe, moyasar, hyperpay, stcpay
    provider_payment_id: Mapped[str | None] = mapped_column(String(128))
    bill_number: Mapped[str | None] = mapped_column(String(64))  #: SADAD
    paid_on: Mapped[date | None]  #: in the firm's zone; reports go by it
    paid_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]  #: when the provider was last asked
    review: Mapped[str | None]  #: why a person must look, such as an amount that does not match
    reviewed: Mapped[str | None]  #: the reason that a person has decided about; it is not raised again
    answer: Mapped[dict[str, Any] | None]  #: the provider's last one, as it came
    answer_count: Mapped[int] = mapped_column(
        default=0
    )  #: answers and decisions; tells one that was overtaken
