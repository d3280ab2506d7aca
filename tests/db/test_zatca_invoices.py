"""Jobs of the type zatca-invoice, from the record to the gateway's verdict, on each kind of database."""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob, until
from tests.support.records import NOW, add_client
from tests.support.zatca_office import PATIENCE, Office, an_office
from tests.support.zatca_records import (
    VAT_NUMBER,
    add_business,
    add_tax_firm,
    add_tax_invoice,
    credentials_from,
)
from tests.support.zatca_server import validate

from toril.db.errors import RecordNotFoundError
from toril.db.models import Firm, InvoiceStatus, ZatcaKind, ZatcaStatus
from toril.db.session import Database
from toril.errors import (
    ConfigurationError,
    NotConfiguredError,
    PostponedError,
    RetryableError,
    TorilError,
    UnrecoverableError,
)
from toril.queues.base import QueueDefinition
from toril.queues.sync.zatca import RejectedError, ZatcaEnvironment, choose_zatca
from toril.queues.sync.zatca.document import FIRST_PREVIOUS_HASH
from toril.testing.vendors.server import HTML, Reply
from toril.testing.vendors.zatca import document_in, official_qr

OTHER_FIRM = "507f1f77bcf86cd799439011"

#: For what has little to do with the database.
on_one_database = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with an_office(database) as made:
        yield made


async def test_a_persons_invoice_is_reported(office: Office) -> None:
    invoice = await office.invoice()
    result = await office.run(invoice)
    [document] = await office.documents()
    assert result == {
        "success": True,
        "invoiceId": invoice.id,
        "documentId": document.id,
        "uuid": document.uuid,
        "icv": 1,
        "kind": "simplified",
        "status": "reported",
        "invoiceHash": document.hash,
        "qrCode": document.qr,
        "submittedAt": 1_772_357_400_000,
        "warnings": [],
    }
    [request] = office.server.sent()
    assert request.path.endswith("/invoices/reporting/single")
    assert request.headers["clearance-status"] == "0"
    assert request.headers["accept-version"] == "V2"
    assert document_in(request) == document.xml
    assert "1010101013" not in document.xml  # a person's id is nobody's business
    assert validate(document.xml, FIRST_PREVIOUS_HASH) == {"error": [], "warning": [], "not run": []}


async def test_a_business_gets_the_document_that_the_authority_cleared(office: Office) -> None:
    invoice = await office.invoice(office.business)
    result = await office.run(invoice)
    [document] = await office.documents()
    assert (result["status"], result["kind"]) == ("cleared", "standard")
    assert document.cleared_xml is not None
    assert document.cleared_xml != document.xml
    assert result["qrCode"] == document.qr == official_qr(document.cleared_xml)
    assert document.answer is not None
    assert "clearedInvoice" not in document.answer
    assert office.server.sent()[0].headers["clearance-status"] == "1"


async def test_the_invoices_figures_are_kept_to_the_halala(office: Office) -> None:
    lines = (
        {"quantity": "1.5", "unit_price": "333.3333", "discount": "10.00"},
        {"unit_price": "200", "vat_category": "O", "vat_rate": 0},
        {"quantity": "0.3333", "unit_price": "99.99"},
    )
    invoice = await office.invoice(office.business, *lines, discount="0.00")
    await office.run(invoice)
    [document] = await office.documents()
    for amount in (invoice.subtotal, invoice.vat_amount, invoice.total):
        assert f">{amount:.2f}<" in document.xml


async def test_warnings_are_kept_and_the_document_is_not_sent_again(office: Office) -> None:
    async with office.database.session() as session:
        client = await add_business(session, office.firm, building_number=None)
    invoice = await office.invoice(client)
    result = await office.run(invoice)
    assert result["status"] == "cleared"
    assert [warning["code"] for warning in result["warnings"]] == ["BR-KSA-63"]
    assert await office.run(invoice) == result
    assert len(office.server.sent()) == 1


async def test_a_second_run_sends_nothing_and_returns_the_same(office: Office) -> None:
    invoice = await office.invoice(office.business)
    first = await office.run(invoice)
    office.vault.by_firm.clear()  # what is settled needs no credentials
    assert await office.run(invoice) == first
    assert len(office.server.sent()) == 1


async def test_documents_form_a_chain(office: Office) -> None:
    for client in (office.person, office.business, office.person):
        await office.run(await office.invoice(client))
    previous = FIRST_PREVIOUS_HASH
    for number, document in enumerate(await office.documents(), 1):
        assert (document.icv, document.previous_hash) == (number, previous)
        assert validate(document.xml, previous)["error"] == []
        previous = document.hash


