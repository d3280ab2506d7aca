"""Exports: the right rows in the right format, and one file for a job."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pytest
from pyarrow import parquet
from sqlalchemy import func, select
from tests.support.records import add_client, add_firm, add_invoice, add_user
from tests.support.report_jobs import PdfJobs, ReportJob, files_in, reports
from tests.support.report_ledger import add_books, invoice, worked

from toril.db.models import Firm, GeneratedFile, InvoiceStatus, Report, TimeEntry
from toril.db.session import Database
from toril.errors import UnrecoverableError
from toril.queues.report.catalogue import SOURCES

NAME = '=HYPERLINK("http://x.example")'
TEXT = "سطر أول\nsecond, \"line\"; with 'all'"


async def a_firm(database: Database) -> Firm:
    """A firm with two invoices, the one of a name and notes that are hard to write; and another firm's."""
    async with database.session() as session:
        firm = await add_firm(session)
        client = await add_client(session, firm, name=NAME)
        sent = datetime(2026, 1, 31, 22, 0, 5, tzinfo=UTC)  # the first of February in Riyadh
        await invoice(
            session,
            firm,
            client,
            "2026-01-31",
            "1000000000.05",
            "0.10",
            number="A-1",
            notes=TEXT,
            sent_at=sent,
        )
        await invoice(session, firm, client, "2026-02-01", "2", "0.30", "2.30", number="A-2", currency="USD")
        other = await add_firm(session)
        await invoice(
            session, other, await add_client(session, other), "2026-02-01", "5", "0", number="SECRET"
        )
    return firm


async def export(database: Database, folder: Path, firm: Firm, format: str, **data: Any) -> dict[str, Any]:
    job = ReportJob("data-export", firmId=firm.id, exportType="invoices", format=format, **data)
    return await reports(database, folder).process(job)


def content(result: dict[str, Any]) -> bytes:
    return Path(result["filePath"]).read_bytes()


async def test_csv_opens_in_a_spreadsheet_and_runs_nothing(database: Database, tmp_path: Path) -> None:
    firm = await a_firm(database)

    raw = content(await export(database, tmp_path, firm, "csv"))

    assert raw.startswith(b'\xef\xbb\xbf"id","number",')
    assert raw.endswith(b"\r\n")
    text = raw.decode("utf-8-sig")
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert first["clientName"] == "'" + NAME
    assert first["notes"] == TEXT
    assert (first["issueDate"], first["sentAt"]) == ("2026-01-31", "2026-02-01T01:00:05+03:00")
    assert (second["number"], second["sentAt"], second["balance"]) == ("A-2", "", "0.00")
    assert ',1000000000.05,0.00,15.00,0.10,1000000000.15,0.00,"' in text  # numbers are not in quotes
    assert "SECRET" not in text


async def test_json_is_one_array_with_exact_numbers(database: Database, tmp_path: Path) -> None:
    firm = await a_firm(database)

    result = await export(database, tmp_path, firm, "json")

    first, second = json.loads(content(result), parse_float=Decimal)
    assert (first["total"], first["clientName"], first["notes"]) == (Decimal("1000000000.15"), NAME, TEXT)
    assert (second["sentAt"], second["status"], second["issueDate"]) == (None, "paid", "2026-02-01")
    assert (result["recordCount"], result["format"], result["exportType"]) == (2, "json", "invoices")


async def test_xlsx_has_typed_cells(database: Database, tmp_path: Path) -> None:
    firm = await a_firm(database)

    result = await export(database, tmp_path, firm, "xlsx")

    book = openpyxl.load_workbook(result["filePath"])
    assert book.sheetnames == ["invoices"]
    rows = list(book["invoices"].iter_rows())
    names = [cell.value for cell in rows[0]]
    assert names == list(SOURCES["invoices"].columns)
    first = dict(zip(names, rows[1], strict=True))
    assert (first["clientName"].value, first["clientName"].data_type) == (NAME, "s")  # and no formula, "f"
    assert first["notes"].value == TEXT
    assert (first["total"].value, first["total"].number_format) == (1000000000.15, "#,##0.00#")
    assert first["issueDate"].value == datetime.fromisoformat("2026-01-31")
    assert first["issueDate"].is_date
    assert first["sentAt"].value == datetime.fromisoformat("2026-02-01T01:00:05")  # the firm's time
    assert first["paidAt"].value is None
    assert book["invoices"].freeze_panes == "A2"
    assert len(rows) == 3


