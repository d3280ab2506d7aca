"""Jobs that name a record of another firm: nothing changes, nobody is asked, and nothing is revealed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select
from tests.support.email_jobs import PlainJob
from tests.support.records import add_client, add_firm, add_invoice
from tests.support.sync_jobs import run
from tests.support.sync_whatsapp import NUMBER, delivery, text

from toril.db.base import Base
from toril.db.errors import RecordNotFoundError
from toril.db.ids import new_id
from toril.db.models import Contract, Payment
from toril.db.models.banking import BankAccount
from toril.db.models.firms import Firm
from toril.db.models.whatsapp import WhatsAppNumber
from toril.db.repositories.whatsapp import WhatsAppInbox
from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError
from toril.queues.base import QueueDefinition
from toril.queues.sync.definition import Vendors, sync_queue
from toril.queues.sync.lean.client import Lean
from toril.queues.sync.payments.moyasar import Moyasar
from toril.queues.sync.sadad.door import BillDoor, BillShape
from toril.queues.sync.wathq.client import Wathq
from toril.queues.sync.zatca import choose_zatca
from toril.testing.vendors.server import Reply, VendorServer, vendor_server

SECRET = "Confidential-Matter"

#: By type: which field names the record, and further data.
TYPES: dict[str, tuple[str, dict[str, Any]]] = {
    "whatsapp-messages": ("phoneNumberId", {}),
    "bank-transactions": ("bankAccountId", {"startDate": "2026-02-01", "endDate": "2026-02-28"}),
    "payment-status": ("paymentId", {"paymentProvider": "mada"}),
    "zatca-invoice": ("invoiceId", {}),
    "mudad-payment": ("paymentId", {}),
    "wathq-contract": ("contractId", {}),
}


class World:
    """A firm with a record for each type, another firm, and services that all are one server."""

    def __init__(self, database: Database, server: VendorServer, folder: Path) -> None:
        self.database, self.server = database, server
        self.records: dict[str, str] = {}
        self.firm_id = self.other_id = ""
        url = server.url
        zatca = choose_zatca(
            database, folder=folder, zatca_environment="sandbox", zatca_key="k" * 32, zatca_url=url
        )
        shape = BillShape.parse(path="/b/{bill}", fields="status=/s amount=/a", paid="PAID", unpaid="NEW")
        vendors = Vendors(
            rates=(),
            gateways={"mada": Moyasar("key", base_url=url)},
            lean=Lean("id", "secret", "app", base_url=url, auth_url=url),
            bills=BillDoor(
                shape, base_url=url, token_url=f"{url}/token", client_id="id", client_secret="secret"
            ),
            wathq=Wathq("key", base_url=url),
            zatca=zatca,
        )
        self.queue: QueueDefinition = sync_queue(database=database, vendors=vendors)

    async def begin(self) -> None:
        async with self.database.session() as session:
            firm = await add_firm(session, name_en=f"{SECRET} LLP")
            other = await add_firm(session)
            client = await add_client(session, firm, name=SECRET)
            invoice = await add_invoice(session, firm, client, number=f"{SECRET}-1")
            of_firm: dict[str, Any] = {"firm_id": firm.id}
            account = BankAccount(
                **of_firm, name=SECRET, provider_account_id="aa11", provider_entity_id="ent-1"
            )
            payment = Payment(
                **of_firm, invoice_id=invoice.id, amount=Decimal(115), bill_number=SECRET,
                provider="moyasar", provider_payment_id="4444-1111",
            )  # fmt: skip
            contract = Contract(
                **of_firm, number=f"{SECRET}-2", title=SECRET, counterparty_registration="7001234567"
            )
            number = WhatsAppNumber(**of_firm, phone_number_id=NUMBER)
            session.add_all([account, payment, contract, number])
            payload = delivery(messages=[text("wamid.1", SECRET)])
            now = datetime(2026, 3, 1, tzinfo=UTC)
            await WhatsAppInbox(session).receive(NUMBER, digest="d" * 64, payload=payload, now=now)
        self.firm_id, self.other_id = firm.id, other.id
        self.records = {
            "phoneNumberId": NUMBER,
            "bankAccountId": account.id,
            "paymentId": payment.id,
            "invoiceId": invoice.id,
            "contractId": contract.id,
        }

    async def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables."""
        async with self.database.reading() as session:
            return {
                table.name: sorted((tuple(row) for row in await session.execute(select(table))), key=repr)
                for table in Base.metadata.sorted_tables
            }

    async def work(self, kind: str, firm_id: str, record: str | None = None) -> PlainJob:
        field, more = TYPES[kind]
        data = {field: record or self.records[field], "firmId": firm_id, **more}
        job = PlainJob(None)
        await run(self.queue, kind, data, job=job)
        return job


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with vendor_server(lambda request: Reply(503)) as server:
        made = World(database, server, tmp_path / "zatca")
        await made.begin()
        yield made
        await made.queue.close()


def test_the_table_has_every_type_that_takes_a_firm(tmp_path: Path) -> None:
    queue = sync_queue(database=Database(home=tmp_path), vendors=Vendors(rates=()))
    takes = {name for name, each in queue.types.items() if "firm_id" in each.payload.model_fields}
    assert set(TYPES) == takes


@pytest.mark.parametrize("kind", TYPES)
async def test_another_firms_record_changes_and_reveals_nothing(world: World, kind: str) -> None:
    before = await world.everything()
    assert any(SECRET in repr(rows) for rows in before.values())
    said = []
    for firm_id in (world.other_id, new_id()):
        with pytest.raises(RecordNotFoundError, match="not found or access denied") as caught:
            await world.work(kind, firm_id)
        said.append(str(caught.value))
    assert await world.everything() == before
    assert world.server.requests == []
    for text_of_error in said:
        assert SECRET not in text_of_error
        assert world.firm_id not in text_of_error
    # A record that is nowhere gets the same words, so that nobody learns which ids there are.
    nowhere = "15550009999" if kind == "whatsapp-messages" else new_id()
    with pytest.raises(RecordNotFoundError) as caught:
        await world.work(kind, world.firm_id, nowhere)
    known = world.records[TYPES[kind][0]]
    assert {text.replace(known, "…") for text in said} == {str(caught.value).replace(nowhere, "…")}


@pytest.mark.parametrize("kind", TYPES)
async def test_the_firm_itself_gets_past_that(world: World, kind: str) -> None:
    async with (
        world.database.session() as session
    ):  # the installation's credentials are those of its only firm
        await session.execute(delete(Firm).where(Firm.id == world.other_id))
    before = await world.everything()
    with suppress(RetryableError, NotConfiguredError):  # the services are away, and nobody was onboarded
        await world.work(kind, world.firm_id)
    if kind != "zatca-invoice":  # which asks nobody without credentials
        assert world.server.requests or await world.everything() != before
