"""Documents of firms that the database knows: their head, and whose records they may be of."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from tests.support.pdf_jobs import (
    PlainJob,
    contract_job,
    custom_job,
    invoice_job,
    picture,
    report_job,
    seller,
    statement_job,
    text_of,
)
from tests.support.records import add_client, add_firm, add_invoice

from toril.db.ids import new_id
from toril.db.models import Contract, Firm, Invoice, Report, ZatcaDocument, ZatcaEnvironment
from toril.db.repositories.zatca import ZatcaDocuments
from toril.db.session import Database
from toril.errors import UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.pdf import Seller
from toril.queues.pdf.documents.invoice import qr_code
from toril.queues.pdf.firm_records import FirmRecords
from toril.queues.pdf.payloads.invoice import InvoicePayload
from toril.queues.pdf.zatca_qr import decode_tlv, encode_tlv, qr_picture
from toril.queues.registry import ready_made_queues
from toril.queues.storage import LocalFileStore

KNOWN: dict[str, Any] = {
    "name_ar": "مكتب الميزان",
    "name_en": "Al Mizan Law Firm",
    "vat_number": "399999999900003",
    "commercial_registration": "1010999888",
    "building_number": "7",
    "street": "King Fahd Road",
    "district": "Al Olaya",
    "city": "Riyadh",
    "postal_code": "12211",
    "phone": "+966 11 222 3333",
    "email": "office@mizan.example",
    "bank_name": "Riyad Bank",
    "iban": "SA0380000000608010167519",
}

#: A job of each type that has a firm at its head, sent without it.
WITHOUT_FIRM = {
    "invoice": invoice_job(seller=None),
    "report": report_job(firm=None),
    "statement": statement_job(firm=None),
    "contract": contract_job(firm=None),
}
JOBS = WITHOUT_FIRM | {"custom": custom_job("<p>x")}


def of(job: dict[str, Any], firm_id: str, **data: Any) -> dict[str, Any]:
    return {"type": job["type"], "data": {**job["data"], "firmId": firm_id, **data}}


def queue_of(database: Database, folder: Path) -> QueueDefinition:
    """The queue as an installation has it."""
    queues = ready_made_queues(
        files=LocalFileStore(folder / "files"),
        outbox=folder / "outbox",
        from_email="o@mail.example.com",
        database=database,
    )
    return queues["pdf"]


async def stored(database: Database, **values: Any) -> Firm:
    async with database.session() as session:
        return await add_firm(session, **{**KNOWN, **values})


async def printed(database: Database, folder: Path, job: dict[str, Any]) -> str:
    result = await queue_of(database, folder).process(PlainJob(job))
    return text_of(await LocalFileStore(folder / "files").read(result["filePath"]))


@pytest.mark.parametrize("job", WITHOUT_FIRM.values(), ids=WITHOUT_FIRM)
async def test_a_document_has_its_firm_at_its_head(
    database: Database, tmp_path: Path, job: dict[str, Any]
) -> None:
    firm = await stored(database)
    await stored(database, name_en="The Other Firm")

    text = await printed(database, tmp_path, of(job, firm.id))

    assert "Al Mizan Law Firm" in text
    assert "399999999900003" in text
    assert "7 King Fahd Road, Al Olaya" in text
    assert "The Other Firm" not in text


async def test_an_invoice_of_a_known_firm_is_a_tax_invoice(database: Database, tmp_path: Path) -> None:
    firm = await stored(database)
    job = of(WITHOUT_FIRM["invoice"], firm.id)

    text = await printed(database, tmp_path, job)
    found = await FirmRecords(database, LocalFileStore(tmp_path)).find_seller(firm.id)

    assert "Tax Invoice" in text
    assert "Riyad Bank" in text
    code = qr_code(InvoicePayload.model_validate(job["data"]).invoice_data, found)
    assert code is not None
    assert [decode_tlv(code)[tag].decode() for tag in (1, 2, 4, 5)] == [
        "مكتب الميزان",
        "399999999900003",
        "8625.00",
        "1125.00",
    ]


async def test_what_the_job_sends_wins(database: Database, tmp_path: Path) -> None:
    firm = await stored(database)

    text = await printed(database, tmp_path, of(invoice_job(seller=seller(nameEn="As Sent")), firm.id))

    assert "As Sent" in text
    assert "Al Mizan" not in text


@pytest.mark.parametrize("firm_id", [new_id(), "the-firm", "A" * 24], ids=["id", "word", "capitals"])
async def test_of_an_unknown_firm_nothing_is_printed(
    database: Database, tmp_path: Path, firm_id: str
) -> None:
    await stored(database)

    text = await printed(database, tmp_path, of(WITHOUT_FIRM["invoice"], firm_id))

    assert "Al Mizan" not in text
    assert "Tax Invoice" not in text
    assert os.listdir(tmp_path / "files") == [firm_id]


async def records_of(database: Database, firm: Firm) -> dict[str, str]:
    """The id of a record of each type that is the firm's, by the name it has in a job."""
    async with database.session() as session:
        client = await add_client(session, firm)
        invoice: Invoice = await add_invoice(session, firm, client)
        report = Report(firm_id=firm.id, type="financial")
        contract = Contract(firm_id=firm.id, number="C-1", title="Services")
        session.add_all([report, contract])
    return {"invoiceId": invoice.id, "reportId": report.id, "contractId": contract.id}