async def test_parquet_has_exact_types(database: Database, tmp_path: Path) -> None:
    firm = await a_firm(database)

    result = await export(database, tmp_path, firm, "parquet")

    table = parquet.read_table(result["filePath"])
    assert table.schema.field("total").type == pyarrow.decimal128(18, 3)
    assert table.schema.field("issueDate").type == pyarrow.date32()
    assert table.schema.field("sentAt").type == pyarrow.timestamp("us", tz="UTC")
    first, second = table.to_pylist()
    assert (first["total"], first["issueDate"], first["status"]) == (
        Decimal("1000000000.15"),
        date(2026, 1, 31),
        "sent",
    )
    assert first["sentAt"] == datetime(2026, 1, 31, 22, 0, 5, tzinfo=UTC)
    assert (first["notes"], first["clientName"]) == (TEXT, NAME)
    assert (second["notes"], second["sentAt"]) == ("", None)


@pytest.mark.parametrize("format", ["csv", "json", "xlsx", "parquet"])
async def test_a_firm_without_records_gets_a_whole_file(
    format: str, database: Database, tmp_path: Path
) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
    result = await export(database, tmp_path, firm, format)
    assert result["recordCount"] == 0
    read = {
        "csv": lambda path: list(csv.DictReader(io.StringIO(Path(path).read_text("utf-8-sig")))),
        "json": lambda path: json.loads(Path(path).read_bytes()),
        "xlsx": lambda path: list(openpyxl.load_workbook(path)["invoices"].iter_rows(min_row=2)),
        "parquet": lambda path: parquet.read_table(path).to_pylist(),
    }
    assert read[format](result["filePath"]) == []


@pytest.mark.parametrize("name", sorted(SOURCES))
async def test_everything_can_be_exported(name: str, database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm, _, _ = await add_books(session)
        user = await add_user(session, firm)
        await worked(session, firm, user, "2026-01-01", 10)
        other, _, _ = await add_books(session)
        await worked(session, other, await add_user(session, other), "2026-01-01", 10)
    table = SOURCES[name].firm.table
    async with database.reading() as session:
        own = await session.scalar(select(func.count()).select_from(table).where(table.c.firm_id == firm.id))

    job = ReportJob("data-export", firmId=firm.id, exportType=name, format="json")
    result = await reports(database, tmp_path).process(job)

    rows = json.loads(content(result))
    assert len(rows) == result["recordCount"] == own
    assert other.id not in content(result).decode()
    if name not in ("contracts", "bank-transactions"):
        assert rows
        assert list(rows[0]) == list(SOURCES[name].columns)


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        pytest.param({"status": "paid"}, ["A-2"], id="object"),
        pytest.param({"status": ["paid", "sent"], "currency": None}, ["A-1", "A-2"], id="any_of"),
        pytest.param({"total": {"gte": 2, "lt": "2.31"}}, ["A-2"], id="operators"),
        pytest.param({"startDate": "2026-02-01"}, ["A-2"], id="start"),
        pytest.param({"endDate": "2026-01-31T20:59:59.999Z"}, ["A-1"], id="end"),
        pytest.param([{"column": "number", "operator": "contains", "value": "-1"}], ["A-1"], id="list"),
        pytest.param({"number": "SECRET"}, [], id="of_another_firm"),
    ],
)
async def test_filters_choose_rows(
    filters: Any, numbers: list[str], database: Database, tmp_path: Path
) -> None:
    firm = await a_firm(database)
    rows = json.loads(content(await export(database, tmp_path, firm, "json", filters=filters)))
    assert [row["number"] for row in rows] == numbers


