"""``toril payments``: those that somebody must look at, and what they decide."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from toril.cli.command import Call, command
from toril.cli.db import open_database
from toril.cli.exits import CommandError, ExitCode
from toril.cli.output import print_json, print_line, print_table
from toril.db.models import AuditEntry, Firm, Payment
from toril.db.repositories.payments import Payments, ReviewDecision
from toril.db.types import utc_now

_SHOWN = 200


@command(
    examples="""
    toril payments review                                    of all firms
    toril payments review --firm 507f1f77bcf86cd799439011    of one
    """
)
async def list_reviews(
    call: Call,
    firm: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this firm's.", show_default=False)
    ] = None,
) -> None:
    """List the payments that somebody must look at, the newest first.

    At most 200.
    """
    async with open_database(call) as database, database.reading() as session:
        found = await Payments(session).list(firm_id=firm, to_review=True, limit=_SHOWN)
    if call.json:
        print_json([_view(payment) for payment in found.items])
        return
    print_table(
        ("payment", "firm", "amount", "currency", "status", "provider", "because"),
        [
            (
                each.id,
                each.firm_id,
                str(each.amount),
                each.currency,
                each.status.value,
                each.provider or "",
                each.review or "",
            )
            for each in found.items
        ],
        numbers=("amount",),
    )
    if found.total > len(found.items):
        print_line(f"{found.total - len(found.items)} more are not shown.")


@command(
    examples="""
    toril payments decide 507f1f77bcf86cd799439012 keep --firm 507f1f77bcf86cd799439011
    toril payments decide 507f1f77bcf86cd799439012 complete --amount 50.00 --firm 507f1f77bcf86cd799439011
    """
)
async def decide_payment(
    call: Call,
    payment: Annotated[str, typer.Argument(metavar="PAYMENT", help="Its id.", show_default=False)],
    decision: Annotated[
        ReviewDecision,
        typer.Argument(metavar="DECISION", help="keep, complete, refund or fail.", show_default=False),
    ],
    firm: Annotated[str, typer.Option("--firm", metavar="ID", help="The firm's id.", show_default=False)],
    amount: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="What came, or went back; else the whole.", show_default=False),
    ] = None,
) -> None:
    """Say what became of a payment that had to be looked at.

    keep: it is right as it is. complete: the money came. refund: money went back. fail: no money came, or it was taken
    back. The invoice is settled by that at once, and the same reason is not raised again.
    """
    number = None if amount is None else _number(amount)
    async with open_database(call) as database, database.session() as session:
        payments = Payments(session)
        reason = (await payments.get(payment, firm_id=firm)).review
        zone, now = ZoneInfo((await session.get_one(Firm, firm)).time_zone), utc_now()
        stored = await payments.decide(
            payment,
            firm_id=firm,
            decision=decision,
            amount=number,
            now=now,
            today=now.astimezone(zone).date(),
        )
        details = {"decision": decision.value, "amount": amount, "reason": reason, "by": "command line"}
        session.add(AuditEntry(firm_id=firm, action="payment.decide", target=payment, details=details))
    if call.json:
        print_json(_view(stored))
        return
    print_line(f"Payment {stored.id} is {stored.status.value}, with {stored.amount} {stored.currency}.")


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CommandError(
            f"--amount {text!r} is no amount",
            exit=ExitCode.USAGE,
            code="usage",
            hint="write it as 50.00",
        ) from None


def _view(payment: Payment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "firmId": payment.firm_id,
        "status": payment.status.value,
        "amount": str(payment.amount),
        "refundedAmount": str(payment.refunded_amount),
        "currency": payment.currency,
        "provider": payment.provider,
        "providerPaymentId": payment.provider_payment_id,
        "invoiceId": payment.invoice_id,
        "review": payment.review,
    }
