"""The frame around every report: its row, its file, its PDF, and what the job returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toril.db.session import Database
from toril.errors import NotConfiguredError
from toril.queues.base import RunningJob
from toril.queues.report.files import ReportFiles, folder_of
from toril.queues.report.making import Made, Maker, Making
from toril.queues.report.payloads import Custom, ReportRequest
from toril.queues.report.saved import SavedReport, SavedReports
from toril.queues.report.values import to_json
from toril.queues.storage import FileStore

AddJob = Callable[[str, Mapping[str, Any], Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Adds a job to a queue: its name, the job's data and options. Returns at least ``jobId``.

``QueueService.add_job`` is one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What all report types share.

    Attributes:
        now: the present, aware.
        add_job: for PDFs; without it a report that asks for one fails.
        limit_s: seconds that a statement may take.
    """

    database: Database
    files: FileStore
    now: Callable[[], datetime]
    add_job: AddJob | None
    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportProcessor:
    """Makes reports of one type.

    A job that runs again goes on with the same saved report, and puts its file in the place of the one it made
    before.
    """

    type: str
    make: Maker
    office: Office

    async def __call__(self, payload: ReportRequest, job: RunningJob) -> dict[str, Any]:
        """Run one job.

        Returns:
            ``{"success", "reportId", "type", "summary", "fileName", "filePath", "size"}``, with ``pdfJobId`` when a
            PDF was asked for, and what the type has besides.
        """
        printing = getattr(payload, "format", None) == "pdf"
        if printing and self.office.add_job is None:
            raise NotConfiguredError("format: a PDF is asked for, but this queue has no way to the pdf queue")
        saved = SavedReports(self.office.database, self.office.now)
        report = await saved.begin(payload, job, type=self.type, name=_name(payload, self.type))
        try:
            return await self._run(payload, job, report, saved)
        except BaseException as error:
            await saved.fail(report, job, error)
            raise

    async def _run(
        self, payload: ReportRequest, job: RunningJob, report: SavedReport, saved: SavedReports
    ) -> dict[str, Any]:
        office, told = self.office, -1

        async def tell(percent: int) -> None:
            nonlocal told
            if percent > told:
                told = percent
                await job.update_progress(percent)

        await tell(0)
        files = ReportFiles(office.files, folder_of(self.type))
        async with files.draft(firm_id=report.firm_id, key=report.key) as draft:
            made = await self.make(
                payload,
                Making(
                    database=office.database,
                    report=report,
                    folder=draft,
                    now=office.now(),
                    tell=tell,
                    limit_s=office.limit_s,
                ),
            )
            name = f"{made.stem}-{report.key}.{made.suffix}"
            file = await files.publish(made.file, firm_id=report.firm_id, name=name)
        summary = to_json(made.summary, report.zone)
        link = {"pdfJobId": await self._print(made, report)} if made.pdf is not None else {}
        await saved.finish(
            report, job, summary=summary | link, file=file, kind=made.kind, media_type=made.media_type
        )
        for remark in made.summary.get("remarks", ()):
            await job.log(remark)
        await tell(100)
        return {
            "success": True,
            "reportId": report.id,
            "type": self.type,
            "summary": summary,
            "fileName": file.name,
            "filePath": file.path,
            "size": file.size,
            **made.result,
            **link,
        }

    async def _print(self, made: Made, report: SavedReport) -> str:
        """Have the report printed; a second run of this job finds that it is asked for already."""
        assert self.office.add_job is not None
        data = {
            "reportId": report.id,
            "reportType": self.type,
            "reportData": made.pdf,
            # An Arabic page has English beside it, which an English one has no use for.
            "options": {
                "landscape": made.landscape,
                "language": "en" if report.language == "en" else "both",
            },
            "firmId": report.firm_id,
        }
        added = await self.office.add_job(
            "pdf", {"type": "report", "data": data}, {"jobId": f"report-{report.id}-{report.key}"}
        )
        return str(added["jobId"])


def _name(payload: ReportRequest, type: str) -> str:
    """What the saved report is called in a list."""
    if isinstance(payload, Custom):
        return payload.name
    about = (getattr(payload, field, None) for field in ("export_type", "start_date", "end_date"))
    words = (each.date() if isinstance(each, datetime) else each for each in about if each is not None)
    return " ".join(map(str, (type, *words)))
