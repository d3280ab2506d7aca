"""Firms do not hold up one another at ZATCA, environments do not count for one another, and what is signed is what is
there."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text
from tests.db.test_zatca_pending import settle
from tests.support.email_jobs import PlainJob
from tests.support.until import until
from tests.support.zatca_office import Office, an_office
from tests.support.zatca_records import add_business, add_tax_firm, add_tax_invoice, credentials_from

from toril.db.models import Firm, Invoice, InvoiceLine, ZatcaDocument, ZatcaEnvironment
from toril.db.repositories.zatca import ZatcaDocuments
from toril.db.session import Database
from toril.errors import PostponedError, RetryableError, TorilError
from toril.queues.sync.zatca import ZatcaGateway, ZatcaInvoices
from toril.queues.sync.zatca.document import FIRST_PREVIOUS_HASH
from toril.queues.sync.zatca.payloads import ZatcaInvoice, ZatcaPending
from toril.queues.sync.zatca.pending import PendingDocuments
from toril.testing.vendors.server import Reply

ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
CLEARANCE_OFF = Reply(303, {"validationResults": {"status": "PASS"}, "clearanceStatus": "NOT_CLEARED"})


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with an_office(database) as made:
        yield made


async def another_firm(office: Office, number: int) -> tuple[Firm, Invoice]:
    vat_number = f"3{number:013}3"
    async with office.database.session() as session:
        firm = await add_tax_firm(session, vat_number=vat_number)
        invoice = await add_tax_invoice(session, firm, await add_business(session, firm))
    office.vault.by_firm[firm.id] = credentials_from(office.server, vat_number=vat_number)
    return firm, invoice


async def without_verdict(office: Office, firm: Firm, invoice: Invoice) -> None:
    office.server.http.script.append(Reply(500))
    with pytest.raises(TorilError):
        await office.run(invoice, firm_id=firm.id)


@ON_SQLITE
async def test_a_firm_whose_documents_get_no_answer_holds_up_no_other(office: Office) -> None:
    for _ in range(3):
        await without_verdict(office, office.firm, await office.invoice())
    other, invoice = await another_firm(office, 7)
    await without_verdict(office, other, invoice)
    office.now += timedelta(hours=1)
    answer = office.server.http.answer

    async def fail_for_the_first(request: Any) -> Reply:
        # By the seller in the document, as the gateway knows firms.
        if office.vault.by_firm[office.firm.id].token in _user(request):
            return Reply(503)
        found = answer(request)
        return found if isinstance(found, Reply) else await found

    office.server.http.answer = fail_for_the_first
    result = await settle(office)
    assert (result["settledCount"], result["failedCount"], result["leftCount"]) == (1, 0, 3)
    assert [each["firmId"] for each in result["problems"]] == [office.firm.id]


def _user(request: Any) -> str:
    return base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()


@ON_SQLITE
async def test_firms_take_turns(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        await without_verdict(office, office.firm, await office.invoice())
    others = [await another_firm(office, number) for number in range(1, 6)]
    for other, invoice in others:
        await without_verdict(office, other, invoice)
    office.now += timedelta(hours=1)
    turns: list[str] = []
    submit = ZatcaInvoices.submit

    async def seen(self: ZatcaInvoices, payload: ZatcaInvoice, job: Any) -> dict[str, Any]:
        turns.append(payload.firm_id)  # what arrives first at the gateway depends on the machine
        return await submit(self, payload, job)

    monkeypatch.setattr(ZatcaInvoices, "submit", seen)
    await settle(office)
    last_of_others = max(turns.index(other.id) for other, _ in others)
    mine = [at for at, firm_id in enumerate(turns) if firm_id == office.firm.id]
    assert len(mine) == 5
    assert sum(at < last_of_others for at in mine) <= 3, "a firm with many documents goes in between"


@ON_SQLITE
async def test_a_gateway_that_answers_nobody_is_left_alone(office: Office) -> None:
    for number in range(1, 16):
        await without_verdict(office, *await another_firm(office, number))
    office.now += timedelta(hours=1)
    before = len(office.server.sent())
    office.server.http.script += [Reply(503)] * 15
    with pytest.raises(RetryableError):
        await settle(office)
    assert len(office.server.sent()) - before < 15


async def test_documents_of_another_environment_count_for_nothing(office: Office) -> None:
    invoice = await office.invoice(office.business)
    await office.run(invoice)
    await without_verdict(office, office.firm, await office.invoice())
    gateway = ZatcaGateway(ZatcaEnvironment.PRODUCTION, base_url=office.server.url)
    office.gateways.append(gateway)
    vault = office.vault.by_firm
    vault[office.firm.id] = replace(vault[office.firm.id], environment=ZatcaEnvironment.PRODUCTION)
    production = ZatcaInvoices(office.database, gateway, office.vault, clock=lambda: office.now)
    result = await office.run(invoice, production)
    assert (result["status"], result["icv"]) == ("cleared", 1)
    async with office.database.reading() as session:
        real = select(ZatcaDocument).where(ZatcaDocument.environment == ZatcaEnvironment.PRODUCTION)
        document = (await session.scalars(real)).one()
    assert (document.previous_hash, document.invoice_id) == (FIRST_PREVIOUS_HASH, invoice.id)
    office.now += timedelta(hours=1)
    sent = len(office.server.sent())
    pending = PendingDocuments(office.database, production, clock=lambda: office.now)
    assert (await pending.settle(ZatcaPending(), PlainJob(None)))["settledCount"] == 0
    assert len(office.server.sent()) == sent


async def test_an_invoice_that_changes_while_a_job_waits_is_signed_as_it_is_then(office: Office) -> None:
    """The chain is held by another until the invoice has another price."""
    invoice = await office.invoice(office.business)
    async with office.database.session() as session:
        environment = ZatcaEnvironment.SIMULATION
        await ZatcaDocuments(session).lock_unit(firm_id=office.firm.id, environment=environment)
        job = asyncio.create_task(office.run(invoice))
        await until(lambda: waits_for_a_lock(office, job), within_s=60)
        line = (await session.scalars(select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id))).one()
        line.unit_price = line.net = Decimal(2000)
        changed = await session.get_one(Invoice, invoice.id)
        changed.subtotal, changed.vat_amount, changed.total = Decimal(2000), Decimal(300), Decimal(2300)
    assert (await job)["status"] == "cleared"
    [document] = await office.documents()
    assert "2300.00" in document.xml


async def waits_for_a_lock(office: Office, job: asyncio.Task[Any]) -> bool:
    """Whether the job's transaction is held up by ours; on SQLite it begins after ours, so there is nothing to see."""
    if job.done():
        return True
    if "sqlite" in str(office.database):
        return True
    async with office.database.reading() as session:
        found = await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    return bool(found)


@ON_SQLITE
async def test_a_job_without_time_for_a_second_request_reports_in_its_next_run(office: Office) -> None:
    invoice = await office.invoice(office.business)
    clock = iter((0.0, 40.0))
    slow = office.processor(mono=lambda: next(clock), timing={"total_timeout": 50.0, "read_timeout": 45.0})
    job = PlainJob(None)
    job.opts["timeout"] = 60_000  # that of the queue
    payload = ZatcaInvoice(invoice_id=invoice.id, firm_id=office.firm.id)
    office.server.http.script.append(CLEARANCE_OFF)
    with pytest.raises(PostponedError, match="reported next"):
        await slow.submit(payload, job)
    result = await office.processor().submit(payload, job)
    assert result["status"] == "reported"
    assert [request.path.rpartition("/invoices/")[2] for request in office.server.sent()] == [
        "clearance/single",
        "reporting/single",
    ]
