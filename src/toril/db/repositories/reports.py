"""Saved reports and generated files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from toril.db.errors import RecordConflictError
from toril.db.models.reports import GeneratedFile, Report, ReportStatus
from toril.db.repositories.base import Page, Repository


class Reports(Repository):
    """The firm's reports: queued → running → ready or failed; a retry makes a failed one run again.

    Two workers may run one job, when one of them stood still; and two jobs may name one report. So whatever changes a
    report locks it, and looks whether it is its own.
    """

    async def get(self, report_id: str, *, firm_id: str, lock: bool = False) -> Report:
        """The firm's report.

        Args:
            lock: no other transaction may change it until this one ends.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(Report, report_id, firm_id=firm_id, lock=lock)

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

    async def take(self, report_id: str, *, firm_id: str, type: str, job_id: str, now: datetime) -> Report:
        """A run of a job begins to make the report. ``started_at`` tells this run from earlier ones.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
            RecordConflictError: it is of another type, or another job's. Of two jobs that want the same report at the
                same time one gets it.
        """
        report = await self.get(report_id, firm_id=firm_id, lock=True)
        mine = report.job_id in (None, job_id) and (
            report.job_id is not None or report.status is ReportStatus.QUEUED
        )
        if report.type != type or not mine:
            raise RecordConflictError("this report is of another type or job")
        report.status, report.job_id, report.started_at = ReportStatus.RUNNING, job_id, now
        report.error = report.finished_at = None
        return report

    @staticmethod
    def finish(report: Report, *, summary: dict[str, Any], file_id: str | None, now: datetime) -> None:
        """The report, which is locked and the run's own, is ready."""
        report.status, report.summary, report.file_id = ReportStatus.READY, summary, file_id
        report.error, report.finished_at = None, now

    async def find_taken(
        self, report_id: str, *, firm_id: str, job_id: str, started_at: datetime
    ) -> Report | None:
        """The report, locked, if the run of the job that took it at this moment has it still: no other one has begun
        since, and it has not ended."""
        report = await self.get(report_id, firm_id=firm_id, lock=True)
        is_taken = report.status is ReportStatus.RUNNING
        return report if is_taken and (report.job_id, report.started_at) == (job_id, started_at) else None

    @staticmethod
    def fail(report: Report, *, error: str, now: datetime) -> None:
        """The report, which is locked and the run's own, cannot be made, for the reason in ``error``."""
        report.status, report.error, report.finished_at = ReportStatus.FAILED, error, now


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

    async def list_of_job(self, queue: str, job_id: str, *, firm_id: str | None) -> Sequence[GeneratedFile]:
        """What one job made, the newest first: a job that ran twice may have made two.

        Args:
            firm_id: None for whoever runs the installation.
        """
        statement = select(GeneratedFile).where(GeneratedFile.queue == queue, GeneratedFile.job_id == job_id)
        if firm_id is not None:
            statement = statement.where(GeneratedFile.firm_id == firm_id)
        return (await self.session.scalars(statement.order_by(GeneratedFile.created_at.desc()))).all()