async def test_jobs_at_once_take_numbers_without_gaps_or_doubles(office: Office) -> None:
    invoices = [await office.invoice(client) for client in (office.person, office.business) * 5]
    workers = [office.processor() for _ in range(4)]

    async def send(at: int, invoice: Any) -> dict[str, Any]:
        while True:
            try:
                return await office.run(invoice, workers[at % 4])
            except PostponedError:  # it waited for long; a worker would come again
                continue

    results = await asyncio.gather(*(send(at, invoice) for at, invoice in enumerate(invoices)))
    assert sorted(result["icv"] for result in results) == list(range(1, 11))
    documents = await office.documents()
    hashes = [FIRST_PREVIOUS_HASH, *(document.hash for document in documents)]
    assert [document.previous_hash for document in documents] == hashes[:-1]
    assert len({document.invoice_id for document in documents}) == 10


async def test_jobs_at_once_for_one_invoice_make_one_document(office: Office) -> None:
    invoice = await office.invoice(office.business)
    workers = [office.processor() for _ in range(3)]
    office.server.http.hold = asyncio.Event()
    jobs = [asyncio.create_task(office.run(invoice, worker)) for worker in workers for _ in range(2)]
    await office.server.http.arrived.wait()
    office.server.http.hold.set()
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert len(await office.documents()) == 1
    assert len(office.server.sent()) == 1
    # Another process cannot wait for the answer, so it comes again later.
    assert all(isinstance(each, RetryableError) or each["status"] == "cleared" for each in results)  # type: ignore[index]
    assert any(isinstance(each, dict) for each in results)


@on_one_database
async def test_a_process_sends_one_document_of_a_firm_at_a_time(office: Office) -> None:
    invoices = [await office.invoice() for _ in range(3)]
    worker = office.processor()
    office.server.http.hold = asyncio.Event()
    jobs = [asyncio.create_task(office.run(invoice, worker)) for invoice in invoices]

    async def all_signed() -> bool:
        return len(await office.documents()) == 3

    await until(all_signed, within_s=60)
    with pytest.raises(TimeoutError):
        await until(lambda: len(office.server.sent()) > 1, within_s=0.3)

    async def two_have_left() -> bool:
        return sum(job.done() for job in jobs) == 2

    await until(two_have_left, within_s=60)
    office.server.http.hold.set()
    results = await asyncio.gather(*jobs, return_exceptions=True)
    # The others leave the worker to other firms, and come again without having used an attempt.
    assert sorted(type(result).__name__ for result in results) == ["PostponedError", "PostponedError", "dict"]
    assert {(await office.run(invoice, worker))["status"] for invoice in invoices} == {"reported"}
    assert len(office.server.sent()) == 3


async def test_each_firm_has_a_chain_of_its_own(office: Office) -> None:
    await office.run(await office.invoice())
    async with office.database.session() as session:
        other = await add_tax_firm(session, vat_number="311111111100003")
        client = await add_client(session, other)
        invoice = await add_tax_invoice(session, other, client)
    office.vault.by_firm[other.id] = credentials_from(office.server, vat_number="311111111100003")
    result = await office.run(invoice, firm_id=other.id)
    assert result["icv"] == 1


@pytest.mark.parametrize("status", ["new", "reported"])
async def test_another_firms_invoice_is_not_found_and_nothing_is_revealed(
    office: Office, status: str
) -> None:
    invoice = await office.invoice(number="SECRET-7")
    if status == "reported":
        await office.run(invoice)
    async with office.database.session() as session:
        other = await add_tax_firm(session)
    office.vault.by_firm[other.id] = credentials_from(office.server)
    before = len(office.server.sent())
    for firm_id in (other.id, OTHER_FIRM):
        with pytest.raises(RecordNotFoundError, match="not found or access denied") as caught:
            await office.run(invoice, firm_id=firm_id)
        assert "SECRET-7" not in str(caught.value)
        assert office.firm.id not in str(caught.value)
    assert len(office.server.sent()) == before
    assert len(await office.documents()) == (1 if status == "reported" else 0)