async def test_a_job_that_runs_again_has_one_file_and_one_report(database: Database, tmp_path: Path) -> None:
    firm = await a_firm(database)
    first = await export(database, tmp_path, firm, "csv")
    folder = Path(first["filePath"]).parent
    left = folder / f".report-{first['fileName'].rpartition('-')[2].partition('.')[0]}-0badcafe"
    left.mkdir()  # as a killed worker leaves it
    (left / "export.csv").write_text("half")
    async with database.session() as session:
        await add_invoice(session, firm, await add_client(session, firm))

    second = await export(database, tmp_path, firm, "csv")

    assert (second["filePath"], second["reportId"]) == (first["filePath"], first["reportId"])
    assert (first["recordCount"], second["recordCount"]) == (2, 3)
    assert files_in(tmp_path) == [first["fileName"]]
    assert list(folder.iterdir()) == [Path(first["filePath"])]
    async with database.reading() as session:
        (report,) = (await session.scalars(select(Report))).all()
        (file,) = (await session.scalars(select(GeneratedFile))).all()
    assert (report.file_id, file.path, file.size) == (file.id, first["filePath"], second["size"])
    assert (file.kind, file.queue, file.job_id, file.firm_id) == ("export", "report", "1", firm.id)


async def test_jobs_have_files_of_their_own_even_when_ids_begin_again(
    database: Database, tmp_path: Path
) -> None:
    firm = await a_firm(database)
    queue = reports(database, tmp_path)
    data = {"firmId": firm.id, "exportType": "invoices", "format": "csv"}
    jobs = [
        ReportJob("data-export", **data),
        ReportJob("data-export", id="2", **data),
        ReportJob("data-export", timestamp=1_774_992_600_001, **data),
    ]
    results = [await queue.process(job) for job in jobs]
    assert len({result["fileName"] for result in results}) == 3
    assert len({result["reportId"] for result in results}) == 3


async def test_progress_is_the_share_of_rows(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.queues.report.export.CHUNK", 10)
    async with database.session() as session:
        firm = await add_firm(session)
        user = await add_user(session, firm)
        entry = {"firm_id": firm.id, "user_id": user.id, "worked_on": date(2026, 1, 1), "minutes": 5}
        session.add_all([TimeEntry(**entry) for _ in range(40)])
    job = ReportJob("data-export", firmId=firm.id, exportType="timeEntries", format="csv")

    await reports(database, tmp_path).process(job)

    assert job.progress == [0, 25, 50, 75, 99, 100]


async def test_records_can_be_printed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm = await a_firm(database)
    pdfs = PdfJobs()
    queue = reports(database, tmp_path, add_job=pdfs.add)
    job = ReportJob("data-export", firmId=firm.id, exportType="invoices", format="pdf")

    result = await queue.process(job)
    again = await queue.process(job)

    assert result["pdfJobId"] == again["pdfJobId"]
    ((job_id, (name, data)),) = pdfs.added.items()
    assert (job_id, name, data["type"]) == (result["pdfJobId"], "pdf", "report")
    table = data["data"]["reportData"]["sections"][0]["table"]
    assert [row["number"] for row in table["rows"]] == ["A-1", "A-2"]
    monkeypatch.setattr("toril.queues.report.export.MAX_PDF_ROWS", 1)
    with pytest.raises(UnrecoverableError, match="more than 1 invoices are wanted"):
        await queue.process(job)


async def test_an_excel_sheet_that_is_full_goes_on_in_another(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.queues.report.writers.xlsx.MAX_ROWS", 3)
    async with database.session() as session:
        firm = await add_firm(session)
        client = await add_client(session, firm)
        for number in range(5):
            await invoice(
                session, firm, client, "2026-01-01", "1", "0", number=str(number), status=InvoiceStatus.SENT
            )
    job = ReportJob("data-export", firmId=firm.id, exportType="invoices", format="xlsx")

    result = await reports(database, tmp_path).process(job)

    book = openpyxl.load_workbook(result["filePath"])
    numbers = [[row[1].value for row in sheet.iter_rows(min_row=2)] for sheet in book]
    assert numbers == [["0", "1"], ["2", "3"], ["4"]]
    assert book.sheetnames == ["invoices", "invoices 2", "invoices 3"]
    assert job.rows == ["the rows are on 3 sheets, as one holds no more"]