@pytest.mark.parametrize("kind", ["invoice", "report", "contract"])
async def test_another_firms_record_is_not_found_or_denied(
    database: Database, tmp_path: Path, kind: str
) -> None:
    firm, other = await stored(database), await stored(database, name_en="The Other Firm")
    theirs, own = await records_of(database, other), await records_of(database, firm)
    field = f"{kind}Id"

    for asking in (firm.id, new_id(), "no-id"):
        job = of(WITHOUT_FIRM[kind], asking, **{field: theirs[field]})
        with pytest.raises(UnrecoverableError) as caught:
            await queue_of(database, tmp_path).process(PlainJob(job))
        assert str(caught.value) == f"{kind} {theirs[field]!r}: not found or access denied"
    assert not (tmp_path / "files").exists()

    text = await printed(database, tmp_path, of(WITHOUT_FIRM[kind], firm.id, **{field: own[field]}))
    assert "Al Mizan Law Firm" in text


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
async def test_a_file_is_stored_under_its_firm(
    database: Database, tmp_path: Path, job: dict[str, Any]
) -> None:
    firm, other = await stored(database), await stored(database)

    for each in (firm, other):
        result = await queue_of(database, tmp_path).process(PlainJob(of(job, each.id)))
        assert Path(result["filePath"]).parent == tmp_path / "files" / each.id / "pdf"

    assert sorted(os.listdir(tmp_path / "files")) == sorted([firm.id, other.id])


async def test_html_of_the_sender_has_no_firm_at_its_head(database: Database, tmp_path: Path) -> None:
    firm = await stored(database, vat_number="31")

    assert (await printed(database, tmp_path, of(JOBS["custom"], firm.id))).strip().startswith("x")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"vat_number": "31"}, "vat_number: "),
        ({"iban": "SA12"}, "iban: "),
        ({"name_ar": "م" * 121}, "name_ar: "),
    ],
)
async def test_a_firms_record_that_cannot_be_printed_is_named(
    database: Database, tmp_path: Path, values: dict[str, Any], problem: str
) -> None:
    firm = await stored(database, **values)

    with pytest.raises(
        UnrecoverableError, match=r"cannot stand at the head of a document.*its record"
    ) as caught:
        await printed(database, tmp_path, of(WITHOUT_FIRM["invoice"], firm.id))

    assert problem in str(caught.value)


async def test_a_firm_with_little_in_its_record_is_printed(database: Database, tmp_path: Path) -> None:
    firm = await stored(database, **dict.fromkeys(set(KNOWN) - {"name_ar", "name_en"}))

    found = await FirmRecords(database, LocalFileStore(tmp_path)).find_seller(firm.id)

    assert found == Seller(name_ar="مكتب الميزان", name_en="Al Mizan Law Firm")


async def test_an_address_is_written_as_its_language_does(database: Database, tmp_path: Path) -> None:
    records = FirmRecords(database, LocalFileStore(tmp_path))
    arabic = await stored(database, street="طريق الملك فهد", district="العليا", city="الرياض")
    abroad = await stored(database, city="Dubai", postal_code=None, country="AE")

    found = [await records.find_seller(firm.id) for firm in (arabic, abroad)]

    assert [each and (each.address_ar, each.address_en) for each in found] == [
        ("7 طريق الملك فهد، العليا\nالرياض 12211", ""),
        ("", "7 King Fahd Road, Al Olaya\nDubai, AE"),
    ]


