"""What a gateway says about a payment, kept with it."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.models.firms import Firm
from toril.db.models.invoices import RECEIVED, Invoice, Payment, PaymentStatus
from toril.db.repositories.payments import Payments
from toril.db.session import Database
from toril.errors import RetryableError
from toril.queues.sync.payments.gateway import GatewayPayment

log = logging.getLogger("toril.queues.sync")

_MONEY_CAME: Final = (*RECEIVED, PaymentStatus.REFUNDED)
_NO_MONEY: Final = (PaymentStatus.FAILED, PaymentStatus.CANCELLED)
_ASKED_AT_MOST: Final = 5  #: times in one attempt


class _OvertakenError(Exception):
    """Another answer about the payment was stored since this one was asked for."""


async def bring_up_to_date(
    database: Database,
    payment: Payment,
    ask: Callable[[Payment], Awaitable[GatewayPayment]],
    *,
    clock: Callable[[], datetime],
    provider: str | None = None,
) -> tuple[Payment, GatewayPayment]:
    """Ask about a payment, store the answer, and settle its invoice; returns the payment as it is then, and the answer.

    A final state never goes back. Money that does not match the payment, in amount, currency or reference, moves
    nothing: the payment says why a person must look.

    Two that ask at once may get their answers in either order. So an answer counts only when none was stored since it
    was asked for; one that says something else than that is asked for again.

    Args:
        provider: who is asked, when the payment's ``provider_payment_id`` is an id of theirs.

    Raises:
        RecordNotFoundError: the payment is not there any more.
        RetryableError: others stored answers all the time.
    """
    for _ in range(_ASKED_AT_MOST):
        found = await ask(payment)
        try:
            return await _record(database, payment, found, now=clock(), provider=provider), found
        except _OvertakenError:
            async with database.reading() as session:
                payment = await Payments(session).get(payment.id, firm_id=payment.firm_id)
    raise RetryableError(
        f"payment {payment.id}: other jobs store what they are told about it at the same time; trying again later"
    )


async def _record(
    database: Database, asked_about: Payment, found: GatewayPayment, *, now: datetime, provider: str | None
) -> Payment:
    firm_id = asked_about.firm_id
    async with database.session() as session:
        payments = Payments(session)
        payment = await payments.get(asked_about.id, firm_id=firm_id, lock=True)
        if payment.answer_count != asked_about.answer_count:
            if _text(payment.answer) == _text(found.answer):
                return payment  # the same was stored meanwhile
            raise _OvertakenError
        money_came = found.status in _MONEY_CAME
        problem = _mismatch(payment, found) if money_came else _loss(payment, found)
        if problem is None and money_came:
            problem = await _others_money(payments, payment, provider)
        status = None if problem else found.status
        if status is PaymentStatus.COMPLETED and payment.status is PaymentStatus.RECONCILED:
            status = PaymentStatus.RECONCILED  # so that a refund of a part is noted
        review = problem or found.review or (await _unpaid_invoice(session, payment) if money_came else None)
        if review is not None and review == payment.reviewed and payment.status not in RECEIVED:
            status = None  # somebody has decided that this is no money
        paid_at = (found.paid_at or payment.paid_at or now) if status in _MONEY_CAME else None
        firm = await session.get_one(Firm, firm_id)
        stored = await payments.record_answer(
            payment.id,
            firm_id=firm_id,
            status=status,
            answer=found.answer,
            now=now,
            provider=provider if status in _MONEY_CAME and payment.provider_payment_id else None,
            paid_at=paid_at,
            paid_on=None if paid_at is None else paid_at.astimezone(ZoneInfo(firm.time_zone)).date(),
            refunded_amount=found.refunded if status in _MONEY_CAME else None,
            review=review,
        )
    if stored.review:
        log.warning("payment_needs_review", extra={"firm_id": stored.firm_id, "payment_id": stored.id})
    return stored


def _mismatch(payment: Payment, found: GatewayPayment) -> str | None:
    """Why the money that came is not this payment's."""
    if found.reference not in (None, payment.id):
        return f"the gateway has it as the payment {found.reference[:40]!r}"
    if found.currency != payment.currency:
        return f"the gateway has it in {found.currency}, not in {payment.currency}"
    if found.amount != payment.amount:
        return f"the gateway has {found.amount:f} {found.currency}, not {payment.amount:f}"
    if found.refunded > found.amount:
        return f"the gateway gave {found.refunded:f} {found.currency} back, of {found.amount:f}"
    return None


def _loss(payment: Payment, found: GatewayPayment) -> str | None:
    """That money which came is not there any more, which no refund explains."""
    if found.status in _NO_MONEY and payment.status in RECEIVED:
        return (
            f"the gateway says {found.status} ({found.raw_status[:40]}), and the payment was {payment.status}"
        )
    return None


async def _others_money(payments: Payments, payment: Payment, provider: str | None) -> str | None:
    """That the money is another payment's already; whose is not said, as it may be another firm's."""
    their_id = payment.provider_payment_id
    if provider is None or not their_id or payment.provider == provider:  # its own by the rule of the table
        return None
    if await payments.is_taken(provider, their_id, by_other_than=payment.id):
        return f"the payment of this id at {provider} is another payment here"
    return None


async def _unpaid_invoice(session: AsyncSession, payment: Payment) -> str | None:
    """That the money pays nothing of the invoice it is for."""
    if payment.invoice_id is None:
        return None
    invoice = await session.get_one(Invoice, payment.invoice_id)
    if invoice.currency == payment.currency:
        return None
    return (
        f"the payment is in {payment.currency} and its invoice in {invoice.currency}: it pays nothing of it"
    )


def _text(answer: Any) -> str:
    """An answer for comparison; JSON in the database has numbers with a point as text."""
    return json.dumps(answer, sort_keys=True, default=str)
