"""A small firm whose books were kept by hand, for tests of reports."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.records import add_client, add_firm, add_invoice

from toril.db.base import Base
from toril.db.ids import new_id
from toril.db.models import (
    Case,
    Client,
    Expense,
    Firm,
    Invoice,
    InvoiceStatus,
    Payment,
    PaymentStatus,
    TimeEntry,
    User,
)

R = TypeVar("R", bound=Base)

PAID, PARTIAL, SENT = InvoiceStatus.PAID, InvoiceStatus.PARTIAL, InvoiceStatus.SENT


async def put(session: AsyncSession, record: R) -> R:
    """Store a record."""
    session.add(record)
    await session.flush()
    return record


async def invoice(
    session: AsyncSession,
    firm: Firm,
    client: Client,
    day: str,
    net: str,
    vat: str,
    paid: str = "0",
    **values: Any,
) -> Invoice:
    """Store an invoice of ``net`` and ``vat``, of which ``paid`` is paid."""
    total = Decimal(net) + Decimal(vat)
    status = PAID if Decimal(paid) == total else PARTIAL if Decimal(paid) else SENT
    figures = {
        "subtotal": Decimal(net),
        "vat_amount": Decimal(vat),
        "total": total,
        "amount_paid": Decimal(paid),
    }
    return await add_invoice(
        session,
        firm,
        client,
        **{"issue_date": date.fromisoformat(day), "status": status, **figures, **values},
    )


async def payment(
    session: AsyncSession, firm: Firm, amount: str, on: str | None = None, **values: Any
) -> Payment:
    """Store a payment that has come in."""
    day = date.fromisoformat(on) if on else None
    given = {"status": PaymentStatus.COMPLETED, "paid_on": day, **values}
    return await put(session, Payment(firm_id=firm.id, amount=Decimal(amount), **given))


async def expense(
    session: AsyncSession, firm: Firm, day: str, amount: str, vat: str = "0", **values: Any
) -> Expense:
    """Store an expense; ``amount`` includes ``vat``."""
    money = {"amount": Decimal(amount), "vat_amount": Decimal(vat)}
    given = {"category": "court fees", "spent_on": date.fromisoformat(day), **money, **values}
    return await put(session, Expense(firm_id=firm.id, **given))


async def case(
    session: AsyncSession, firm: Firm, client: Client, opened: str = "2026-01-10", **values: Any
) -> Case:
    """Store a case."""
    given = {"number": f"C-{new_id()}", "title": "A case", "opened_on": date.fromisoformat(opened), **values}
    return await put(session, Case(firm_id=firm.id, client_id=client.id, **given))


async def worked(
    session: AsyncSession, firm: Firm, user: User, day: str, minutes: int, **values: Any
) -> TimeEntry:
    """Store time that somebody spent."""
    given = {"worked_on": date.fromisoformat(day), "minutes": minutes, **values}
    return await put(session, TimeEntry(firm_id=firm.id, user_id=user.id, **given))


def utc(text: str) -> datetime:
    """A moment written in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def add_books(session: AsyncSession) -> tuple[Firm, Client, Client]:
    """Store a firm with two clients, Amal and Badr, and its books for the first quarter of 2026.

    ======  ========  ==========  ========  ========  =======  =====================================================
    month   of        net         VAT       paid in   spent    remarks
    ======  ========  ==========  ========  ========  =======  =====================================================
    Jan     Amal      1,000.10    150.02                       on the first day; 150.12 of it are not paid
    Jan     Badr         33.33      5.00    38.33              the payment names only the invoice
    Jan     Amal                            1,000.00  50.00    refunded 0.00; 57.50 with VAT 7.50, for Amal's case
    Feb     Badr        200.00     30.00                       not paid
    Feb     Amal                            100.00             150.00, of which 50.00 went back
    Feb     none                            70.07              paid at 00:00 of the first of February in Riyadh
    Feb     none                                      9.99     for the firm itself
    Mar     Amal      2,000.00      0.00    2,000.00  400.00   on the last day, all three; Badr's case
    ======  ========  ==========  ========  ========  =======  =====================================================

    Beside them, what must not count: a draft, a void invoice, the days before and after, a payment that failed,
    one in dollars, one at 00:00 of the first of April in Riyadh.
    """
    firm = await add_firm(session)
    amal = await add_client(session, firm, name="Amal")
    badr = await add_client(session, firm, name="Badr")
    amals = await case(session, firm, amal)
    badrs = await case(session, firm, badr)
    await invoice(session, firm, amal, "2026-01-01", "1000.10", "150.02", "1000.00")
    small = await invoice(session, firm, badr, "2026-01-31", "33.33", "5.00", "38.33")
    await invoice(session, firm, badr, "2026-02-14", "200.00", "30.00")
    await invoice(session, firm, amal, "2026-03-31", "2000.00", "0.00", "2000.00")
    await payment(session, firm, "38.33", "2026-01-31", invoice_id=small.id)
    await payment(session, firm, "1000.00", "2026-01-15", client_id=amal.id)
    await payment(
        session, firm, "150.00", "2026-02-28", client_id=amal.id, refunded_amount=Decimal("50.00"),
        status=PaymentStatus.RECONCILED,
    )  # fmt: skip
    await payment(session, firm, "70.07", paid_at=utc("2026-01-31T21:00:00"))
    await payment(session, firm, "2000.00", "2026-03-31", client_id=amal.id)
    await expense(session, firm, "2026-01-20", "57.50", "7.50", case_id=amals.id)
    await expense(session, firm, "2026-02-02", "9.99")
    await expense(session, firm, "2026-03-31", "460.00", "60.00", case_id=badrs.id)
    await _add_what_does_not_count(session, firm, amal)
    return firm, amal, badr


async def _add_what_does_not_count(session: AsyncSession, firm: Firm, client: Client) -> None:
    for status in (InvoiceStatus.DRAFT, InvoiceStatus.VOID):
        await invoice(session, firm, client, "2026-02-01", "7000", "1050", status=status)
    for day in ("2025-12-31", "2026-04-01"):
        await invoice(session, firm, client, day, "9000", "1350")
        await payment(session, firm, "9000", day, client_id=client.id)
        await expense(session, firm, day, "9000")
    await payment(session, firm, "8000", "2026-02-01", status=PaymentStatus.FAILED)
    await payment(session, firm, "6000", paid_at=utc("2026-03-31T21:00:00"))
    await payment(session, firm, "5000", paid_at=utc("2025-12-31T20:59:59"))
    await invoice(session, firm, client, "2026-02-01", "4000", "0", currency="USD")
