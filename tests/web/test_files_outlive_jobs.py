"""Files stay when the jobs that made them are removed, as they are after two days, and go in their own time."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy import func, select, update
from tests.support.queue_api import open_api
from tests.support.servers import RedisServer
from tests.support.web_people import Office, open_office
from tests.web.test_records_over_http import data_of, work

from toril.db.models import GeneratedFile, Report


@pytest_asyncio.fixture
async def office(
    start_server: Callable[[str], RedisServer], prefix: str, tmp_path: Path, firm_home: Path
) -> AsyncIterator[Office]:
    shutil.copytree(firm_home, tmp_path / "home")
    async with (
        open_api(start_server("valkey").url, prefix, tmp_path / "home") as api,
        open_office(api) as opened,
    ):
        yield opened


async def a_printed_report(office: Office) -> tuple[str, str, str]:
    """Ids of a report, of the job that made it, and of the job that printed it; both are removed."""
    asked = {"type": "client-aging", "format": "pdf"}
    response = (await office.lawyer.post("/api/reports/generate", json=asked)).json()
    printed_by = (await work(office, "report", response["jobId"]))["pdfJobId"]
    await work(office, "pdf", printed_by)
    for queue, job_id in (("report", response["jobId"]), ("pdf", printed_by)):
        await office.api.service.remove_job(queue, job_id)
    return response["reportId"], response["jobId"], printed_by


async def test_a_report_and_its_pdf_are_downloaded_after_their_jobs_are_gone(office: Office) -> None:
    report_id, _, printed_by = await a_printed_report(office)
    assert (await office.lawyer.get(f"/api/reports/{report_id}/download")).json()["reportId"] == report_id
    got = await office.lawyer.get(f"/api/reports/{report_id}/download?pdf=true")
    assert got.content.startswith(b"%PDF")
    assert (await office.manager.get(f"/api/reports/{report_id}/download?pdf=true")).status_code == 404
    (row,) = [
        each
        for each in data_of(await office.lawyer.get("/api/files"))
        if each["mediaType"] == "application/pdf"
    ]
    assert (row["queue"], row["jobId"], row["kind"], row["size"]) == (
        "pdf",
        printed_by,
        "report",
        len(got.content),
    )
    link = data_of(await office.lawyer.get(f"/api/files/{row['id']}"))["url"]
    assert (await office.nobody.get(link)).content == got.content


async def test_whoever_asked_for_a_pdf_fetches_it_after_its_job_is_gone(office: Office) -> None:
    job_id = (await office.lawyer.get(f"/api/invoices/{office.records.invoices[0].id}/pdf")).json()["jobId"]
    await work(office, "pdf", job_id)
    await office.api.service.remove_job("pdf", job_id)
    link = f"/api/files/of-job/pdf/{job_id}"
    assert data_of(await office.lawyer.get(link))["name"].endswith(".pdf")
    assert (await office.root.get(link)).status_code == 200
    assert (await office.manager.get(link)).status_code == 404  # another firm's
    assert (await office.stranger.get(link)).status_code == 403
    assert (await office.root.get("/api/files/of-job/pdf/never-there")).status_code == 404


async def test_old_reports_go_with_their_files_and_papers_of_the_firm_stay(office: Office) -> None:
    database = office.api.web.installation.database

    async def counts() -> tuple[int, ...]:
        async with database.reading() as session:
            return tuple(
                [
                    await session.scalar(select(func.count()).select_from(each)) or 0
                    for each in (Report, GeneratedFile)
                ]
            )

    paper = (await office.lawyer.get(f"/api/invoices/{office.records.invoices[0].id}/pdf")).json()["jobId"]
    await work(office, "pdf", paper)
    report_id, _, _ = await a_printed_report(office)
    before = await counts()
    async with database.session() as session:
        old = {"created_at": datetime.now(UTC) - timedelta(days=400)}
        mine = select(Report.job_id).where(Report.id == report_id).scalar_subquery()
        await session.execute(update(GeneratedFile).where(GeneratedFile.job_id == mine).values(**old))
        await session.execute(update(GeneratedFile).where(GeneratedFile.queue == "pdf").values(**old))
        await session.execute(update(Report).where(Report.id == report_id).values(**old))
        files = {
            row.kind: Path(row.path)
            for row in await session.scalars(select(GeneratedFile).where(GeneratedFile.queue == "pdf"))
        }

    async def clean(**data: Any) -> Any:
        added = await office.api.service.schedule_cleanup("reports", data)
        return await work(office, "cleanup", added["jobId"])

    assert (await clean(dryRun=True))["foundCount"] == 3
    assert (await clean(retentionDays=500))["foundCount"] == 0
    assert await counts() == before
    result = await clean()
    assert (result["deletedCount"], result["filesDeleted"]) == (3, 2)
    assert await counts() == (before[0] - 1, before[1] - 2)
    assert {kind: path.exists() for kind, path in files.items()} == {"invoice": True, "report": False}
    assert (await office.lawyer.get(f"/api/reports/{report_id}")).status_code == 404
