"""Saved reports and generated files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from toril.db.models.reports import GeneratedFile, Report, ReportStatus
from toril.db.repositories.base import Page, Repository


class Reports(Repository):
    """The firm's reports: queued → running → ready or failed; a retry makes a failed one run again."""

    async def get(self, report_id: str, *, firm_id: str) -> Report:
        """The firm's report.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(Report, report_id, firm_id=firm_id)

    async def find_of_job(self, job_id: str, *, firm_id: str) -> Report | None:
        """The report that a job makes, if it has begun one: a retry goes on with it."""
        return await self.session.scalar(
            select(Report).where(Report.firm_id == firm_id, Report.job_id == job_id).limit(1)
        )

    async def list(self, *, firm_id: str, limit: int = 50, offset: int = 0) -> Page[Report]:
        """The firm's reports, the newest first."""
        statement = select(Report).where(Report.firm_id == firm_id)
        ordered = statement.order_by(Report.created_at.desc(), Report.id.desc())
        return await self._page(ordered, limit=limit, offset=offset)

    async def start(self, report_id: str, *, firm_id: str, job_id: str, now: datetime) -> Report:
        """A job begins to make the report."""
        report = await self.get(report_id, firm_id=firm_id)
        report.status, report.job_id, report.started_at = ReportStatus.RUNNING, job_id, now
        report.error = report.finished_at = None
        return report

    async def finish(
        self, report_id: str, *, firm_id: str, summary: dict[str, Any], file_id: str | None, now: datetime
    ) -> Report:
        """The report is ready."""
        report = await self.get(report_id, firm_id=firm_id)
        report.status, report.summary, report.file_id = ReportStatus.READY, summary, file_id
        report.error, report.finished_at = None, now
        return report

    async def fail(self, report_id: str, *, firm_id: str, error: str, now: datetime) -> Report:
        """The report cannot be made, for the reason in ``error``."""
        report = await self.get(report_id, firm_id=firm_id)
        report.status, report.error, report.finished_at = ReportStatus.FAILED, error, now
        return report


class Files(Repository):
    """Files that jobs made for the firm. New ones are stored with ``session.add``."""

    async def get(self, file_id: str, *, firm_id: str) -> GeneratedFile:
        """The firm's file.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(GeneratedFile, file_id, firm_id=firm_id)

    async def list(
        self, *, firm_id: str, kind: str | None = None, limit: int = 50, offset: int = 0
    ) -> Page[GeneratedFile]:
        """The firm's files, the newest first; those of one kind, if it is given."""
        statement = select(GeneratedFile).where(GeneratedFile.firm_id == firm_id)
        if kind is not None:
            statement = statement.where(GeneratedFile.kind == kind)
        ordered = statement.order_by(GeneratedFile.created_at.desc(), GeneratedFile.id.desc())
        return await self._page(ordered, limit=limit, offset=offset)

    async def list_of_job(self, queue: str, job_id: str, *, firm_id: str) -> Sequence[GeneratedFile]:
        """What one job made, the newest first: a job that ran twice may have made two."""
        statement = select(GeneratedFile).where(
            GeneratedFile.queue == queue, GeneratedFile.job_id == job_id, GeneratedFile.firm_id == firm_id
        )
        return (await self.session.scalars(statement.order_by(GeneratedFile.created_at.desc()))).all()