@on_one_database
@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "invoiceId"),
        ({"invoiceId": "507f1f77bcf86cd799439011"}, "firmId"),
        ({"invoiceId": "x", "firmId": OTHER_FIRM}, "invoiceId"),
        ({"invoiceId": 5, "firmId": OTHER_FIRM}, "invoiceId"),
        ({"invoiceId": OTHER_FIRM, "firmId": OTHER_FIRM, "extra": 1}, "extra"),
    ],
)
async def test_a_bad_payload_fails_at_once_and_names_the_field(
    office: Office, data: dict[str, Any], field: str
) -> None:
    job_type = office.processor().job_type()
    queue = QueueDefinition(name="sync", types={job_type.name: job_type})
    with pytest.raises(UnrecoverableError, match=field):
        await queue.process(PlainJob({"type": "zatca-invoice", "data": data}))


async def test_without_credentials_nothing_is_signed_or_sent(office: Office) -> None:
    office.vault.by_firm.clear()
    with pytest.raises(NotConfiguredError, match="has no credentials"):
        await office.run(await office.invoice())
    assert await office.documents() == []
    assert office.server.http.requests == []


@on_one_database
async def test_credentials_of_another_environment_expired_or_of_another_taxpayer_are_refused(
    office: Office,
) -> None:
    invoice, processor = await office.invoice(), office.processor()
    good = office.vault.by_firm[office.firm.id]
    wrong = {
        "expired on 2026-03-01": credentials_from(office.server, expires_at=NOW - timedelta(minutes=1)),
        "issued to VAT number 311111111100003": credentials_from(office.server, vat_number="311111111100003"),
        "does not belong to the certificate": replace(
            good, private_key=credentials_from(office.server).private_key
        ),
        "are for production": replace(good, environment=ZatcaEnvironment.PRODUCTION),
        "certificate cannot be read": replace(good, token="bm90IGEgY2VydGlmaWNhdGU="),
        "private key cannot be read": replace(good, private_key="-----BEGIN"),
    }
    for said, credentials in wrong.items():
        office.vault.by_firm[office.firm.id] = credentials
        with pytest.raises(NotConfiguredError, match=said):
            await office.run(invoice, processor)
    assert await office.documents() == []
    assert office.server.http.requests == []


async def test_refused_credentials_leave_the_document_pending(office: Office) -> None:
    invoice = await office.invoice()
    office.server.issued[0].revoked = True
    with pytest.raises(NotConfiguredError, match="HTTP 401") as caught:
        await office.run(invoice)
    assert caught.value.code == "not_configured"
    [document] = await office.documents()
    assert (document.status, document.submission_unknown, document.attempts) == (
        ZatcaStatus.PENDING,
        False,
        1,
    )
    office.server.issued[0].revoked = False
    assert (await office.run(invoice))["status"] == "reported"
    assert len({request.body for request in office.server.sent()}) == 1


async def test_a_rejection_is_final_and_keeps_the_messages(office: Office) -> None:
    # The firm's VAT number changed at the authority, so to speak: the certificate is for another one.
    invoice = await office.invoice()
    office.server.http.script.append(_rejection())
    with pytest.raises(RejectedError, match="BR-KSA-08: the seller's id is wrong") as caught:
        await office.run(invoice)
    assert [finding.code for finding in caught.value.findings] == ["BR-KSA-08"]
    [document] = await office.documents()
    assert document.status is ZatcaStatus.REJECTED
    assert document.answer is not None
    assert document.answer["httpStatus"] == 400
    with pytest.raises(RejectedError, match="BR-KSA-08"):  # nothing was corrected
        await office.run(invoice)
    assert len(office.server.sent()) == 1
    assert len(await office.documents()) == 1


async def test_a_corrected_invoice_gets_a_new_document_behind_the_rejected_one(office: Office) -> None:
    invoice = await office.invoice()
    office.server.http.script.append(_rejection())
    with pytest.raises(RejectedError):
        await office.run(invoice)
    async with office.database.session() as session:
        firm = await session.get(Firm, office.firm.id)
        assert firm is not None
        firm.commercial_registration = "1010000000"
    office.now += timedelta(minutes=30)
    result = await office.run(invoice)
    rejected, reported = await office.documents()
    assert (result["icv"], result["status"]) == (2, "reported")
    assert reported.previous_hash == rejected.hash
    assert reported.uuid != rejected.uuid
    assert rejected.status is ZatcaStatus.REJECTED
    assert "<cbc:IssueTime>12:30:00<" in rejected.xml
    assert "<cbc:IssueTime>12:30:00<" in reported.xml


