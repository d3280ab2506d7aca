"""Each firm is asked about with its own credentials; those of the installation serve one firm only."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.email_jobs import PlainJob
from tests.support.records import add_client, add_firm, add_invoice
from tests.support.sync_jobs import ON_SQLITE, run
from tests.support.until import until

from toril.db.models import BankAccount, FirmCredential, Payment
from toril.db.session import Database
from toril.errors import NotConfiguredError, OptionError
from toril.queues.base import QueueDefinition
from toril.queues.sync.access.store import CredentialStore
from toril.queues.sync.choice import choose_vendors
from toril.queues.sync.definition import sync_queue
from toril.testing.vendors.gateways import moyasar_payment
from toril.testing.vendors.server import Reply, VendorRequest, VendorServer, vendor_server

SECRET = "a secret of thirty-two characters or more"
SHARED = "sk_live_of_the_installation"


class World:
    """Two firms with a payment each, and a gateway that answers every key."""

    def __init__(self, database: Database, server: VendorServer, queue: QueueDefinition) -> None:
        self.database, self.server, self.queue = database, server, queue
        self.firms: list[str] = []
        self.payments: list[str] = []

    async def add_firm(self) -> None:
        async with self.database.session() as session:
            firm = await add_firm(session)
            invoice = await add_invoice(session, firm, await add_client(session, firm))
            payment = Payment(
                firm_id=firm.id,
                invoice_id=invoice.id,
                amount=Decimal(115),
                provider_payment_id=f"pay-{len(self.firms)}",
            )
            session.add(payment)
        self.firms.append(firm.id)
        self.payments.append(payment.id)

    async def store(self, number: int, key: str) -> None:
        async with self.database.session() as session:
            store = CredentialStore([SECRET])
            await store.put(session, "moyasar", {"secretKey": key}, firm_id=self.firms[number])

    async def check(self, number: int) -> dict[str, Any]:
        data = {
            "paymentId": self.payments[number],
            "paymentProvider": "mada",
            "firmId": self.firms[number],
        }
        return await run(self.queue, "payment-status", data, job=PlainJob(None))

    def keys(self) -> list[str]:
        """By which keys the gateway was asked."""
        sent = [each.headers["authorization"].removeprefix("Basic ") for each in self.server.requests]
        return [base64.b64decode(each).decode().rstrip(":") for each in sent]


async def answer(request: VendorRequest) -> Reply:
    return Reply(200, moyasar_payment(id=request.path.rpartition("/")[2]))


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with vendor_server(answer) as server:
        vendors = choose_vendors(moyasar_secret_key=SHARED, moyasar_url=server.url, secrets=[SECRET])
        made = World(database, server, sync_queue(database=database, vendors=vendors))
        await made.add_firm()
        yield made
        await made.queue.close()


async def test_the_installations_key_serves_its_only_firm(world: World) -> None:
    assert (await world.check(0))["status"] == "completed"
    assert world.keys() == [SHARED]


async def test_with_two_firms_nobody_is_asked_with_the_installations_key(world: World) -> None:
    await world.add_firm()
    for number in (0, 1):
        with pytest.raises(NotConfiguredError, match="only while there is one firm"):
            await world.check(number)
    assert world.keys() == []


async def test_each_firm_is_asked_about_with_its_own_key(world: World) -> None:
    await world.add_firm()
    await world.store(0, "sk_live_first")
    await world.store(1, "sk_live_second")
    for number in (0, 1, 0):
        assert (await world.check(number))["status"] == "completed"
    assert world.keys() == ["sk_live_first", "sk_live_second", "sk_live_first"]
    async with world.database.reading() as session:
        for stored in await session.scalars(select(FirmCredential)):
            assert "sk_live" not in stored.sealed


@ON_SQLITE
async def test_a_firms_own_key_comes_before_the_installations(world: World) -> None:
    await world.store(0, "sk_live_first")
    await world.check(0)
    assert world.keys() == ["sk_live_first"]


@ON_SQLITE
async def test_a_key_that_is_replaced_while_a_job_uses_it_is_used_to_its_end(world: World) -> None:
    await world.store(0, "sk_live_first")
    world.server.hold = asyncio.Event()
    slow = asyncio.create_task(world.check(0))

    async def is_asked() -> bool:
        return len(world.server.requests) == 1

    await until(is_asked, within_s=60)
    await world.store(0, "sk_live_second")
    other = asyncio.create_task(world.check(0))

    async def both_are_asked() -> bool:
        return len(world.server.requests) == 2

    await until(both_are_asked, within_s=60)
    world.server.hold.set()
    assert [(await each)["status"] for each in (slow, other)] == ["completed", "completed"]
    assert world.keys() == ["sk_live_first", "sk_live_second"]


@ON_SQLITE
async def test_credentials_of_another_firm_do_not_open_when_they_are_moved(world: World) -> None:
    await world.add_firm()
    await world.store(0, "sk_live_first")
    async with world.database.session() as session:
        stored = (await session.scalars(select(FirmCredential))).one()
        stored.firm_id = world.firms[1]
    with pytest.raises(NotConfiguredError, match="does not open"):
        await world.check(1)
    assert world.keys() == []


@ON_SQLITE
@pytest.mark.parametrize(
    ("service", "values", "message"),
    [
        ("paypal", {"secretKey": "k"}, "no service 'paypal'"),
        ("moyasar", {}, "needs secretKey"),
        ("moyasar", {"secretKey": "hidden-value\n\0x"}, "none that the service"),
        ("moyasar", {"secretKey": 5}, "none that the service"),
        ("moyasar", {"secretKey": "hidden-value", "url": "https://a.example"}, "has no 'url'"),
        ("lean", {"clientId": "a", "clientSecret": "b", "appToken": "c", "certificate": "d"}, "privateKey"),
        ("stcpay", {"clientCode": "a", "certificate": "b", "privateKey": "hidden-value"}, "cannot be used"),
    ],
)
async def test_what_cannot_be_credentials_is_refused_and_not_shown(
    world: World, service: str, values: dict[str, Any], message: str
) -> None:
    async with world.database.session() as session:
        with pytest.raises(OptionError, match=message) as caught:
            await CredentialStore([SECRET]).put(session, service, values, firm_id=world.firms[0])
    assert "hidden-value" not in str(caught.value)


@ON_SQLITE
async def test_banks_and_bills_keep_to_that_too(world: World, database: Database) -> None:
    await world.add_firm()
    async with database.session() as session:
        account = BankAccount(
            firm_id=world.firms[0], name="Main", provider_account_id="aa11", provider_entity_id="ent-1"
        )
        session.add(account)
        payment = await session.get_one(Payment, world.payments[0])
        payment.bill_number = "1"
    sadad = {
        "sadad_url": world.server.url, "sadad_token_url": f"{world.server.url}/token", "sadad_bill_path": "/b/{bill}",
        "sadad_fields": "status=/s amount=/a", "sadad_paid": "PAID", "sadad_unpaid": "NEW",
        "sadad_client_id": "id", "sadad_client_secret": "secret",
    }  # fmt: skip
    lean = {"lean_client_id": "a", "lean_client_secret": "b", "lean_app_token": "c"}
    urls = {"lean_url": world.server.url, "lean_auth_url": world.server.url}
    queue = sync_queue(database=database, vendors=choose_vendors(**sadad, **lean, **urls, secrets=[SECRET]))
    jobs = {
        "bank-transactions": {"bankAccountId": account.id, "firmId": world.firms[0]},
        "mudad-payment": {"paymentId": payment.id, "firmId": world.firms[0]},
    }
    for kind, data in jobs.items():
        with pytest.raises(NotConfiguredError, match="only while there is one firm"):
            await run(queue, kind, data)
    await queue.close()
    assert world.server.requests == []
