"""Payments that share a provider's id, from before that was refused, keep all but the id."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text
from tests.support.databases import KINDS, Databases
from tests.support.records import add_firm

from toril.db.models import Payment
from toril.db.session import Database

_OLD = (
    "INSERT INTO payments (id, firm_id, method, status, amount, refunded_amount, currency, provider,"
    " provider_payment_id, created_at, updated_at) VALUES (:id, :firm, 'card', 'completed', 11500, 0, 'SAR', 'moyasar',"
    " '3f0c', '2026-03-0{day} 09:00:00', '2026-03-01 09:00:00')"
)


@pytest.mark.parametrize("kind", KINDS)
async def test_of_payments_with_one_id_the_oldest_keeps_it_and_the_others_are_to_be_looked_at(
    databases: Databases, kind: str
) -> None:
    async with Database(await databases.empty(kind)) as database:
        await database.upgrade()
        async with database.session() as session:
            firms = [(await add_firm(session)).id for _ in range(2)]
        await database.downgrade("0011")
        async with database.session() as session:
            for day, (payment, firm) in enumerate(zip(("b" * 24, "a" * 24), firms, strict=True), 1):
                await session.execute(text(_OLD.format(day=day)), {"id": payment, "firm": firm})
        await database.upgrade()
        async with database.reading() as session:
            first, second = await session.scalars(select(Payment).order_by(Payment.created_at))
    assert (first.provider_payment_id, first.review) == ("3f0c", None)
    assert second.provider_payment_id is None
    assert second.review == "its id 3f0c at moyasar is that of another payment too, which keeps it"
    assert second.status == "completed"