async def test_new_credentials_let_a_rejected_invoice_try_again(office: Office) -> None:
    invoice = await office.invoice()
    office.server.http.script.append(_rejection("certificate-permissions"))
    with pytest.raises(RejectedError):
        await office.run(invoice)
    office.vault.by_firm[office.firm.id] = credentials_from(office.server)
    assert (await office.run(invoice))["icv"] == 2


async def test_clearance_that_is_off_means_reporting(office: Office) -> None:
    office.server.clearance_off = True
    result = await office.run(await office.invoice(office.business))
    assert result["status"] == "reported"
    cleared, reported = office.server.sent()
    assert cleared.path.endswith("/clearance/single")
    assert reported.path.endswith("/reporting/single")
    assert cleared.body == reported.body
    assert any("switched clearance off" in row for row in office.rows)


@on_one_database
@pytest.mark.parametrize("business", [False, True], ids=["simplified", "standard"])
@pytest.mark.parametrize(
    "step", ["drop", "refuse", "cut", HTML, Reply(200, {}), Reply(204), Reply(200, b"[]")]
)
async def test_a_lost_answer_is_settled_by_sending_the_same_bytes(
    office: Office, step: str | Reply, business: bool
) -> None:
    invoice = await office.invoice(office.business if business else None)
    office.server.http.script.append(step)
    with pytest.raises(RetryableError) as caught:
        await office.run(invoice)
    assert caught.value.retry_after == pytest.approx(PATIENCE)
    [document] = await office.documents()
    assert (document.status, document.submission_unknown) == (ZatcaStatus.PENDING, True)

    with pytest.raises(RetryableError, match="a moment ago"):  # too early: the first may still be at work
        await office.run(invoice)
    assert len(office.server.sent()) == 1

    office.now += timedelta(seconds=PATIENCE)
    result = await office.run(invoice)  # 208 or 409, or a first time for the gateway
    assert result["status"] == ("cleared" if business else "reported")
    first, second = office.server.sent()
    assert first.body == second.body
    [document] = await office.documents()
    assert (document.attempts, document.submission_unknown) == (2, False)
    assert (document.cleared_xml is not None) is business


@on_one_database
async def test_a_gateway_that_never_answers_is_given_up_in_time(office: Office) -> None:
    invoice = await office.invoice()
    office.server.http.script.append("hang")
    with pytest.raises(RetryableError, match="no whole answer within"):
        await office.run(invoice, office.processor(timing={"total_timeout": 0.2}))
    [document] = await office.documents()
    assert document.submission_unknown


async def test_a_job_that_is_cancelled_while_it_sends_sends_the_same_later(office: Office) -> None:
    invoice = await office.invoice()
    office.server.http.hold = asyncio.Event()
    job = asyncio.create_task(office.run(invoice))
    await office.server.http.arrived.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    office.server.http.hold.set()
    with pytest.raises(RetryableError, match="a moment ago"):
        await office.run(invoice)
    office.now += timedelta(seconds=PATIENCE)
    assert (await office.run(invoice))["status"] == "reported"
    assert len({request.body for request in office.server.sent()}) == 1


async def test_a_crash_between_signing_and_sending_loses_nothing(office: Office) -> None:
    invoice = await office.invoice()

    class Crash(BaseException):
        pass

    class DyingJob(PlainJob):
        async def update_progress(self, progress: Any) -> None:
            if progress == 30:
                raise Crash

    job_type = office.processor().job_type()
    queue = QueueDefinition(name="sync", types={job_type.name: job_type})
    data = {"invoiceId": invoice.id, "firmId": office.firm.id}
    with pytest.raises(Crash):
        await queue.process(DyingJob({"type": "zatca-invoice", "data": data}))
    [document] = await office.documents()
    assert document.attempts == 0
    await office.run(invoice)
    assert document_in(office.server.sent()[0]) == document.xml
    assert len(await office.documents()) == 1


