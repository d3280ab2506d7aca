"""Payments: what providers say about them, and what people decide about those that must be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select

from toril.db.errors import RecordConflictError, RecordValueError
from toril.db.models.invoices import Payment, PaymentStatus
from toril.db.repositories.base import Page, Repository
from toril.db.repositories.invoices import Invoices

#: A payment moves to a status of at least the same rank, never back: answers of vendors come late.
RANK: Final = {
    PaymentStatus.PENDING: 0,
    PaymentStatus.PROCESSING: 1,
    PaymentStatus.FAILED: 2,
    PaymentStatus.CANCELLED: 2,
    PaymentStatus.COMPLETED: 3,
    PaymentStatus.RECONCILED: 4,
    PaymentStatus.REFUNDED: 5,
}


class ReviewDecision(StrEnum):
    """What a person makes of a payment that had to be looked at."""

    KEEP = "keep"  #: it is right as it is
    COMPLETE = "complete"  #: the money came, all of it or another amount
    REFUND = "refund"  #: money went back, all of it or a part
    FAIL = "fail"  #: no money came, or it was taken back


class Payments(Repository):
    """The firm's payments."""

    async def get(self, payment_id: str, *, firm_id: str, lock: bool = False) -> Payment:
        """The firm's payment.

        Args:
            lock: no other transaction may change it until this one ends.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(Payment, payment_id, firm_id=firm_id, lock=lock)

    async def get_by_bill(self, bill_number: str, *, firm_id: str) -> Payment:
        """The firm's payment for a SADAD bill.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(Payment, bill_number, Payment.bill_number == bill_number, firm_id=firm_id)

    async def list(
        self,
        *,
        firm_id: str | None,
        statuses: Sequence[PaymentStatus] = (),
        to_review: bool = False,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[Payment]:
        """Payments, the newest first.

        Args:
            firm_id: None for those of all firms, for whoever runs the installation.
            statuses: only these; none is all.
            to_review: only those that somebody must look at.
        """
        statement = select(Payment)
        if firm_id is not None:
            statement = statement.where(Payment.firm_id == firm_id)
        if statuses:
            statement = statement.where(Payment.status.in_(statuses))
        if to_review:
            statement = statement.where(Payment.review.is_not(None))
        ordered = statement.order_by(Payment.created_at.desc(), Payment.id.desc())
        return await self._page(ordered, limit=limit, offset=offset)

    async def is_taken(self, provider: str, provider_payment_id: str, *, by_other_than: str) -> bool:
        """Whether a provider's payment is that of another payment of ours, of whichever firm."""
        statement = select(Payment.id).where(
            Payment.provider == provider,
            Payment.provider_payment_id == provider_payment_id,
            Payment.id != by_other_than,
        )
        return await self.session.scalar(statement.limit(1)) is not None

    async def record_answer(
        self,
        payment_id: str,
        *,
        firm_id: str,
        status: PaymentStatus | None,
        answer: dict[str, Any],
        now: datetime,
        provider: str | None = None,
        paid_on: date | None = None,
        paid_at: datetime | None = None,
        refunded_amount: Decimal | None = None,
        review: str | None = None,
    ) -> Payment:
        """Store what a provider said about a payment, and settle its invoice in the same transaction.

        A payment never goes back: an answer of a lower rank than its status is kept, and changes nothing else. One
        that is taken without a reason to look at it ends an earlier one.

        Args:
            status: None when the answer says nothing about it.
            provider: who said so, when the money is theirs to count.
            paid_on, paid_at: when the money came, if it did.
            review: why a person must look. A reason that somebody has decided about is not raised again.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
            RecordConflictError: the provider's payment is that of another payment.
        """
        payment = await self.get(payment_id, firm_id=firm_id, lock=True)
        payment.checked_at, payment.answer = now, answer
        payment.answer_count += 1
        if review is not None and review != payment.reviewed:
            payment.review = review
        if status is None or RANK[status] < RANK[payment.status]:
            return payment
        if review is None:
            payment.review = None
        payment.status, payment.provider = status, provider or payment.provider
        payment.paid_on, payment.paid_at = paid_on or payment.paid_on, paid_at or payment.paid_at
        if refunded_amount is not None:
            payment.refunded_amount = refunded_amount
        await self._settle(payment, now)
        return payment

    async def decide(
        self,
        payment_id: str,
        *,
        firm_id: str,
        decision: ReviewDecision,
        amount: Decimal | None = None,
        now: datetime,
        today: date,
    ) -> Payment:
        """Store what a person made of a payment that had to be looked at, and settle its invoice.

        Args:
            amount: with ``complete`` what came, instead of the payment's amount; with ``refund`` what went back in
                all, instead of the whole.
            today: in the firm's zone; the money's day, unless one is known.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
            RecordConflictError: nobody has to look at it.
            RecordValueError: the amount fits neither the payment nor the decision.
        """
        payment = await self.get(payment_id, firm_id=firm_id, lock=True)
        if payment.review is None:
            raise RecordConflictError(
                f"payment {payment.id}: there is nothing to decide; it is {payment.status}"
            )
        _check_amount(payment, decision, amount)
        if decision is ReviewDecision.COMPLETE:
            payment.amount = payment.amount if amount is None else amount
            if payment.status is not PaymentStatus.RECONCILED:
                payment.status = PaymentStatus.COMPLETED
            payment.paid_on, payment.paid_at = payment.paid_on or today, payment.paid_at or now
        elif decision is ReviewDecision.REFUND:
            payment.refunded_amount = payment.amount if amount is None else amount
            whole = payment.refunded_amount == payment.amount
            payment.status = PaymentStatus.REFUNDED if whole else PaymentStatus.COMPLETED
            payment.paid_on, payment.paid_at = payment.paid_on or today, payment.paid_at or now
        elif decision is ReviewDecision.FAIL:
            payment.status, payment.paid_on, payment.paid_at = PaymentStatus.FAILED, None, None
        payment.reviewed, payment.review = payment.review, None
        payment.answer_count += 1  # an answer that is on its way was asked for before
        await self._settle(payment, now)
        return payment

    async def _settle(self, payment: Payment, now: datetime) -> None:
        await self.session.flush()
        if payment.invoice_id is not None:
            await Invoices(self.session).settle(payment.invoice_id, firm_id=payment.firm_id, now=now)


def _check_amount(payment: Payment, decision: ReviewDecision, amount: Decimal | None) -> None:
    if amount is None:
        return
    if decision not in (ReviewDecision.COMPLETE, ReviewDecision.REFUND):
        raise RecordValueError(f"an amount makes no sense with the decision {decision}")
    if amount <= 0:
        raise RecordValueError(f"the amount must be more than nothing, got {amount}")
    if decision is ReviewDecision.COMPLETE and amount < payment.refunded_amount:
        raise RecordValueError(f"{amount} is less than the {payment.refunded_amount} that went back of it")
    if decision is ReviewDecision.REFUND and amount > payment.amount:
        raise RecordValueError(f"{amount} is more than the payment's {payment.amount}")
