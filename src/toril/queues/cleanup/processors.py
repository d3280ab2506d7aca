"""The work behind each cleanup."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from toril.db.repositories.purge import (
    Purge,
    expired_sessions,
    old_bulk_sends,
    old_campaign_sends,
    old_deliveries,
    old_job_owners,
    old_mail_events,
    old_reports,
    old_sms_reports,
    read_notifications,
    spent_tokens,
    unread_notifications,
    worked_deliveries,
)
from toril.db.session import Database
from toril.queues.base import RunningJob
from toril.queues.cleanup.archive import BATCH, PAUSE, AuditArchive
from toril.queues.cleanup.files import Swept, is_rotated_log, sweep
from toril.queues.cleanup.leftovers import sweep_leftovers, sweep_temporary
from toril.queues.cleanup.payloads import (
    AuditLogs,
    Campaigns,
    Deliveries,
    FailedJobs,
    Notifications,
    OldLogs,
    Reports,
    Sessions,
    TempFiles,
    Tokens,
)
from toril.queues.cleanup.report_files import ReportFiles
from toril.queues.cleanup.results import (
    ArchiveResult,
    CleanupResult,
    FailedJobsResult,
    FilesResult,
    ReportsResult,
)
from toril.queues.storage import FileStore

#: Days for which reports and exports are kept, unless told otherwise.
REPORTS_DAYS = 365

#: Removes failed jobs older than so many seconds from all queues, or only counts them: queue → how many.
PurgeFailedJobs = Callable[[float, bool], Awaitable[dict[str, int]]]


class Cleaner:
    """Deletes, in batches, what has had its time. Every result says what was found and what was deleted.

    Args:
        database: the application's records.
        log_folders, temp_folders: where logs and temporary files lie.
        leftover_folders: where finished files lie, and halves of such.
        system_temp: the system's folder for temporary files, of which only our own are ours.
        archive_folder: where archives of the audit log go.
        files: where the files of reports are; without it only their rows go.
        reports_days: for how many days reports and exports are kept.
        purge_failed_jobs: acts on all queues.
    """

    def __init__(
        self,
        database: Database,
        *,
        log_folders: Sequence[Path],
        temp_folders: Sequence[Path],
        archive_folder: Path,
        purge_failed_jobs: PurgeFailedJobs,
        leftover_folders: Sequence[Path] = (),
        system_temp: Path | None = None,
        files: FileStore | None = None,
        reports_days: int = REPORTS_DAYS,
    ) -> None:
        self._database = database
        self._log_folders, self._temp_folders = log_folders, temp_folders
        self._leftover_folders, self._system_temp = leftover_folders, system_temp
        self._archive = AuditArchive(database, archive_folder)
        self._purge_failed_jobs = purge_failed_jobs
        self._report_files = ReportFiles(database, files)
        self._reports_days = reports_days

    async def old_logs(self, payload: OldLogs, job: RunningJob) -> FilesResult:
        """Delete rotated logs; a log that is being written is never one of them."""
        before = time.time() - payload.retention_days * 86_400
        rotated = partial(sweep, before=before, dry_run=payload.dry_run, wanted=is_rotated_log)
        return await self._sweep([partial(rotated, each) for each in self._log_folders], payload.dry_run, job)

    async def temp_files(self, payload: TempFiles, job: RunningJob) -> FilesResult:
        """Delete temporary files, and what processes that were killed left behind: drafts of reports, half files,
        profiles of browsers."""
        places: list[tuple[Callable[..., Swept], Path]] = [
            *((sweep, each) for each in self._temp_folders),
            *((sweep_leftovers, each) for each in self._leftover_folders),
            *((sweep_temporary, each) for each in filter(None, [self._system_temp])),
        ]
        before = time.time() - payload.max_age_hours * 3600
        sweeps = [partial(do, each, before=before, dry_run=payload.dry_run) for do, each in places]
        return await self._sweep(sweeps, payload.dry_run, job)

    async def sessions(self, payload: Sessions, job: RunningJob) -> CleanupResult:
        """Delete sessions that have ended."""
        return await self._purge([expired_sessions(datetime.now(UTC))], payload.dry_run, job)

    async def tokens(self, payload: Tokens, job: RunningJob) -> CleanupResult:
        """Delete one-time codes and tokens that can do nothing any more."""
        return await self._purge([spent_tokens(datetime.now(UTC))], payload.dry_run, job)

    async def notifications(self, payload: Notifications, job: RunningJob) -> CleanupResult:
        """Delete old notifications that were read, and very old ones that were not."""
        now = datetime.now(UTC)
        purges = [
            read_notifications(now - timedelta(days=payload.retention_days)),
            unread_notifications(now - timedelta(days=payload.unread_retention_days)),
        ]
        return await self._purge(purges, payload.dry_run, job)

    async def deliveries(self, payload: Deliveries, job: RunningJob) -> CleanupResult:
        """Delete old notes: of what jobs have sent (SMS, pushes, mails of bulk jobs), of what providers of mail and
        WhatsApp told us, and of who asked for jobs."""
        before = datetime.now(UTC) - timedelta(days=payload.retention_days)
        notes = [
            old_deliveries(before),
            old_bulk_sends(before),
            old_job_owners(before),
            old_mail_events(before),
            worked_deliveries(before),
            old_sms_reports(before),
        ]
        return await self._purge(notes, payload.dry_run, job)

    async def reports(self, payload: Reports, job: RunningJob) -> ReportsResult:
        """Delete old reports and exports: first their files, then the rows by which they are found."""
        days = self._reports_days if payload.retention_days is None else payload.retention_days
        before = datetime.now(UTC) - timedelta(days=days)
        found = await self._report_files.count(before)
        rows = files = 0
        while not payload.dry_run and (
            batch := await self._report_files.delete_batch(before, job, limit=BATCH)
        ):
            rows, files = rows + batch.rows, files + batch.files
            await job.update_progress(min(90, round(90 * rows / max(found, 1))))
            await asyncio.sleep(PAUSE)
            if batch.is_last:
                break
        result = await self._purge([old_reports(before)], payload.dry_run, job)
        found, rows = found + result["foundCount"], rows + result["deletedCount"]
        return {**_result(payload.dry_run, max(found, rows), rows), "filesDeleted": files}

    async def campaigns(self, payload: Campaigns, job: RunningJob) -> CleanupResult:
        """Delete what campaigns sent long ago."""
        before = datetime.now(UTC) - timedelta(days=payload.retention_days)
        return await self._purge([old_campaign_sends(before)], payload.dry_run, job)

    async def audit_logs(self, payload: AuditLogs, job: RunningJob) -> ArchiveResult:
        """Archive old entries of the audit log, verify the archive, and delete them."""
        before = datetime.now(UTC) - timedelta(days=payload.archive_after_days)
        found = await self._archive.count(before)
        deleted = 0
        archives: list[str] = []
        while not payload.dry_run and (stored := await self._archive.store_next(before)):
            archives.append(str(stored[0]))
            deleted += stored[1]
            await job.update_progress({"deleted": deleted})
        await job.update_progress(100)
        return {**_result(payload.dry_run, max(found, deleted), deleted), "archivedFiles": archives}

    async def failed_jobs(self, payload: FailedJobs, job: RunningJob) -> FailedJobsResult:
        """Delete old failed jobs of all queues."""
        queues = await self._purge_failed_jobs(payload.older_than_days * 86_400, payload.dry_run)
        found = sum(queues.values())
        await job.update_progress(100)
        return {**_result(payload.dry_run, found, 0 if payload.dry_run else found), "queues": queues}

    async def _purge(self, purges: Sequence[Purge], dry_run: bool, job: RunningJob) -> CleanupResult:
        async with self._database.reading() as session:
            found = sum([await purge.count(session) for purge in purges])
        deleted = 0
        for purge in () if dry_run else purges:
            batch = BATCH
            while batch == BATCH:
                async with self._database.session() as session:
                    batch = await purge.delete_batch(session, limit=BATCH)
                deleted += batch
                await asyncio.sleep(PAUSE)
                await job.update_progress(min(99, round(100 * deleted / max(found, 1))))
        await job.update_progress(100)
        return _result(dry_run, max(found, deleted), deleted)

    async def _sweep(
        self, sweeps: Sequence[Callable[[], Swept]], dry_run: bool, job: RunningJob
    ) -> FilesResult:
        all_swept = Swept()
        for number, do_sweep in enumerate(sweeps, 1):
            swept = await asyncio.to_thread(do_sweep)
            all_swept.found += swept.found
            all_swept.deleted += swept.deleted
            all_swept.size += swept.size
            all_swept.failed += swept.failed
            await job.update_progress(round(100 * number / len(sweeps)))
        for reason in all_swept.failed:
            await job.log(f"not deleted: {reason}")
        return {
            **_result(dry_run, all_swept.found, all_swept.deleted),
            "sizeBytes": all_swept.size,
            "failedCount": len(all_swept.failed),
        }


def _result(dry_run: bool, found: int, deleted: int) -> CleanupResult:
    return {"success": True, "dryRun": dry_run, "foundCount": found, "deletedCount": deleted}
