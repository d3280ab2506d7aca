"""What one database can and the other cannot: the same answer on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import func, insert, select
from tests.support.databases import KINDS, Databases
from tests.support.records import add_firm

from toril.db.engines import PoolLimits
from toril.db.errors import DatabaseUnavailableError, RecordValueError
from toril.db.exact_sums import by_size
from toril.db.models import BankAccount, Expense, Firm, Notification
from toril.db.session import Database
from toril.errors import OptionError

MOST = Decimal("999999999999999.999")


async def add_expenses(database: Database, **amounts: list[Decimal]) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        rows = [
            {"firm_id": firm.id, "category": category, "spent_on": date(2026, 2, 1), "amount": amount}
            for category, some in amounts.items()
            for amount in some
        ]
        await session.execute(insert(Expense), rows)


async def test_sums_have_no_upper_end(database: Database) -> None:
    await add_expenses(database, rent=[MOST] * 40, fees=[MOST] * 12, stamps=[Decimal("0.005"), Decimal(7)])
    total = func.sum(Expense.amount)
    async with database.reading() as session:
        assert await session.scalar(select(total)) == 52 * MOST + Decimal("7.005")
        by_size = await session.execute(
            select(Expense.category, total).group_by(Expense.category).order_by(total.desc())
        )
        assert [tuple(row) for row in by_size] == [
            ("rent", 40 * MOST),
            ("fees", 12 * MOST),
            ("stamps", Decimal("7.005")),
        ]
        assert await session.scalar(select(total).where(Expense.category == "none")) is None


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_sums_sort_by_their_size_on_either_side_of_nothing(database: Database, direction: str) -> None:
    sums = {
        "far below": -MOST * 40,
        "below": -MOST * 12,
        "debt": Decimal(-7),
        "some": Decimal(7),
        "far": MOST * 40,
    }
    async with database.session() as session:
        firm = await add_firm(session)
        for name, size in sums.items():
            times = max(1, int(abs(size) / MOST))
            session.add_all(
                BankAccount(firm_id=firm.id, name=name, balance=size / times) for _ in range(times)
            )
        session.add(BankAccount(firm_id=firm.id, name="nothing"))
    total = func.sum(BankAccount.balance)
    order = getattr(by_size(total), direction)().nulls_last()
    async with database.reading() as session:
        rows = await session.execute(
            select(BankAccount.name, total).group_by(BankAccount.name).order_by(order)
        )
        found = [tuple(row) for row in rows]
    assert found[:-1] == sorted(sums.items(), key=lambda row: row[1], reverse=direction == "desc")
    assert found[-1] == ("nothing", None)


async def test_sums_of_what_was_taken_back_are_exact(database: Database) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        for balance in ("-0.001", "-999999999.999", "1000000000.000", "-7.10"):
            session.add(BankAccount(firm_id=firm.id, name="", balance=Decimal(balance)))
        session.add(BankAccount(firm_id=firm.id, name=""))
    async with database.reading() as session:
        total = await session.scalar(select(func.sum(BankAccount.balance)))
        assert total == Decimal("-7.10")
        assert await session.scalar(select(func.sum(BankAccount.balance - BankAccount.balance))) == 0


@pytest.mark.parametrize("text", ["a\0b", "\0", "half \ud800", "ق\udfff"], ids=ascii)
async def test_texts_that_no_database_keeps_are_refused_by_both(database: Database, text: str) -> None:
    async with database.session() as session:
        await add_firm(session)
    with pytest.raises(RecordValueError, match="character 0 or half of a character"):
        async with database.session() as session:
            await add_firm(session, name_en=text)
    with pytest.raises(RecordValueError, match="character 0 or half of a character"):
        async with database.session() as session:
            await session.execute(insert(Notification), [{"user_id": "u", "title": text, "message": "m"}] * 3)
    with pytest.raises(RecordValueError, match="character 0 or half of a character"):
        async with database.reading() as session:
            await session.scalar(select(Firm.id).where(Firm.name_en == text))
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Notification)) == 0
        assert await session.scalar(select(func.count()).select_from(Firm)) == 1


async def test_texts_of_all_other_characters_are_kept(database: Database) -> None:
    name = "".join(map(chr, (*range(1, 0xD800), *range(0xE000, 0x11000))))
    async with database.session() as session:
        firm = await add_firm(session, name_en=name)
    async with database.reading() as session:
        assert (await session.get_one(Firm, firm.id)).name_en == name


@pytest.mark.parametrize("kind", KINDS)
async def test_readers_that_take_all_connections_leave_writers_theirs(
    databases: Databases, kind: str
) -> None:
    pool = PoolLimits(size=1, overflow=2, wait=0.5)
    async with Database(await databases.fresh(kind), pool=pool) as database:
        reading, done = [asyncio.Event() for _ in range(3)], asyncio.Event()

        async def read(begun: asyncio.Event) -> None:
            async with database.reading() as session:
                await session.scalar(select(Firm.id))
                begun.set()
                await done.wait()

        slow = [asyncio.create_task(read(begun)) for begun in reading]
        for begun in reading:
            await begun.wait()
        with pytest.raises(DatabaseUnavailableError, match="DATABASE_POOL_SIZE"):
            await read(asyncio.Event())
        async with database.session() as session:  # has a connection all the same
            await add_firm(session)
        done.set()
        await asyncio.gather(*slow)
        async with database.reading() as session:
            assert await session.scalar(select(Firm.id)) is not None


def test_a_pool_without_connections_is_refused() -> None:
    for limits in ({"size": 0}, {"overflow": -1}, {"wait": 0}):
        with pytest.raises(OptionError, match="at least one connection"):
            PoolLimits(**limits)
