"""The firm's payments, and what somebody decides about those that must be looked at."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from pydantic import Field

from toril.db.models import Firm, Payment, PaymentMethod, PaymentStatus
from toril.db.repositories.payments import Payments, ReviewDecision
from toril.db.types import MONEY_SCALE, utc_now
from toril.web.answers import Json, ok
from toril.web.api_route import ApiRoute
from toril.web.deps import AuditTrail, Limits, Reading, Records
from toril.web.firms import ReadFirm, WriteFirm
from toril.web.queue_route import read_body, takes
from toril.web.schemas import Answer, Model, Moment, errors

router = APIRouter(prefix="/api/payments", tags=["payments"], route_class=ApiRoute)

Amount = Annotated[Decimal, Field(examples=["115.00"], description="A decimal number as text.")]

_DECISION: Final = {"decision": "complete", "amount": "50.00"}


class PaymentView(Model):
    """A payment."""

    id: Annotated[str, Field(examples=["507f1f77bcf86cd799439011"])]
    status: PaymentStatus
    method: PaymentMethod
    amount: Amount
    refunded_amount: Amount
    currency: str
    client_id: str | None
    invoice_id: str | None
    provider: str | None
    provider_payment_id: str | None
    bill_number: str | None
    paid_on: date | None
    paid_at: Moment | None
    checked_at: Annotated[Moment | None, Field(description="When its provider was last asked.")]
    review: Annotated[str | None, Field(description="Why somebody must look at it.")]


class PaymentList(Answer[list[PaymentView]]):
    """A page of payments."""

    count: int
    total: int


class Decision(Model):
    """What became of a payment that had to be looked at."""

    decision: Annotated[
        ReviewDecision,
        Field(
            description="keep: it is right as it is. complete: the money came. refund: money went back. fail: no money."
        ),
    ]
    amount: Annotated[
        Decimal | None,
        Field(
            gt=0,
            max_digits=15,
            decimal_places=MONEY_SCALE,
            description="With complete what came, with refund what went back, instead of the whole.",
        ),
    ] = None


@router.get("", response_model=PaymentList, responses=errors(400, 401, 403, 404, 503))
async def list_payments(
    firm_id: ReadFirm,
    session: Reading,
    page: Limits,
    status: Annotated[
        list[PaymentStatus] | None, Query(description="Only these; may be given again.")
    ] = None,
    review: Annotated[bool, Query(description="Only those that somebody must look at.")] = False,
) -> Json:
    """The firm's payments, the newest first."""
    found = await Payments(session).list(
        firm_id=firm_id, statuses=status or (), to_review=review, limit=page.limit, offset=page.offset
    )
    return ok([_view(each) for each in found.items], count=len(found.items), total=found.total)


@router.get("/{payment_id}", response_model=Answer[PaymentView], responses=errors(400, 401, 403, 404, 503))
async def read_payment(payment_id: str, firm_id: ReadFirm, session: Reading) -> Json:
    """A payment."""
    return ok(_view(await Payments(session).get(payment_id, firm_id=firm_id)))


@router.post(
    "/{payment_id}/review",
    response_model=Answer[PaymentView],
    responses=errors(400, 401, 403, 404, 409, 413, 415, 503),
    openapi_extra=takes(Decision, _DECISION),
)
async def decide_payment(
    payment_id: str, request: Request, firm_id: WriteFirm, database: Records, audit: AuditTrail
) -> Json:
    """Say what became of a payment that had to be looked at. Its invoice is settled by that at once, and the same
    reason is not raised again."""
    body = await read_body(request, Decision)
    async with database.session() as session:
        payments = Payments(session)
        reason = (await payments.get(payment_id, firm_id=firm_id)).review
        firm, now = await session.get_one(Firm, firm_id), utc_now()
        stored = await payments.decide(
            payment_id,
            firm_id=firm_id,
            decision=body.decision,
            amount=body.amount,
            now=now,
            today=now.astimezone(ZoneInfo(firm.time_zone)).date(),
        )
        amount = None if body.amount is None else str(body.amount)
        session.add(
            audit.entry(
                "payment.decide", payment_id, decision=body.decision.value, amount=amount, reason=reason
            )
        )
    return ok(_view(stored))


def _view(payment: Payment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "status": payment.status,
        "method": payment.method,
        "amount": str(payment.amount),
        "refundedAmount": str(payment.refunded_amount),
        "currency": payment.currency,
        "clientId": payment.client_id,
        "invoiceId": payment.invoice_id,
        "provider": payment.provider,
        "providerPaymentId": payment.provider_payment_id,
        "billNumber": payment.bill_number,
        "paidOn": payment.paid_on,
        "paidAt": payment.paid_at,
        "checkedAt": payment.checked_at,
        "review": payment.review,
    }
