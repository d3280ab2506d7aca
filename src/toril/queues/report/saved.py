"""The saved report of a job: queued → running → ready or failed, however often the job is run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.errors import RecordConflictError, RecordNotFoundError
from toril.db.models import Firm, GeneratedFile, Report, ReportStatus
from toril.db.repositories.reports import Reports
from toril.db.session import Database
from toril.db.upsert import insert_new, upsert
from toril.engine.outcome import attempts_of
from toril.errors import ConfigurationError, NotConfiguredError, PayloadError, UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.report.files import DraftTakenError
from toril.queues.report.naming import QUEUE, Claim, JobNames
from toril.queues.report.payloads import ReportRequest
from toril.queues.storage import StoredFile

log = logging.getLogger("toril.queues.report")

#: Seconds that noting how a report ended may take when its job was stopped.
_LAST_WORDS: Final = 5.0

#: What a worker says when it stops a job from outside, and what the report says then.
_STOPPED: Final = {"timeout": "the job took longer than its time-out", "cancelled": "cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedReport:
    """The row of a report that is being made, and whose it is."""

    id: str
    firm_id: str
    file_id: str
    zone: ZoneInfo  #: of the firm
    language: Literal["ar", "en"]  #: of the firm
    asked_on: date  #: where the firm is; the same for every run of the job
    key: str  #: names the job, for files
    started_at: datetime  #: of this run of the job


class SavedReports:
    """Keeps the rows of reports in step with their jobs."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self.database, self._now = database, now

    async def begin(self, payload: ReportRequest, job: RunningJob, *, type: str, name: str) -> SavedReport:
        """Note that a job makes a report: the one it was added for, that of its last attempt, or a new one.

        Raises:
            RecordNotFoundError: there is no such firm, or the firm has no such report.
            PayloadError: ``reportId`` names a report of another job or type.
            NotConfiguredError: the firm's time zone is none.
        """
        names = JobNames.of(job, payload.firm_id)
        async with self.database.session() as session:
            firm = await session.scalar(select(Firm).where(Firm.id == payload.firm_id))
            if firm is None:
                raise RecordNotFoundError("firm", payload.firm_id)
            zone = _zone(firm)
            reports, now = Reports(session), self._now()
            report_id = payload.report_id or names.report_id
            if payload.report_id is None:
                row = {
                    "id": report_id,
                    "firm_id": payload.firm_id,
                    "type": type,
                    "name": name,
                    "parameters": _parameters(payload),
                    "job_id": job.id,
                    "created_at": now,
                }
                await insert_new(session, Report, [row], key=["id"])
            try:
                report = await reports.take(
                    report_id, firm_id=payload.firm_id, type=type, job_id=job.id, now=now
                )
            except RecordConflictError as error:
                raise PayloadError(f"reportId: {error}", field="reportId") from error
        return SavedReport(
            id=report_id,
            firm_id=payload.firm_id,
            file_id=names.file_id,
            zone=zone,
            language=firm.language.value,
            asked_on=report.created_at.astimezone(zone).date(),
            key=names.key,
            started_at=now,
        )

    async def finish(
        self,
        report: SavedReport,
        job: RunningJob,
        *,
        summary: dict[str, Any],
        file: StoredFile,
        kind: str,
        media_type: str,
    ) -> None:
        """Note the file, and that the report is ready; both or neither.

        Raises:
            DraftTakenError: another run of the job has the report by now.
        """
        row = {
            "id": report.file_id,
            "firm_id": report.firm_id,
            "kind": kind,
            "name": file.name,
            "path": file.path,
            "size": file.size,
            "media_type": media_type,
            "queue": QUEUE,
            "job_id": job.id,
            "created_at": self._now(),
        }
        async with self.database.session() as session:
            mine = await self._find_own(session, report, job)
            if mine is None:
                raise DraftTakenError("another run of this job has begun, which makes the report instead")
            await upsert(
                session,
                GeneratedFile,
                [row],
                key=["id"],
                change=["name", "path", "size", "media_type", "created_at"],
            )
            Reports.finish(mine, summary=summary, file_id=report.file_id, now=self._now())

    @staticmethod
    async def _find_own(session: AsyncSession, report: SavedReport, job: RunningJob) -> Report | None:
        return await Reports(session).find_taken(
            report.id, firm_id=report.firm_id, job_id=job.id, started_at=report.started_at
        )

    async def fail(self, report: SavedReport, job: RunningJob, error: BaseException) -> None:
        """Note why a report could not be made: for good, or until the next attempt.

        Takes its time when the job was stopped, but not for ever. What goes wrong here is logged and no more, as
        the error of the job says more.
        """
        reason = _reason(error)
        if reason is None:
            return
        try:
            await _outlive(self._note(report, job, reason, last=is_last(error, job)))
        except Exception:
            log.exception("report_failure_not_saved", extra={"report_id": report.id, "job_id": job.id})

    async def give_up(self, job: RunningJob, error: BaseException) -> None:
        """Note that a job has failed for good although no processor has noted it.

        So it is when its data is refused, and when its workers were killed too often. Only a report that waits for
        this job, or is being made by it, is touched; what goes wrong here is logged and no more.
        """
        reason, claim = _reason(error), Claim.of(job.data)
        if reason is None or claim is None:
            return
        firm_id = claim.firm_id
        report_id = claim.report_id or JobNames.of(job, firm_id).report_id
        mine = (
            Report.id == report_id,
            Report.firm_id == firm_id,
            Report.type == claim.type,
            Report.status.in_((ReportStatus.QUEUED, ReportStatus.RUNNING)),
            or_(Report.job_id == job.id, Report.job_id.is_(None)),
        )
        try:
            async with self.database.session() as session:
                report = await session.scalar(select(Report).where(*mine).with_for_update())
                if report is not None:
                    report.job_id = job.id
                    Reports.fail(report, error=reason, now=self._now())
        except Exception:
            log.exception("report_failure_not_saved", extra={"report_id": report_id, "job_id": job.id})

    async def _note(self, report: SavedReport, job: RunningJob, reason: str, *, last: bool) -> None:
        async with self.database.session() as session:
            mine = await self._find_own(session, report, job)
            if mine is None:  # another run goes on, or has made it
                return
            Reports.fail(mine, error=reason, now=self._now())
            if not last:
                mine.status, mine.finished_at = ReportStatus.QUEUED, None


