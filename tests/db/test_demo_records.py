"""The demonstration's firm: its books agree, and it is the same every time."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, inspect, select
from sqlalchemy.orm import selectinload
from tests.support.databases import KINDS, Databases
from tests.support.records import NOW

from toril.db.base import Base
from toril.db.demo import DemoSize, add_demo_firm
from toril.db.models import Case, Expense, Firm, Invoice, InvoiceStatus, Payment, TimeEntry
from toril.db.repositories.invoices import Invoices
from toril.db.session import Database

TODAY = date(2026, 3, 1)

#: Set by the clock when a record is stored.
STAMPS = {"created_at", "updated_at", "last_used_at"}


async def add(database: Database, **more: Any) -> str:
    async with database.session() as session:
        return (await add_demo_firm(session, today=TODAY, **more)).id


async def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    async with database.reading() as session:
        for mapper in Base.registry.mappers:
            names = [column.key for column in mapper.column_attrs if column.key not in STAMPS]
            columns = [getattr(mapper.class_, name) for name in names]
            rows = await session.execute(select(*columns).order_by(*mapper.primary_key))
            found[inspect(mapper.class_).local_table.name] = [tuple(row) for row in rows]
    return found


async def test_the_books_agree_to_the_halala(database: Database) -> None:
    firm_id = await add(database)
    paid: dict[str | None, Decimal] = defaultdict(Decimal)
    async with database.session() as session:
        for payment in await session.scalars(select(Payment).where(Payment.status == "completed")):
            paid[payment.invoice_id] += payment.amount
            assert payment.paid_on is not None
            assert payment.paid_on <= TODAY
        statement = select(Invoice).options(selectinload(Invoice.lines))
        invoices = (await session.scalars(statement)).all()
        assert {invoice.status for invoice in invoices} == set(InvoiceStatus)
        for invoice in invoices:
            assert invoice.subtotal == sum(line.net for line in invoice.lines)
            assert invoice.vat_amount == sum(line.vat_amount for line in invoice.lines)
            assert invoice.total == invoice.subtotal + invoice.vat_amount
            assert invoice.amount_paid == paid[invoice.id] <= invoice.total
            before = (invoice.status, invoice.amount_paid, invoice.paid_at)
            settled = await Invoices(session).settle(invoice.id, firm_id=firm_id, now=NOW)
            assert (settled.status, settled.amount_paid, settled.paid_at) == before


async def test_there_is_something_for_every_report(database: Database) -> None:
    firm_id = await add(database)
    async with database.reading() as session:
        for model, day, least in (
            (Invoice, Invoice.issue_date, 200),
            (Payment, Payment.paid_on, 100),
            (Expense, Expense.spent_on, 100),
            (TimeEntry, TimeEntry.worked_on, 500),
            (Case, Case.opened_on, 60),
        ):
            statement = select(func.count(), func.min(day), func.max(day)).where(model.firm_id == firm_id)
            count, first, last = (await session.execute(statement)).one()
            assert count >= least
            assert date(2025, 3, 1) <= first <= last <= TODAY


async def test_the_same_seed_makes_the_same_records_on_any_database(databases: Databases) -> None:
    found = []
    for kind in KINDS:
        async with Database(await databases.fresh(kind)) as database:
            await add(database)
            await add(database)  # twice is once
            found.append(await everything(database))
    assert found[0] == found[1]
    assert len(found[0]["firms"]) == 1


async def test_another_seed_makes_another_firm_beside_the_first(database: Database) -> None:
    size = DemoSize(clients=2, cases=3, invoices=5, days=30)
    assert await add(database, size=size) != await add(database, seed=2, size=size)
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Firm)) == 2
        assert await session.scalar(select(func.count()).select_from(Invoice)) == 10
