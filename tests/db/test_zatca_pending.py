"""Jobs of the type zatca-pending: documents without a verdict are sent again, by their own bytes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob
from tests.support.zatca_office import Office, an_office
from tests.support.zatca_records import add_business, add_tax_firm, add_tax_invoice, credentials_from

from toril.db.models import Invoice, ZatcaStatus
from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, TorilError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.sync.zatca.pending import PendingDocuments
from toril.testing.vendors.server import Reply

REJECTED = Reply(400, {"validationResults": {"errorMessages": [{"code": "BR-KSA-08", "message": "no"}]}})
AN_HOUR = timedelta(hours=1)


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with an_office(database) as made:
        yield made


async def leave_pending(office: Office, *steps: Any, **options: Any) -> list[Invoice]:
    """Invoices whose jobs have all ended without a verdict, an hour ago."""
    made = []
    for step in steps:
        invoice = await office.invoice(**options)
        office.server.http.script.append(step)
        with pytest.raises(TorilError):
            await office.run(invoice)
        made.append(invoice)
    office.now += AN_HOUR
    return made


async def settle(office: Office, job: PlainJob | None = None, *, ready: bool = True, **more: Any) -> Any:
    invoices = office.processor() if ready else None
    work = PendingDocuments(office.database, invoices, clock=lambda: office.now, **more).job_type()
    queue = QueueDefinition(name="sync", types={work.name: work})
    working = job or PlainJob(None)
    working.data = {"type": "zatca-pending", "data": {}}
    return await queue.process(working)


async def statuses(office: Office) -> list[str]:
    return [str(document.status) for document in await office.documents()]


async def test_documents_without_a_verdict_get_one_by_the_same_bytes(office: Office) -> None:
    await leave_pending(office, "drop", "refuse", Reply(503), client=office.business)
    await leave_pending(office, "drop")
    job = PlainJob(None)
    assert await settle(office, job) == {
        "success": True,
        "settledCount": 4,
        "rejectedCount": 0,
        "failedCount": 0,
        "leftCount": 0,
        "problems": [],
    }
    assert await statuses(office) == ["cleared", "cleared", "cleared", "reported"]
    bodies = [request.body for request in office.server.sent()]
    assert sorted(bodies[:4]) == sorted(bodies[4:])
    assert len(set(bodies)) == 4
    assert job.progress == sorted(job.progress)
    assert job.progress[-1] == 100


async def test_a_second_run_sends_nothing(office: Office) -> None:
    await leave_pending(office, Reply(500))
    await settle(office)
    sent = len(office.server.sent())
    assert (await settle(office))["settledCount"] == 0
    assert len(office.server.sent()) == sent


async def test_a_document_whose_own_job_may_try_again_is_left_to_it(office: Office) -> None:
    await leave_pending(office, Reply(500))
    office.now -= AN_HOUR - timedelta(minutes=9)
    assert (await settle(office))["settledCount"] == 0
    assert await statuses(office) == ["pending"]


async def test_a_clock_that_was_ahead_holds_no_document_up(office: Office) -> None:
    await leave_pending(office, "drop")
    office.now -= timedelta(days=1)
    assert (await settle(office))["settledCount"] == 1
    assert await statuses(office) == ["reported"]


async def test_a_rejection_and_a_refusal_stop_no_other_document(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, _ = await leave_pending(office, Reply(500), Reply(500), Reply(500))
    office.server.http.script += [REJECTED, Reply(413)]
    result = await settle(office)
    assert (result["settledCount"], result["rejectedCount"], result["failedCount"]) == (1, 1, 1)
    assert [(each["firmId"], each["invoiceId"]) for each in result["problems"]] == [
        (office.firm.id, first.id),
        (office.firm.id, second.id),
    ]
    assert "BR-KSA-08" in result["problems"][0]["error"]
    assert await statuses(office) == ["rejected", "pending", "reported"]
    assert caplog.text.count("zatca_document_not_settled") == 2


async def test_a_gateway_that_is_away_ends_the_run_and_the_next_goes_on(office: Office) -> None:
    await leave_pending(office, Reply(500), Reply(500))
    office.server.http.script += [Reply(429, b"", {"retry-after": "40"})]
    with pytest.raises(RetryableError) as caught:
        await settle(office)
    assert 40 <= (caught.value.retry_after or 0) <= 50
    # The one that was turned away has just been tried; the other is next.
    assert (await settle(office))["settledCount"] == 1
    assert sorted(await statuses(office)) == ["pending", "reported"]
    office.now += AN_HOUR
    assert (await settle(office))["settledCount"] == 1


async def test_a_firm_without_access_holds_up_no_other(office: Office) -> None:
    async with office.database.session() as session:
        other = await add_tax_firm(session, vat_number="322222222200003")
        client = await add_business(session, other)
        invoice = await add_tax_invoice(session, other, client)
    office.vault.by_firm[other.id] = credentials_from(office.server, vat_number="322222222200003")
    await leave_pending(office, Reply(500), Reply(500))
    office.server.http.script.append(Reply(500))
    with pytest.raises(RetryableError):
        await office.run(invoice, firm_id=other.id)
    office.now += AN_HOUR
    office.server.issued[0].revoked = True
    result = await settle(office)
    assert (result["settledCount"], result["failedCount"], result["leftCount"]) == (1, 1, 1)
    assert "HTTP 401" in result["problems"][0]["error"]
    assert sorted(await statuses(office)) == ["cleared", "pending", "pending"]


async def test_no_document_is_begun_when_the_time_is_up(office: Office) -> None:
    await leave_pending(office, Reply(500), Reply(500))
    clock = iter((0.0, 599.0, 600.0))
    result = await settle(office, mono=lambda: next(clock))
    assert (result["settledCount"], result["leftCount"]) == (1, 1)


async def test_documents_that_are_late_are_told(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    await leave_pending(office, Reply(500))
    [document] = await office.documents()
    office.now = document.created_at + timedelta(hours=21)
    with caplog.at_level(logging.ERROR):
        await settle(office)
    assert "zatca_document_overdue" in caplog.text


async def test_without_zatca_there_may_be_nothing_pending(office: Office) -> None:
    assert (await settle(office, ready=False))["settledCount"] == 0
    await leave_pending(office, Reply(500))
    with pytest.raises(NotConfiguredError, match="ZATCA_ENVIRONMENT and ZATCA_KEY"):
        await settle(office, ready=False)
    [document] = await office.documents()
    assert document.status is ZatcaStatus.PENDING


async def test_it_takes_no_data(office: Office) -> None:
    work = PendingDocuments(office.database, None).job_type()
    queue = QueueDefinition(name="sync", types={work.name: work})
    with pytest.raises(UnrecoverableError, match="firmId"):
        await queue.process(PlainJob({"type": "zatca-pending", "data": {"firmId": office.firm.id}}))