@on_one_database
@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(429, {"message": "slow down"}, {"retry-after": "30"}), RetryableError, "slow down"),
        (Reply(500), RetryableError, "HTTP 500"),
        (Reply(502, b"<html>Bad Gateway</html>"), RetryableError, "HTTP 502"),
        (Reply(503, b"", {"retry-after": "Sun, 01 Mar 2099 00:00:00 GMT"}), RetryableError, "HTTP 503"),
        (Reply(504), RetryableError, "HTTP 504"),
        (Reply(403), NotConfiguredError, "refuses the firm's credentials"),
        (Reply(302, b"", {"location": "/"}), NotConfiguredError, "redirect"),
        (Reply(400, {"errors": [{"code": "x", "message": "bad body"}]}), UnrecoverableError, "bad body"),
        (Reply(400, b"<html>"), UnrecoverableError, "does not accept the request as such"),
        (Reply(404), UnrecoverableError, "HTTP 404"),
        (Reply(406), UnrecoverableError, "HTTP 406"),
        (Reply(413, b"<html>"), UnrecoverableError, "HTTP 413"),
        (Reply(415), UnrecoverableError, "HTTP 415"),
    ],
)
async def test_answers_that_are_no_verdict_leave_the_document_pending(
    office: Office, reply: Reply, kind: type[TorilError], said: str
) -> None:
    invoice = await office.invoice()
    office.server.http.script.append(reply)
    with pytest.raises(kind, match=said) as caught:
        await office.run(invoice)
    assert type(caught.value) is kind
    assert not isinstance(caught.value, RejectedError)
    if reply.status == 429:
        assert isinstance(caught.value, RetryableError)
        assert caught.value.retry_after is not None
        assert 30 <= caught.value.retry_after <= 37.5
    [document] = await office.documents()
    assert (document.status, document.submission_unknown) == (ZatcaStatus.PENDING, False)
    assert document.answer is not None
    assert document.answer["httpStatus"] == reply.status
    # The same document goes out again at once.
    assert (await office.run(invoice))["status"] == "reported"
    first, second = office.server.sent()
    assert first.body == second.body


@on_one_database
async def test_a_gateway_that_cannot_be_reached_was_sent_nothing(office: Office) -> None:
    invoice = await office.invoice()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RetryableError, match="was not sent"):
            await office.run(invoice, office.processor(base_url=url))
    [document] = await office.documents()
    assert (document.attempts, document.submission_unknown, document.answer) == (1, False, None)
    assert (await office.run(invoice))["status"] == "reported"


@on_one_database
async def test_a_cleared_document_that_is_another_one_is_not_believed(office: Office) -> None:
    first = await office.invoice(office.business)
    await office.run(first)
    [document] = await office.documents()
    assert document.cleared_xml is not None
    foreign = base64.b64encode(document.cleared_xml.encode()).decode()
    second = await office.invoice(office.business)
    for cleared in (foreign, None, "%%%", base64.b64encode(b"<no").decode()):
        office.server.http.script.append(
            Reply(200, {"clearanceStatus": "CLEARED", "clearedInvoice": cleared})
        )
        with pytest.raises(RetryableError, match="missing or another's"):
            await office.run(second)
        office.now += timedelta(seconds=PATIENCE)
    assert (await office.run(second))["status"] == "cleared"


@on_one_database
async def test_a_repeated_clearance_counts_without_the_document(office: Office) -> None:
    office.server.http.script.append(Reply(208, b""))
    result = await office.run(await office.invoice(office.business))
    [document] = await office.documents()
    assert (result["status"], document.cleared_xml) == ("cleared", None)


@on_one_database
async def test_a_clearance_that_is_answered_with_a_report_is_no_verdict(office: Office) -> None:
    office.server.http.script.append(
        Reply(200, {"validationResults": {"status": "PASS"}, "reportingStatus": "REPORTED"})
    )
    with pytest.raises(RetryableError, match="without a verdict"):
        await office.run(await office.invoice(office.business))
    [document] = await office.documents()
    assert (str(document.status), document.submission_unknown) == ("pending", True)


@on_one_database
async def test_a_rejection_with_status_200_is_one_too(office: Office) -> None:
    office.server.http.script.append(
        Reply(200, {"reportingStatus": "NOT_REPORTED", "validationResults": None})
    )
    with pytest.raises(RejectedError, match="without saying why"):
        await office.run(await office.invoice())


