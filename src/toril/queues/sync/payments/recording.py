"""What a gateway says about a payment, kept with it."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from toril.db.models.firms import Firm
from toril.db.models.invoices import RECEIVED, Payment, PaymentStatus
from toril.db.repositories.invoices import Payments
from toril.db.session import Database
from toril.queues.sync.payments.gateway import GatewayPayment

log = logging.getLogger("toril.queues.sync")

_MONEY_CAME: Final = (*RECEIVED, PaymentStatus.REFUNDED)


async def record(database: Database, payment: Payment, found: GatewayPayment, *, now: datetime) -> Payment:
    """Store an answer, and settle the payment's invoice; returns the payment as it is then.

    A final state never goes back. Money that does not match the payment, in amount, currency or reference, moves
    nothing: the payment says why a person must look.

    Raises:
        RecordNotFoundError: the payment is not there any more.
    """
    problem = _mismatch(payment, found) if found.status in _MONEY_CAME else None
    status = None if problem else found.status
    if status is PaymentStatus.COMPLETED and payment.status is PaymentStatus.RECONCILED:
        status = PaymentStatus.RECONCILED  # so that a refund of a part is noted
    paid_at = (found.paid_at or payment.paid_at or now) if status in _MONEY_CAME else None
    async with database.session() as session:
        firm = await session.get_one(Firm, payment.firm_id)
        stored = await Payments(session).record_answer(
            payment.id,
            firm_id=payment.firm_id,
            status=status,
            answer=found.answer,
            now=now,
            paid_at=paid_at,
            paid_on=None if paid_at is None else paid_at.astimezone(ZoneInfo(firm.time_zone)).date(),
            refunded_amount=found.refunded if status in _MONEY_CAME else None,
            review=problem or found.review,
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
    return None