def is_last(error: BaseException, job: RunningJob) -> bool:
    """Whether a job that ends with this error is not tried again."""
    if isinstance(error, UnrecoverableError | ConfigurationError | PayloadError):
        return True
    if isinstance(error, asyncio.CancelledError) and error.args[:1] == ("cancelled",):
        return True
    return job.attempts_made + 1 >= attempts_of(getattr(job, "opts", {}))


def _reason(error: BaseException) -> str | None:
    """What to say of an error; None when another run has the report."""
    if isinstance(error, asyncio.CancelledError):
        return _STOPPED.get(str(error.args[0])) if error.args else None
    if isinstance(error, DraftTakenError):
        return None
    return str(error) or type(error).__name__


async def _outlive(write: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(write, name="toril-report-outcome")
    try:
        await asyncio.wait_for(asyncio.shield(task), _LAST_WORDS)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_LAST_WORDS)
        raise


def _zone(firm: Firm) -> ZoneInfo:
    try:
        return ZoneInfo(firm.time_zone)
    except (KeyError, OSError, ValueError) as error:
        raise NotConfiguredError(
            f"firm {firm.id!r}: its time zone {firm.time_zone!r} is none; set it to one such as Asia/Riyadh"
        ) from error


def _parameters(payload: ReportRequest) -> dict[str, Any]:
    """What the report was asked with, as JSON."""
    return payload.model_dump(
        mode="json", by_alias=True, exclude={"firm_id", "report_id"}, exclude_unset=True
    )
