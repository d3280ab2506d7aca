"""Dinars and Omani riyals keep their third decimal, and other amounts look as they did."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import func, select
from tests.support.databases import KINDS, Databases
from tests.support.records import add_client, add_firm, add_invoice

from toril.db.models import Invoice, Payment
from toril.db.models.banking import BankTransaction
from toril.db.session import Database


async def test_a_third_decimal_is_kept_and_added_up(database: Database) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        session.add_all(
            Payment(firm_id=firm.id, amount=Decimal(amount), currency="KWD")
            for amount in ("1.234", "0.001", "2")
        )
    async with database.reading() as session:
        amounts = (await session.scalars(select(Payment.amount).order_by(Payment.amount))).all()
        assert [str(each) for each in amounts] == ["0.001", "1.234", "2.00"]
        assert await session.scalar(select(func.sum(Payment.amount))) == Decimal("3.235")


@pytest.mark.parametrize("kind", KINDS)
async def test_amounts_from_before_are_the_same_after(databases: Databases, kind: str) -> None:
    async with Database(await databases.empty(kind)) as database:
        await database.upgrade()
        async with database.session() as session:
            firm = await add_firm(session)
            invoice = await add_invoice(session, firm, await add_client(session, firm))
        await database.downgrade("0015")
        await database.upgrade()
        async with database.reading() as session:
            stored = await session.get_one(Invoice, invoice.id)
    assert (str(stored.total), str(stored.vat_amount), str(stored.balance)) == ("115.00", "15.00", "115.00")
    assert BankTransaction.__table__.c.amount.type.scale == 3
