"""``toril payments``: what must be looked at, and what is decided about it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.cli import Toril
from tests.support.records import add_client, add_firm, add_invoice

from toril.db.models import AuditEntry, Invoice, Payment
from toril.db.session import Database


@pytest.fixture
async def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'records.db'}"


@pytest.fixture
def toril(tmp_path: Path, url: str) -> Toril:
    return Toril(tmp_path, {"DATABASE_URL": url, "TORIL_HOME": str(tmp_path / "home")})


async def add_payment(url: str) -> Payment:
    async with Database(url) as database:
        await database.upgrade()
        async with database.session() as session:
            firm = await add_firm(session)
            invoice = await add_invoice(session, firm, await add_client(session, firm))
            payment = Payment(
                firm_id=firm.id,
                invoice_id=invoice.id,
                amount=Decimal(115),
                review="the gateway has 50.00 SAR",
            )
            session.add(payment)
    return payment


async def test_a_payment_is_listed_until_somebody_decides(toril: Toril, url: str) -> None:
    payment = await add_payment(url)
    listed = await toril("payments", "review", "--json")
    assert [each["id"] for each in listed.json] == [payment.id]
    assert "the gateway has 50.00 SAR" in (await toril("payments", "review")).out
    decide = ("payments", "decide", payment.id, "complete", "--amount", "50.00", "--firm", payment.firm_id)
    decided = await toril(*decide, "--json")
    assert (decided.code, decided.json["status"], decided.json["amount"]) == (0, "completed", "50.00")
    assert (await toril("payments", "review", "--json")).json == []
    again = await toril(*decide)
    assert (again.code, again.out) == (1, "")
    assert "nothing to decide" in again.err
    async with Database(url) as database, database.reading() as session:
        assert (await session.get_one(Invoice, payment.invoice_id)).amount_paid == Decimal(50)
        entry = (await session.scalars(select(AuditEntry))).one()
        assert (entry.action, entry.target, entry.details["decision"]) == (
            "payment.decide",
            payment.id,
            "complete",
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--amount": "much"}, "is no amount"),
        ({"--amount": "-1"}, "more than nothing"),
        ({"--firm": "f" * 24}, "not found"),
    ],
)
async def test_a_decision_that_makes_no_sense_changes_nothing(
    toril: Toril, url: str, changes: dict[str, str], message: str
) -> None:
    payment = await add_payment(url)
    options = {"--firm": payment.firm_id} | changes
    refused = await toril(
        "payments", "decide", payment.id, "complete", *(part for pair in options.items() for part in pair)
    )
    assert refused.code != 0
    assert message in refused.err
    assert len((await toril("payments", "review", "--json")).json) == 1
