"""What a provider says about a payment decides about the payment and its invoice, in whatever order it comes."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.records import NOW, add_client, add_firm, add_invoice

from toril.db.models import Invoice, InvoiceStatus, Payment, PaymentStatus
from toril.db.repositories.invoices import Invoices
from toril.db.repositories.payments import Payments
from toril.db.session import Database


async def add_payment(session: AsyncSession, amount: str = "115", **invoice: Any) -> Payment:
    firm = await add_firm(session)
    owed = await add_invoice(session, firm, await add_client(session, firm), **invoice)
    payment = Payment(firm_id=firm.id, invoice_id=owed.id, amount=Decimal(amount))
    session.add(payment)
    await session.flush()
    return payment


async def answer(database: Database, payment: Payment, status: PaymentStatus | None, **more: Any) -> Payment:
    async with database.session() as session:
        return await Payments(session).record_answer(
            payment.id,
            firm_id=payment.firm_id,
            status=status,
            answer={"status": str(status)},
            now=NOW,
            **more,
        )


async def invoice_of(database: Database, payment: Payment) -> Invoice:
    async with database.reading() as session:
        return await Invoices(session).get(str(payment.invoice_id), firm_id=payment.firm_id)


async def test_a_completed_payment_pays_its_invoice_once(database: Database) -> None:
    async with database.session() as session:
        payment = await add_payment(session)
    for _ in range(2):
        stored = await answer(
            database, payment, PaymentStatus.COMPLETED, paid_on=date(2026, 3, 1), paid_at=NOW
        )
    assert (stored.status, stored.paid_on, stored.paid_at) == ("completed", date(2026, 3, 1), NOW)
    assert (stored.checked_at, stored.answer) == (NOW, {"status": "completed"})
    invoice = await invoice_of(database, payment)
    assert (invoice.status, invoice.amount_paid, invoice.balance) == ("paid", Decimal(115), Decimal(0))
    assert invoice.paid_at == NOW


@pytest.mark.parametrize(
    ("amount", "status", "expected"),
    [
        ("114.99", InvoiceStatus.SENT, InvoiceStatus.PARTIAL),
        ("115.00", InvoiceStatus.OVERDUE, InvoiceStatus.PAID),
        ("0.01", InvoiceStatus.OVERDUE, InvoiceStatus.OVERDUE),
        ("200.00", InvoiceStatus.SENT, InvoiceStatus.PAID),
        ("115.00", InvoiceStatus.VOID, InvoiceStatus.VOID),
        ("115.00", InvoiceStatus.DRAFT, InvoiceStatus.DRAFT),
    ],
)
async def test_the_invoice_s_status_follows_from_what_is_paid(
    database: Database, amount: str, status: InvoiceStatus, expected: InvoiceStatus
) -> None:
    async with database.session() as session:
        payment = await add_payment(session, amount, status=status)
    await answer(database, payment, PaymentStatus.COMPLETED)
    invoice = await invoice_of(database, payment)
    assert (invoice.status, invoice.amount_paid) == (expected, Decimal(amount))


async def test_a_refund_is_owed_again(database: Database) -> None:
    async with database.session() as session:
        payment = await add_payment(session)
    await answer(database, payment, PaymentStatus.COMPLETED)
    await answer(database, payment, PaymentStatus.COMPLETED, refunded_amount=Decimal("15.50"))
    invoice = await invoice_of(database, payment)
    assert (invoice.status, invoice.balance, invoice.paid_at) == ("partial", Decimal("15.50"), None)
    await answer(database, payment, PaymentStatus.REFUNDED)
    invoice = await invoice_of(database, payment)
    assert (invoice.status, invoice.balance) == ("sent", Decimal(115))


@pytest.mark.parametrize("order", list(permutations([PaymentStatus.PENDING, PaymentStatus.PROCESSING])))
async def test_a_late_answer_never_takes_a_payment_back(
    database: Database, order: tuple[PaymentStatus, ...]
) -> None:
    async with database.session() as session:
        payment = await add_payment(session)
    await answer(database, payment, PaymentStatus.COMPLETED, paid_on=date(2026, 3, 1))
    for late in (*order, PaymentStatus.FAILED, PaymentStatus.CANCELLED, None):
        stored = await answer(database, payment, late, review="look")
        assert (stored.status, stored.paid_on) == (PaymentStatus.COMPLETED, date(2026, 3, 1))
        assert (stored.answer, stored.review) == ({"status": str(late)}, "look")
    assert (await invoice_of(database, payment)).status == InvoiceStatus.PAID


async def test_payments_that_arrive_together_are_all_counted(database: Database) -> None:
    async with database.session() as session:
        first = await add_payment(session, "11.50")
        others = [
            Payment(firm_id=first.firm_id, invoice_id=first.invoice_id, amount=Decimal("11.50"))
            for _ in range(9)
        ]
        session.add_all(others)
    payments = [first, *others]
    await asyncio.gather(*(answer(database, each, PaymentStatus.COMPLETED) for each in payments))
    assert (await invoice_of(database, first)).status == InvoiceStatus.PAID
