"""The ``cleanup`` queue: its types and defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toril.queues.base import JobType, Payload, QueueDefinition
from toril.queues.cleanup import payloads
from toril.queues.cleanup.processors import Cleaner

#: as Bull stores them: delay in milliseconds, ages in seconds
JOB_OPTIONS: dict[str, Any] = {
    "attempts": 2,
    "backoff": {"type": "fixed", "delay": 30_000},
    "removeOnComplete": {"age": 48 * 3600, "count": 50},
    "removeOnFail": {"age": 172_800},
}


def cleanup_queue(cleaner: Cleaner) -> QueueDefinition:
    """The ready-made queue that deletes what has had its time."""
    rows: tuple[tuple[str, type[Payload], Callable[..., Any], str], ...] = (
        ("old-logs", payloads.OldLogs, cleaner.old_logs, "Rotated log files"),
        ("temp-files", payloads.TempFiles, cleaner.temp_files, "Temporary files"),
        ("sessions", payloads.Sessions, cleaner.sessions, "Sessions that have ended"),
        ("tokens", payloads.Tokens, cleaner.tokens, "One-time codes and tokens that are spent"),
        ("notifications", payloads.Notifications, cleaner.notifications, "Old notifications that were read"),
        ("deliveries", payloads.Deliveries, cleaner.deliveries, "Old notes of what jobs have sent"),
        ("reports", payloads.Reports, cleaner.reports, "Old reports and exports, with their files"),
        ("campaigns", payloads.Campaigns, cleaner.campaigns, "What campaigns sent long ago"),
        ("audit-logs", payloads.AuditLogs, cleaner.audit_logs, "Old audit entries, into an archive"),
        ("failed-jobs", payloads.FailedJobs, cleaner.failed_jobs, "Old failed jobs of all queues"),
    )
    types = {
        name: JobType(name=name, payload=payload, process=process, summary=summary)
        for name, payload, process, summary in rows
    }
    return QueueDefinition(name="cleanup", types=types, job_options=JOB_OPTIONS, concurrency=1)
