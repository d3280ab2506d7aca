"""Report jobs through real queues and workers, up to the printed PDF."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.pdf_jobs import text_of
from tests.support.report_ledger import add_books
from tests.support.until import until

from toril.db.models import Report, ReportStatus
from toril.db.session import Database
from toril.queues.registry import make_worker, ready_made_queues
from toril.queues.storage import LocalFileStore
from toril.service import QueueService

QUARTER = {"startDate": "2026-01-01", "endDate": "2026-03-31"}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(home=tmp_path) as opened:
        await opened.upgrade()
        yield opened


@pytest.fixture
async def service(
    database: Database, tmp_path: Path, server_url: str, prefix: str
) -> AsyncIterator[QueueService]:
    """The service of an application, whose reports can be printed."""

    async def add_job(queue: str, data: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
        return await opened.add_job(queue, data, options)

    definitions = ready_made_queues(
        files=LocalFileStore(tmp_path / "files"),
        outbox=tmp_path / "outbox",
        from_email="office@firm.example",
        database=database,
        add_job=add_job,
    )
    async with QueueService(definitions.values(), url=server_url, prefix=prefix) as opened:
        yield opened


async def outcome(service: QueueService, queue: str, job_id: str) -> dict[str, Any]:
    """How a job is once it has ended."""

    async def ended() -> bool:
        status = await service.get_job_status(queue, job_id)
        return status is not None and status["state"] in ("completed", "failed")

    await until(ended, within_s=60)
    return await service.get_job_status(queue, job_id) or {}


PRINTED = {
    "financial": (QUARTER, ["Financial report", "3,233.43", "2,773.44"]),
    "analytics": (QUARTER, ["Analytics report"]),
    "time-utilization": (QUARTER, ["Time utilization report"]),
    "client-aging": ({}, ["Client aging report"]),
    "custom": (
        {"name": "Big ones", "query": {"source": "invoices", "columns": ["number", "total"]}},
        ["Big ones", "1,150.12"],
    ),
    "data-export": ({"exportType": "expenses"}, ["Expenses", "Spent on", "57.50"]),
}


async def test_every_report_can_be_printed(service: QueueService, database: Database, tmp_path: Path) -> None:
    files = LocalFileStore(tmp_path / "files")
    async with database.session() as session:
        firm, _, _ = await add_books(session)
    jobs = {}
    for type, (data, _) in PRINTED.items():
        payload = {"type": type, "data": {"firmId": firm.id, "format": "pdf", **data}}
        jobs[type] = (await service.add_job("report", payload))["jobId"]
    workers = [make_worker(service.definitions[name], service.queue(name)) for name in ("report", "pdf")]
    async with workers[0], workers[1]:
        for type, (_, words) in PRINTED.items():
            made = await outcome(service, "report", jobs[type])
            assert made["state"] == "completed", made["failedReason"]
            result = made["returnValue"]
            printed = await outcome(service, "pdf", result["pdfJobId"])
            assert printed["state"] == "completed", printed["failedReason"]
            assert printed["returnValue"]["reportId"] == result["reportId"]
            assert printed["returnValue"]["reportType"] == type
            text = text_of(await files.read(printed["returnValue"]["filePath"]))
            assert [word for word in ("Al Mizan Law Firm", *words) if word not in text] == []
    async with database.reading() as session:
        saved = (await session.scalars(select(Report))).all()
    assert {report.status for report in saved} == {ReportStatus.READY}
    assert all(report.summary and report.summary["pdfJobId"] for report in saved)
    assert len(saved) == len(PRINTED)


async def test_a_bad_payload_of_nodes_fails_at_once_and_names_the_field(service: QueueService) -> None:
    queue = service.queue("report")
    job = await queue.add(
        "__default__", {"type": "financial", "data": {"firmId": "5" * 24, "startDate": "x"}}
    )
    async with make_worker(service.definitions["report"], queue):
        failed = await outcome(service, "report", job.id)
    assert (failed["state"], failed["attemptsMade"]) == ("failed", 1)
    assert "startDate: 'x' is not a day" in failed["failedReason"]
    assert "endDate: Field required" in failed["failedReason"]


async def test_a_firm_that_is_not_there_fails_at_once(service: QueueService) -> None:
    added = await service.add_job("report", {"type": "client-aging", "data": {"firmId": "5" * 24}})
    async with make_worker(service.definitions["report"], service.queue("report")):
        failed = await outcome(service, "report", added["jobId"])
    assert failed["attemptsMade"] == 1
    assert failed["failedReason"] == f"firm '{'5' * 24}': not found or access denied"
