"""The ``report`` queue: its job types and the defaults of its jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from toril.db.session import Database
from toril.engine.stalled import StalledError
from toril.queues.base import JobType, Payload, QueueDefinition, RunningJob
from toril.queues.report.aging import make_aging
from toril.queues.report.analytics import make_analytics
from toril.queues.report.custom import make_custom
from toril.queues.report.export import make_export
from toril.queues.report.files import ReportFiles, folder_of
from toril.queues.report.financial import make_financial
from toril.queues.report.making import Maker
from toril.queues.report.naming import Claim, JobNames
from toril.queues.report.payloads import (
    Analytics,
    ClientAging,
    Custom,
    DataExport,
    Financial,
    TimeUtilization,
)
from toril.queues.report.processors import AddJob, Office, ReportProcessor
from toril.queues.report.saved import SavedReports, is_last
from toril.queues.report.utilization import make_utilization
from toril.queues.storage import FileStore

#: as Bull stores them: delay and timeout in milliseconds, ages in seconds
JOB_OPTIONS: Final = {
    "attempts": 2,
    "backoff": {"type": "fixed", "delay": 10_000},
    "removeOnComplete": {"age": 604_800, "count": 100},
    "removeOnFail": {"age": 604_800},
    "timeout": 300_000,
}

_TYPES: Final[tuple[tuple[str, type[Payload], Maker, str], ...]] = (
    (
        "financial",
        Financial,
        make_financial,
        "Revenue, payments, expenses and profit, by month and by client",
    ),
    ("analytics", Analytics, make_analytics, "Cases by status and type, new clients, hours billed"),
    ("time-utilization", TimeUtilization, make_utilization, "Everybody's time, billable and not"),
    ("client-aging", ClientAging, make_aging, "Unpaid invoices by how long they are overdue"),
    ("custom", Custom, make_custom, "The rows of a declarative query"),
    ("data-export", DataExport, make_export, "All records of a kind as CSV, JSON, Excel or Parquet"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQueue(QueueDefinition):
    """The queue ``report``, which keeps the saved reports in step with jobs that no processor has seen, too."""

    saved: SavedReports
    files: FileStore

    async def process(self, job: RunningJob) -> dict[str, Any]:
        """Run one job. A saved report that waits for it fails with it, when its data is refused for example."""
        try:
            return await QueueDefinition.process(self, job)
        except Exception as error:
            if is_last(error, job):
                await self.saved.give_up(job, error)
            raise

    async def on_failed(self, job: RunningJob | None, error: BaseException) -> None:
        """Tidy up after a job whose workers were killed too often: a listener for the event ``failed``.

        Its saved report fails, and what it had written of its file goes.
        """
        if job is None or not isinstance(error, StalledError):
            return
        await self.saved.give_up(job, error)
        if claim := Claim.of(job.data):
            drafts = ReportFiles(self.files, folder_of(claim.type))
            await drafts.remove_drafts(firm_id=claim.firm_id, key=JobNames.of(job, claim.firm_id).key)


def _present() -> datetime:
    return datetime.now(UTC)


def report_queue(
    *,
    database: Database,
    files: FileStore,
    add_job: AddJob | None = None,
    now: Callable[[], datetime] = _present,
    query_timeout: float = 60.0,
    concurrency: int = 2,
) -> ReportQueue:
    """The queue ``report``.

    Args:
        database: the records that reports are of, and where they are saved.
        files: where their files go.
        add_job: adds the job that prints a report, such as ``QueueService.add_job``; without it no report can be a
            PDF.
        now: the clock, aware.
        query_timeout: seconds a query may take; exports are not limited by it.
        concurrency: jobs one worker process runs at once, unless configured otherwise.
    """
    office = Office(database=database, files=files, now=now, add_job=add_job, limit_s=query_timeout)
    types = (
        JobType(
            name=name,
            payload=payload,
            process=ReportProcessor(type=name, make=make, office=office),
            summary=summary,
        )
        for name, payload, make, summary in _TYPES
    )
    return ReportQueue(
        saved=SavedReports(database, now),
        files=files,
        name="report",
        types={each.name: each for each in types},
        job_options=JOB_OPTIONS,
        lock_duration=300.0,
        concurrency=concurrency,
    )
