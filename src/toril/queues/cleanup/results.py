"""What jobs of the ``cleanup`` queue return."""

from __future__ import annotations

from typing import TypedDict


class CleanupResult(TypedDict):
    """What was found, and what of it was deleted; in a dry run nothing."""

    success: bool
    dryRun: bool
    foundCount: int
    deletedCount: int


class FilesResult(CleanupResult):
    """Of files: ``sizeBytes`` of those found, and how many could not be deleted, each with a reason in the log."""

    sizeBytes: int
    failedCount: int


class ArchiveResult(CleanupResult):
    """Of the audit log: paths of the archives that were written."""

    archivedFiles: list[str]


class FailedJobsResult(CleanupResult):
    """Of failed jobs: how many of each queue."""

    queues: dict[str, int]


class ReportsResult(CleanupResult):
    """Of reports: how many files were deleted; those that could not be are found again by the next job."""

    filesDeleted: int
