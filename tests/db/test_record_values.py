"""Money, times and ids in the database are what they were in Python."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import case, func, insert, literal, select, text
from tests.support.records import NOW, add_client, add_firm, add_invoice

from toril.db.errors import RecordConflictError, RecordValueError
from toril.db.ids import new_id
from toril.db.models import Client, CurrencyRate, Expense, Firm, Invoice, InvoiceStatus, Notification
from toril.db.session import Database
from toril.errors import OptionError

DAY = date(2026, 2, 1)


async def add_expenses(database: Database, amounts: list[Decimal], **values: Any) -> str:
    async with database.session() as session:
        firm = await add_firm(session)
        rows = [
            {"firm_id": firm.id, "category": "court fees", "spent_on": DAY, "amount": amount, **values}
            for amount in amounts
        ]
        await session.execute(insert(Expense), rows)
        return firm.id


async def test_a_hundred_thousand_amounts_sum_to_the_halala(database: Database) -> None:
    chance = random.Random(7)
    amounts = [Decimal(chance.randrange(10**9)) / 100 for _ in range(100_000)]
    await add_expenses(database, amounts)
    async with database.reading() as session:
        total = await session.scalar(select(func.sum(Expense.amount)))
        small = await session.scalar(select(func.count()).where(Expense.amount < Decimal("1234567.89")))
        greatest = await session.scalar(select(func.max(Expense.amount)))
    assert total == sum(amounts)
    assert isinstance(total, Decimal)
    assert small == sum(amount < Decimal("1234567.89") for amount in amounts)
    assert greatest == max(amounts)


async def test_money_is_added_compared_and_chosen_in_sql(database: Database) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        client = await add_client(session, firm)
        await add_invoice(session, firm, client, total=Decimal("115.01"), amount_paid=Decimal("15.02"))
        await add_invoice(session, firm, client, total=Decimal("0.10"), status=InvoiceStatus.DRAFT)
    async with database.reading() as session:
        assert await session.scalar(select(func.sum(Invoice.balance))) == Decimal("100.09")
        drafts = case((Invoice.status == InvoiceStatus.DRAFT, Invoice.total), else_=0)
        assert await session.scalar(select(func.sum(drafts))) == Decimal("0.10")
        assert await session.scalar(select(func.coalesce(func.sum(Invoice.discount), 0))) == 0
        owed = select(func.count()).where(Invoice.balance > Decimal("99.98"), Invoice.total - 15 > 100)
        assert await session.scalar(owed) == 1
        plus = select(Invoice.total + Decimal("0.05")).where(Invoice.total == Decimal("0.1"))
        assert await session.scalar(plus) == Decimal("0.15")


@pytest.mark.parametrize("amount", ["0", "0.01", "0.001", "99999999999999.99", "999999999999999.999"])
async def test_an_amount_comes_back_as_it_went(database: Database, amount: str) -> None:
    firm_id = await add_expenses(database, [Decimal(amount)])
    async with database.reading() as session:
        expense = (await session.scalars(select(Expense).where(Expense.firm_id == firm_id))).one()
        assert expense.amount == Decimal(amount)
        assert isinstance(expense.amount, Decimal)


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        pytest.param(0.1, "never a float", id="float"),
        pytest.param("1", "never a float", id="text"),
        pytest.param(True, "never a float", id="bool"),
        pytest.param(Decimal("0.0001"), "more than 3 decimals", id="part of the smallest coin"),
        pytest.param(Decimal("1e-80"), "more than 3 decimals", id="a very small part"),
        pytest.param(Decimal("NaN"), "no number", id="not a number"),
        pytest.param(Decimal("Infinity"), "no number", id="infinite"),
        pytest.param(Decimal(10**16), "too large", id="too large"),
        pytest.param(Decimal("1e60"), "too large", id="much too large"),
    ],
)
async def test_an_amount_that_cannot_be_kept_is_refused(database: Database, amount: Any, reason: str) -> None:
    with pytest.raises(RecordValueError, match=reason):
        await add_expenses(database, [amount])


def test_products_of_money_are_refused_in_sql() -> None:
    for product in (
        lambda: Invoice.total * 2,
        lambda: Invoice.total / Decimal(2),
        lambda: 2 * Invoice.total,
        lambda: Invoice.total * Invoice.vat_rate,
    ):
        with pytest.raises(OptionError, match="not multiplied"):
            product()


async def test_a_rate_keeps_twelve_decimals(database: Database) -> None:
    rates = {"USD": Decimal("0.266666666667"), "IRR": Decimal("3467812.5"), "SAR": Decimal(1)}
    async with database.session() as session:
        session.add_all(
            CurrencyRate(base="SAR", currency=currency, rate=rate, as_of=DAY, source="api")
            for currency, rate in rates.items()
        )
    async with database.reading() as session:
        stored = {each.currency: each.rate for each in await session.scalars(select(CurrencyRate))}
    assert stored == rates


async def test_times_come_back_in_utc_and_sort_and_compare(database: Database) -> None:
    riyadh = timezone(timedelta(hours=3))
    times = [
        datetime(2026, 3, 1, 2, 0, tzinfo=riyadh),  # the day before, in UTC
        datetime(2026, 2, 28, 23, 30, 0, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 0, 0, tzinfo=UTC),
    ]
    async with database.session() as session:
        session.add_all(
            Notification(user_id="u", title=str(n), message="", created_at=at) for n, at in enumerate(times)
        )
    async with database.reading() as session:
        found = (await session.scalars(select(Notification).order_by(Notification.created_at.desc()))).all()
        assert [each.title for each in found] == ["2", "1", "0"]
        assert [each.created_at for each in reversed(found)] == times
        assert {each.created_at.tzinfo for each in found} == {UTC}
        since = select(func.count()).where(Notification.created_at >= times[1].astimezone(riyadh))
        assert await session.scalar(since) == 2


@pytest.mark.parametrize("at", [datetime(2026, 3, 1), DAY, "2026-03-01"])  # noqa: DTZ001 - that is the point
async def test_a_time_without_zone_is_refused(database: Database, at: Any) -> None:
    with pytest.raises(RecordValueError, match="with its zone"):
        async with database.session() as session:
            session.add(Notification(user_id="u", title="", message="", created_at=at))


async def test_a_record_gets_an_id_and_its_times_when_it_is_stored(database: Database) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        created = firm.created_at
        assert firm.updated_at >= created > NOW - timedelta(days=1000)
    async with database.session() as session:
        changed = (await session.scalars(select(Firm))).one()
        changed.city = "Riyadh"
        await session.flush()
        assert changed.updated_at > created == changed.created_at


async def test_an_id_that_is_none_is_refused(database: Database) -> None:
    with pytest.raises(RecordValueError, match="24 hex digits"):
        async with database.session() as session:
            await add_firm(session, id="5")


async def test_arabic_json_and_its_numbers_survive(database: Database) -> None:
    details = {"اسم": "سارة", "n": [1, 2.5, None], "big": 2**60, "price": Decimal("1.10")}
    async with database.session() as session:
        session.add(Notification(user_id="u", title="", message="", details=details))
    async with database.reading() as session:
        stored = (await session.scalars(select(Notification))).one()
        assert stored.details == {**details, "price": "1.10"}
        raw = await session.scalar(text("SELECT CAST(metadata AS text) FROM notifications"))
        assert "سارة" in raw


async def test_a_status_that_is_none_is_refused_by_python_and_by_the_database(database: Database) -> None:
    with pytest.raises(RecordValueError, match="'lost' is not among"):
        async with database.session() as session:
            session.add(Client(kind="lost", name="Client", firm_id=new_id(), client_since=DAY))
    async with database.session() as session:
        firm = await add_firm(session)
        client = await add_client(session, firm)
        invoice = await add_invoice(session, firm, client, status="paid")
    assert invoice.status == InvoiceStatus.PAID
    with pytest.raises(RecordConflictError, match="ck_invoices_invoicestatus"):
        async with database.session() as session:
            await session.execute(text("UPDATE invoices SET status = 'lost'"))


async def test_constants_in_sql_are_exact_too(database: Database) -> None:
    async with database.reading() as session:
        constant = literal(Decimal("12.34"), Invoice.total.type)
        assert await session.scalar(select(constant)) == Decimal("12.34")
        assert await session.scalar(select(constant).where(literal(new_id()) != "")) == Decimal("12.34")
