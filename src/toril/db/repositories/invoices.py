"""Invoices and payments, and how the one follows from the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from toril.db.models.invoices import RECEIVED, Invoice, InvoiceStatus, Payment, PaymentStatus
from toril.db.repositories.base import Page, Repository

#: A payment moves to a status of at least the same rank, never back: answers of vendors come late.
_RANK: Final = {
    PaymentStatus.PENDING: 0,
    PaymentStatus.PROCESSING: 1,
    PaymentStatus.FAILED: 2,
    PaymentStatus.CANCELLED: 2,
    PaymentStatus.COMPLETED: 3,
    PaymentStatus.RECONCILED: 4,
    PaymentStatus.REFUNDED: 5,
}


class Invoices(Repository):
    """The firm's invoices."""

    async def get(self, invoice_id: str, *, firm_id: str) -> Invoice:
        """The firm's invoice, with its client and lines.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        load = (selectinload(Invoice.client), selectinload(Invoice.lines))
        return await self._own(Invoice, invoice_id, firm_id=firm_id, load=load)

    async def list(
        self,
        *,
        firm_id: str,
        statuses: Sequence[InvoiceStatus] = (),
        client_id: str | None = None,
        issued_from: date | None = None,
        issued_until: date | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[Invoice]:
        """The firm's invoices with their clients, the newest first.

        Args:
            statuses: only these; none is all.
            issued_from, issued_until: first and last day.
        """
        statement = select(Invoice).where(Invoice.firm_id == firm_id).options(selectinload(Invoice.client))
        if statuses:
            statement = statement.where(Invoice.status.in_(statuses))
        if client_id is not None:
            statement = statement.where(Invoice.client_id == client_id)
        if issued_from is not None:
            statement = statement.where(Invoice.issue_date >= issued_from)
        if issued_until is not None:
            statement = statement.where(Invoice.issue_date <= issued_until)
        ordered = statement.order_by(Invoice.issue_date.desc(), Invoice.id.desc())
        return await self._page(ordered, limit=limit, offset=offset)

    async def settle(self, invoice_id: str, *, firm_id: str, now: datetime) -> Invoice:
        """Work out from all its payments what is paid, and the status; doing it again changes nothing.

        Drafts and void invoices keep their status.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        invoice = await self._own(Invoice, invoice_id, firm_id=firm_id, lock=True)
        paid = await self.session.scalar(
            select(func.sum(Payment.amount - Payment.refunded_amount)).where(
                Payment.invoice_id == invoice_id, Payment.firm_id == firm_id, Payment.status.in_(RECEIVED)
            )
        )
        invoice.amount_paid = paid or Decimal(0)
        if invoice.status not in (InvoiceStatus.DRAFT, InvoiceStatus.VOID):
            invoice.status = _status(invoice)
            settled = invoice.status == InvoiceStatus.PAID
            invoice.paid_at = (invoice.paid_at or now) if settled else None
        return invoice


class Payments(Repository):
    """The firm's payments."""

    async def get(self, payment_id: str, *, firm_id: str) -> Payment:
        """The firm's payment.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(Payment, payment_id, firm_id=firm_id)

    async def get_by_bill(self, bill_number: str, *, firm_id: str) -> Payment:
        """The firm's payment for a SADAD bill.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(Payment, bill_number, Payment.bill_number == bill_number, firm_id=firm_id)

    async def record_answer(
        self,
        payment_id: str,
        *,
        firm_id: str,
        status: PaymentStatus | None,
        answer: dict[str, Any],
        now: datetime,
        paid_on: date | None = None,
        paid_at: datetime | None = None,
        refunded_amount: Decimal | None = None,
        review: str | None = None,
    ) -> Payment:
        """Store what a provider said about a payment, and settle its invoice in the same transaction.

        A payment never goes back: an answer of a lower rank than its status is kept, and changes nothing else.

        Args:
            status: None when the answer says nothing about it.
            paid_on, paid_at: when the money came, if it did.
            review: why a person must look.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        payment = await self._own(Payment, payment_id, firm_id=firm_id, lock=True)
        payment.checked_at, payment.answer = now, answer
        payment.review = review or payment.review
        if status is not None and _RANK[status] >= _RANK[payment.status]:
            payment.status = status
            payment.paid_on, payment.paid_at = paid_on or payment.paid_on, paid_at or payment.paid_at
            if refunded_amount is not None:
                payment.refunded_amount = refunded_amount
            await self.session.flush()
            if payment.invoice_id is not None:
                await Invoices(self.session).settle(payment.invoice_id, firm_id=firm_id, now=now)
        return payment


def _status(invoice: Invoice) -> InvoiceStatus:
    if invoice.balance <= 0:
        return InvoiceStatus.PAID
    if invoice.status == InvoiceStatus.OVERDUE:
        return InvoiceStatus.OVERDUE
    return InvoiceStatus.PARTIAL if invoice.amount_paid > 0 else InvoiceStatus.SENT
