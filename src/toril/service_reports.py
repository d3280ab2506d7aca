"""The saved report of a job that is about to be added."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update

from toril.db.errors import RecordNotFoundError
from toril.db.ids import new_id
from toril.db.models import Firm, Report, ReportStatus, User
from toril.db.repositories.reports import Reports
from toril.db.session import Database
from toril.db.types import utc_now


class QueuedReport:
    """Saves a report as ``queued`` before its job is added, so that the job can name it.

    Args:
        job_id: the job's id, which must be known before.
    """

    def __init__(self, database: Database, *, job_id: str) -> None:
        self._database, self._job_id = database, job_id
        self._firm_id, self._report_id, self._is_new = "", "", False

    async def save(self, type: str, payload: Any, *, requested_by: str | None) -> str:
        """Save it, unless the firm has one of this job: an id of the application's own may be added twice.

        Args:
            payload: a ``ReportRequest``, checked.

        Returns:
            The report's id.
        Raises:
            RecordNotFoundError: there is no such firm, or it has no such user.
        """
        self._firm_id = payload.firm_id
        async with self._database.session() as session:
            if await session.get(Firm, self._firm_id) is None:
                raise RecordNotFoundError("firm", self._firm_id)
            if requested_by is not None:
                user = await session.get(User, requested_by)
                if user is None or user.firm_id not in (None, self._firm_id):
                    raise RecordNotFoundError("user", requested_by)
            known = await Reports(session).find_of_job(self._job_id, firm_id=self._firm_id)
            self._is_new = known is None
            self._report_id = new_id() if known is None else known.id
            if self._is_new:
                asked = payload.model_dump(
                    mode="json", by_alias=True, exclude={"firm_id", "report_id"}, exclude_unset=True
                )
                session.add(
                    Report(
                        id=self._report_id,
                        firm_id=self._firm_id,
                        type=type,
                        name=_name(type, asked),
                        parameters=asked,
                        job_id=self._job_id,
                        requested_by=requested_by,
                    )
                )
        return self._report_id

    async def of(self, job_id: str) -> str | None:
        """The id of the report that the added job makes; this one is dropped when an earlier job makes another."""
        if job_id == self._job_id:
            return self._report_id
        async with self._database.session() as session:
            if self._is_new:
                await session.execute(delete(Report).where(Report.id == self._report_id))
            return await session.scalar(
                select(Report.id).where(Report.job_id == job_id, Report.firm_id == self._firm_id)
            )

    async def not_queued(self, error: Exception) -> None:
        """Note that its job could not be added.

        A job that reached the server all the same, though its answer got lost, goes on with the report.
        """
        if not self._is_new:
            return
        async with self._database.session() as session:
            await session.execute(
                update(Report)
                .where(Report.id == self._report_id, Report.status == ReportStatus.QUEUED)
                .values(status=ReportStatus.FAILED, error=f"not queued: {error}", finished_at=utc_now())
            )


def _name(type: str, asked: dict[str, Any]) -> str:
    """What the report is called in a list."""
    if "name" in asked:
        return str(asked["name"])
    days = (str(asked[field])[:10] for field in ("startDate", "endDate") if asked.get(field) is not None)
    return " ".join((type, *filter(None, [asked.get("exportType")]), *days))