@on_one_database
async def test_invoices_that_can_be_no_tax_documents_take_no_number(office: Office) -> None:
    async with office.database.session() as session:
        nameless = await add_business(session, office.firm, vat_number=None, street=None, name="Acme")
    bad = {
        "it is draft": await office.invoice(status=InvoiceStatus.DRAFT),
        "it is void": await office.invoice(status=InvoiceStatus.VOID),
        "only SAR": await office.invoice(currency="USD"),
        "has not come yet": await office.invoice(issue_date=NOW.date() + timedelta(days=1)),
        "it has no lines": await office.invoice(
            lines=[], subtotal=Decimal(0), vat_amount=Decimal(0), total=Decimal(0)
        ),
        "its figures come to 1150.00": await office.invoice(total=Decimal("1150.01")),
        "its lines come to 1000.00": await office.invoice(subtotal=Decimal("999.00")),
        "its VAT is 150.02": await office.invoice(vat_amount=Decimal("150.02"), total=Decimal("1150.02")),
        "must be 15 or 5": await office.invoice(None, {"vat_rate": 10}),
        "the client has no street; the client needs a VAT number": await office.invoice(nameless),
    }
    for said, invoice in bad.items():
        with pytest.raises(UnrecoverableError, match=said):
            await office.run(invoice)
    with pytest.raises(NotConfiguredError, match="VAT category Z, and no exemption reason"):
        await office.run(await office.invoice(None, {"vat_category": "Z", "vat_rate": 0}))
    assert await office.documents() == []
    assert (await office.run(await office.invoice()))["icv"] == 1


@on_one_database
async def test_secrets_are_nowhere_but_in_the_request(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    credentials = office.vault.by_firm[office.firm.id]
    leaky = {"message": f"no such user {credentials.token}:{credentials.secret}"}
    office.server.http.script += [Reply(401, leaky), Reply(500, leaky)]
    said = ""
    invoice = await office.invoice()
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            with pytest.raises(TorilError) as caught:
                await office.run(invoice)
            said += str(caught.value)
        await office.run(invoice)
    text = said + caplog.text + repr(credentials) + "".join(str(vars(record)) for record in caplog.records)
    assert "[secret]" in said
    for secret in (credentials.token, credentials.secret, credentials.private_key):
        assert secret not in text


@on_one_database
async def test_a_certificate_about_to_expire_is_told(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.vault.by_firm[office.firm.id] = credentials_from(
        office.server, expires_at=NOW + timedelta(days=29)
    )
    await office.run(await office.invoice())
    [line] = [record for record in caplog.records if record.message == "zatca_certificate_expires"]
    assert vars(line)["days_left"] == 29


@on_one_database
async def test_a_document_that_is_late_is_told(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    invoice = await office.invoice()
    office.server.http.script.append(Reply(500))
    with pytest.raises(RetryableError):
        await office.run(invoice)
    [document] = await office.documents()
    office.now = document.created_at + timedelta(hours=21)
    await office.run(invoice)
    assert "zatca_document_overdue" in caplog.text


@on_one_database
async def test_the_kind_of_document_follows_from_the_client(office: Office) -> None:
    async with office.database.session() as session:
        ministry = await add_business(session, office.firm, kind="government", vat_number=None,
                                      national_id="7001234567")  # fmt: skip
    await office.run(await office.invoice(ministry))
    [document] = await office.documents()
    assert document.kind is ZatcaKind.STANDARD
    assert '<cbc:ID schemeID="700">7001234567</cbc:ID>' in document.xml
    assert VAT_NUMBER in document.xml


@on_one_database
async def test_settings_choose_where_documents_go(database: Database, tmp_path: Path) -> None:
    assert choose_zatca(database, folder=tmp_path) is None
    made = choose_zatca(
        database,
        folder=tmp_path,
        zatca_environment="simulation",
        zatca_key="k" * 32,
        zatca_exemptions="Z=VATEX-SA-33, E=VATEX-SA-29",
    )
    assert made is not None
    await made.close()


@on_one_database
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"zatca_environment": "live"}, "must be one of sandbox, simulation, production"),
        ({"zatca_environment": "sandbox"}, "ZATCA_KEY"),
        ({"zatca_environment": "sandbox", "zatca_key": "short"}, "at least 32 characters"),
        (
            {"zatca_environment": "sandbox", "zatca_key": "k" * 32, "zatca_url": "http://x.example"},
            "must be https",
        ),
        (
            {"zatca_environment": "sandbox", "zatca_key": "k" * 32, "zatca_exemptions": "Z"},
            "no reason for the VAT",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    database: Database, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        choose_zatca(database, folder=tmp_path, **settings)


def _rejection(code: str = "BR-KSA-08") -> Reply:
    finding = {
        "type": "ERROR",
        "code": code,
        "category": "KSA",
        "message": "the seller's id is wrong",
        "status": "ERROR",
    }
    results = {"infoMessages": [], "warningMessages": None, "errorMessages": finding, "status": "ERROR"}
    return Reply(
        400, {"validationResults": results, "reportingStatus": "NOT_REPORTED", "clearanceStatus": None}
    )
