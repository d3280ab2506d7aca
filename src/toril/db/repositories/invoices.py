"""Invoices, and how far they are paid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from toril.db.models.invoices import RECEIVED, Invoice, InvoiceStatus, Payment
from toril.db.repositories.base import Page, Repository


class Invoices(Repository):
    """The firm's invoices."""

    async def get(self, invoice_id: str, *, firm_id: str, lock: bool = False) -> Invoice:
        """The firm's invoice, with its client and lines.

        Args:
            lock: no other transaction may change it until this one ends.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        load = (selectinload(Invoice.client), selectinload(Invoice.lines))
        return await self._own(Invoice, invoice_id, firm_id=firm_id, load=load, lock=lock)

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

        Payments in another currency pay nothing of it: there is no rate that both sides agreed on. Drafts and void
        invoices keep their status.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        invoice = await self._own(Invoice, invoice_id, firm_id=firm_id, lock=True)
        paid = await self.session.scalar(
            select(func.sum(Payment.amount - Payment.refunded_amount)).where(
                Payment.invoice_id == invoice_id,
                Payment.firm_id == firm_id,
                Payment.currency == invoice.currency,
                Payment.status.in_(RECEIVED),
            )
        )
        invoice.amount_paid = max(paid or Decimal(0), Decimal(0))
        if invoice.status not in (InvoiceStatus.DRAFT, InvoiceStatus.VOID):
            invoice.status = _status(invoice)
            settled = invoice.status == InvoiceStatus.PAID
            invoice.paid_at = (invoice.paid_at or now) if settled else None
        return invoice


def _status(invoice: Invoice) -> InvoiceStatus:
    if invoice.balance <= 0:
        return InvoiceStatus.PAID
    if invoice.status == InvoiceStatus.OVERDUE:
        return InvoiceStatus.OVERDUE
    return InvoiceStatus.PARTIAL if invoice.amount_paid > 0 else InvoiceStatus.SENT