async def test_a_firms_logo_comes_from_the_file_store(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = LocalFileStore(tmp_path / "files")
    logo = picture(40, 20)
    file = await store.save(
        firm_id="f", folder="logo", name="logo.png", content=base64.b64decode(logo.partition(",")[2])
    )
    good = await stored(database, logo_path=file.path)
    bad = [await stored(database, logo_path=path) for path in ("/etc/passwd", "f/logo/none.png")]
    records = FirmRecords(database, store)

    found = await records.find_seller(good.id)
    assert found is not None
    assert found.logo == logo
    for firm in bad:
        found = await records.find_seller(firm.id)
        assert found is not None
        assert found.logo is None
    assert [record.message for record in caplog.records] == ["pdf_logo_unusable"] * 2


CODE = {
    1: "مكتب الميزان",
    2: "399999999900003",
    3: "2025-01-15T12:30:00",
    4: "8625.00",
    5: "1125.00",
    6: "hash",
}


async def with_tax_document(
    database: Database, firm: Firm, status: str, *, kind: str = "simplified", total: str = "8625.00"
) -> str:
    """The id of an invoice of the firm with a tax document in this state."""
    invoice_id = (await records_of(database, firm))["invoiceId"]
    async with database.session() as session:
        documents = ZatcaDocuments(session)
        unit = await documents.lock_unit(firm_id=firm.id, environment=ZatcaEnvironment.PRODUCTION)
        document = ZatcaDocument(
            invoice_id=invoice_id,
            kind=kind,
            status=status,
            uuid=new_id(),
            icv=unit.last_icv + 1,
            previous_hash="first",
            hash="hash",
            xml="<Invoice/>",
            qr=encode_tlv(CODE | {4: total}),
        )
        await documents.append(unit, document)
    return invoice_id


async def completed(database: Database, folder: Path, job: dict[str, Any]) -> str | None:
    """The QR code that an invoice gets from the database."""
    payload = InvoicePayload.model_validate(job["data"])
    found = await FirmRecords(database, LocalFileStore(folder)).complete(payload)
    assert isinstance(found, InvoicePayload)
    return found.invoice_data.qr_code


@pytest.mark.parametrize(
    ("kind", "status", "taken"),
    [
        ("standard", "cleared", True),
        ("standard", "reported", True),
        ("standard", "pending", False),
        ("standard", "rejected", False),
        ("simplified", "reported", True),
        ("simplified", "pending", True),  # it is given to the buyer before it is reported
        ("simplified", "rejected", False),
    ],
)
async def test_an_invoice_has_the_code_of_its_tax_document(
    database: Database, tmp_path: Path, kind: str, status: str, taken: bool
) -> None:
    firm = await stored(database)
    invoice_id = await with_tax_document(database, firm, status, kind=kind)

    code = await completed(database, tmp_path, of(invoice_job(), firm.id, invoiceId=invoice_id))

    assert code == (encode_tlv(CODE) if taken else None)


async def test_a_document_of_another_environment_gives_no_code(database: Database, tmp_path: Path) -> None:
    firm = await stored(database)
    invoice_id = await with_tax_document(database, firm, "cleared")
    payload = InvoicePayload.model_validate(of(invoice_job(), firm.id, invoiceId=invoice_id)["data"])
    records = FirmRecords(database, LocalFileStore(tmp_path), zatca_environment=ZatcaEnvironment.SIMULATION)
    found = await records.complete(payload)
    assert isinstance(found, InvoicePayload)
    assert found.invoice_data.qr_code is None


async def test_a_code_that_the_job_sends_stays(database: Database, tmp_path: Path) -> None:
    firm = await stored(database)
    invoice_id = await with_tax_document(database, firm, "cleared")
    sent = encode_tlv(CODE | {6: "other"})

    assert (
        await completed(database, tmp_path, of(invoice_job(qrCode=sent), firm.id, invoiceId=invoice_id))
        == sent
    )


async def test_the_code_of_an_accepted_invoice_is_printed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm = await stored(database)
    invoice_id = await with_tax_document(database, firm, "cleared")
    drawn: list[str] = []
    monkeypatch.setattr(
        "toril.queues.pdf.documents.invoice.qr_picture", lambda code: drawn.append(code) or qr_picture(code)
    )

    await printed(database, tmp_path, of(WITHOUT_FIRM["invoice"], firm.id, invoiceId=invoice_id))

    assert drawn == [encode_tlv(CODE)]


async def test_figures_other_than_the_accepted_ones_are_refused(database: Database, tmp_path: Path) -> None:
    firm = await stored(database)
    invoice_id = await with_tax_document(database, firm, "reported", total="8000.00")

    with pytest.raises(UnrecoverableError, match=r"tax document, which is signed: .*total is 8000.00.* 8625"):
        await printed(database, tmp_path, of(invoice_job(), firm.id, invoiceId=invoice_id))
