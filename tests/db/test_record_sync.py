"""What comes from outside is stored once, whoever brings it again, and takes the place of what was known."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from tests.support.databases import Databases
from tests.support.records import NOW, add_client, add_firm, add_invoice

from toril.db.models import (
    BankAccount,
    BankTransaction,
    MessageStatus,
    WhatsAppMessage,
    WhatsAppNumber,
    ZatcaDocument,
    ZatcaEnvironment,
)
from toril.db.repositories.banking import BankAccounts, CurrencyRates
from toril.db.repositories.whatsapp import WhatsAppInbox, WhatsAppMessages
from toril.db.repositories.zatca import ZatcaDocuments
from toril.db.session import Database


def transaction(number: int, **values: Any) -> dict[str, Any]:
    return {
        "provider_transaction_id": f"T-{number}",
        "direction": "credit",
        "amount": Decimal("18.50"),
        "booked_on": date(2026, 2, 28),
        "description": "POS",
        "raw": {"id": number},
        **values,
    }


async def add_account(database: Database, name: str = "a") -> BankAccount:
    async with database.session() as session:
        account = BankAccount(firm_id=(await add_firm(session)).id, name=name)
        session.add(account)
        await session.flush()
        return account


async def save(database: Database, account: BankAccount, rows: list[dict[str, Any]]) -> int:
    async with database.session() as session:
        return await BankAccounts(session).save_transactions(account, rows)


async def test_bank_transactions_are_stored_once_and_changed(database: Database) -> None:
    account, other = await add_account(database), await add_account(database)
    assert await save(database, account, []) == 0
    assert await save(database, account, [transaction(n) for n in range(3)]) == 3
    changed = [transaction(n, amount=Decimal("20.01"), description="Coffee") for n in range(1, 5)]
    assert await save(database, account, changed) == 2
    assert await save(database, account, changed) == 0
    assert await save(database, other, changed) == 4, "unique within the account only"
    async with database.reading() as session:
        own = BankTransaction.account_id == account.id
        rows = await session.scalars(select(BankTransaction).where(own))
        stored = {row.provider_transaction_id: row for row in rows}
        total = await session.scalar(select(func.sum(BankTransaction.amount)).where(own))
    assert {name: row.description for name, row in stored.items()} == {
        "T-0": "POS",
        **{f"T-{n}": "Coffee" for n in range(1, 5)},
    }
    assert total == Decimal("98.54")
    assert all(row.firm_id == account.firm_id for row in stored.values())
    assert stored["T-1"].updated_at > stored["T-0"].updated_at


async def test_of_two_in_one_page_the_last_counts(database: Database) -> None:
    account = await add_account(database)
    for _ in range(2):
        rows = [transaction(1), transaction(1, description="later")]
        await save(database, account, rows)
    async with database.reading() as session:
        assert (await session.scalars(select(BankTransaction.description))).all() == ["later"]


async def test_a_large_page_is_one_call(database: Database) -> None:
    account = await add_account(database)
    rows = [transaction(n) for n in range(5_000)]
    assert await save(database, account, rows) == 5_000
    assert await save(database, account, [*rows, transaction(5_000)]) == 1


async def test_two_that_bring_the_same_store_it_once(database: Database) -> None:
    account = await add_account(database)
    rows = [transaction(n) for n in range(50)]
    counts = await asyncio.gather(*(save(database, account, rows) for _ in range(4)))
    assert sum(counts) == 50


async def test_the_latest_rate_of_each_currency_is_used(database: Database) -> None:
    day = date(2026, 3, 1)

    async def save_rates(source: str, as_of: date, later: int, **rates: str) -> int:
        async with database.session() as session:
            found = {currency: Decimal(rate) for currency, rate in rates.items()}
            return await CurrencyRates(session).save(
                "SAR", found, as_of=as_of, source=source, now=NOW + timedelta(hours=later)
            )

    assert await save_rates("api", day - timedelta(days=1), 0, USD="0.26", KWD="0.0819") == 2
    assert await save_rates("api", day, 0, USD="0.266") == 1
    assert await save_rates("ecb", day, 1, USD="0.2667", EUR="0.226") == 2
    assert await save_rates("api", day, 2, USD="0.266666666667") == 0
    async with database.reading() as session:
        rates = await CurrencyRates(session).latest("SAR")
        assert {currency: (rate.rate, rate.source) for currency, rate in rates.items()} == {
            "USD": (Decimal("0.266666666667"), "api"),
            "EUR": (Decimal("0.226"), "ecb"),
            "KWD": (Decimal("0.0819"), "api"),
        }
        assert await CurrencyRates(session).latest("USD") == {}


async def add_number(database: Database) -> WhatsAppNumber:
    async with database.session() as session:
        number = WhatsAppNumber(firm_id=(await add_firm(session)).id, phone_number_id="100200300")
        session.add(number)
        await session.flush()
        return number


def message(name: str, **values: Any) -> dict[str, Any]:
    return {
        "message_id": f"wamid.{name}",
        "direction": "inbound",
        "contact": "966500000001",
        "type": "text",
        "text": "مرحبا",
        "payload": {"body": "مرحبا"},
        "status": "received",
        "sent_at": NOW,
        **values,
    }


async def test_a_webhook_s_delivery_is_stored_once_and_worked_in_order(database: Database) -> None:
    async with database.session() as session:
        inbox = WhatsAppInbox(session)
        for n in range(5):
            at = NOW + timedelta(seconds=n)
            assert await inbox.receive("1", digest=f"d{n}", payload={"n": n}, now=at)
            assert not await inbox.receive("1", digest=f"d{n}", payload={"n": n}, now=at)
        assert await inbox.receive("2", digest="d0", payload={"n": 0}, now=NOW), (
            "the same body, another number"
        )
    async with database.session() as session:
        first = await WhatsAppInbox(session).claim("1", limit=2)
        assert [each.payload["n"] for each in first] == [0, 1]
        first[0].processed_at, first[1].processed_at, first[1].error = NOW, NOW, "unreadable"
    async with database.session() as session:
        assert [each.payload["n"] for each in await WhatsAppInbox(session).claim("1")] == [2, 3, 4]


async def test_a_claimed_delivery_is_nobody_else_s(databases: Databases) -> None:
    """On PostgreSQL, where two can write at once; on SQLite the second waits for the first."""
    async with Database(await databases.fresh("postgresql")) as database:
        async with database.session() as session:
            for n in range(4):
                await WhatsAppInbox(session).receive("1", digest=str(n), payload={}, now=NOW)
        async with database.session() as one, database.session() as two:
            first = await WhatsAppInbox(one).claim("1", limit=3)
            second = await WhatsAppInbox(two).claim("1", limit=3)
            assert (len(first), len(second)) == (3, 1)
            assert not {each.id for each in first} & {each.id for each in second}


async def test_a_message_is_stored_once(database: Database) -> None:
    number = await add_number(database)
    async with database.session() as session:
        messages = WhatsAppMessages(session)
        assert await messages.save(number, [message("A"), message("B")]) == 2
        assert await messages.save(number, [message("B", text="changed"), message("C")]) == 1
        stored = await session.scalars(select(WhatsAppMessage.text).order_by(WhatsAppMessage.message_id))
        assert stored.all() == ["مرحبا"] * 3


async def test_a_late_status_never_takes_a_message_back(database: Database) -> None:
    number = await add_number(database)
    async with database.session() as session:
        messages = WhatsAppMessages(session)
        await messages.save(number, [message("out", direction="outbound", status="pending"), message("in")])

        async def apply(name: str, status: MessageStatus, minutes: int = 0) -> bool:
            at = NOW + timedelta(minutes=minutes)
            return await messages.apply_status(number, f"wamid.{name}", status=status, at=at)

        assert await apply("out", MessageStatus.DELIVERED, 2)
        assert not await apply("out", MessageStatus.SENT, 1)
        assert not await apply("out", MessageStatus.FAILED)
        assert await apply("out", MessageStatus.READ, 3)
        assert not await apply("out", MessageStatus.DELIVERED, 4)
        assert not await apply("in", MessageStatus.READ), "what was received is not on its way"
        assert await apply("unknown", MessageStatus.SENT), "kept for the message, which comes later"
        statement = select(WhatsAppMessage).where(WhatsAppMessage.message_id == "wamid.out")
        stored = (await session.scalars(statement.execution_options(populate_existing=True))).one()
        assert (stored.status, stored.status_at) == ("read", NOW + timedelta(minutes=3))
        assert await apply("out", MessageStatus.DELETED)
        assert not await apply("out", MessageStatus.DELETED)


async def test_documents_signed_at_once_follow_one_another_in_one_chain(database: Database) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        invoice = await add_invoice(session, firm, await add_client(session, firm))

    async def sign(n: int) -> None:
        async with database.session() as session:
            documents = ZatcaDocuments(session)
            unit = await documents.lock_unit(firm_id=firm.id, environment=ZatcaEnvironment.PRODUCTION)
            document = ZatcaDocument(
                invoice_id=invoice.id,
                kind="simplified",
                uuid=str(n),
                icv=unit.last_icv + 1,
                previous_hash=unit.last_hash or "first",
                hash=f"hash-{unit.last_icv + 1}",
                xml="<Invoice/>",
                qr="",
            )
            await documents.append(unit, document)

    await asyncio.gather(*(sign(n) for n in range(8)))
    async with database.reading() as session:
        chain = (await session.scalars(select(ZatcaDocument).order_by(ZatcaDocument.icv))).all()
        assert [each.icv for each in chain] == list(range(1, 9))
        assert [each.previous_hash for each in chain] == ["first", *(each.hash for each in chain[:-1])]
        latest = await ZatcaDocuments(session).latest(
            invoice.id, firm_id=firm.id, environment=ZatcaEnvironment.PRODUCTION
        )
        assert latest is not None
        assert latest.icv == 8
