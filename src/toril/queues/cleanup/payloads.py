"""What jobs of the ``cleanup`` queue carry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from toril.queues.base import Payload

_Days = Annotated[StrictInt, Field(ge=1, le=3650)]


class CleanupPayload(Payload):
    """What every cleanup takes."""

    dry_run: StrictBool = False  #: count, and delete nothing


class OldLogs(CleanupPayload):
    """Rotated log files that were last written before ``retention_days`` ago."""

    retention_days: _Days = 30


class TempFiles(CleanupPayload):
    """Temporary files that were last written before ``max_age_hours`` ago."""

    max_age_hours: Annotated[StrictInt, Field(ge=1, le=87_600)] = 24


class Sessions(CleanupPayload):
    """Sessions that have ended."""


class Tokens(CleanupPayload):
    """One-time codes and tokens that have expired or were used."""


class Notifications(CleanupPayload):
    """Notifications that were read before ``retention_days`` ago, and those of before ``unread_retention_days`` ago
    that nobody has read."""

    retention_days: _Days = 90
    unread_retention_days: _Days = 365


class Deliveries(CleanupPayload):
    """Notes of what jobs sent before ``retention_days`` ago, by which a job that runs again sends nothing twice.

    A job from before then must not be able to run again, so a week is the least.
    """

    retention_days: Annotated[StrictInt, Field(ge=7, le=3650)] = 30


class Reports(CleanupPayload):
    """Reports and exports from before ``retention_days`` ago, with their files; else ``TORIL_REPORTS_DAYS``."""

    retention_days: _Days | None = None


class Campaigns(CleanupPayload):
    """What campaigns sent before ``retention_days`` ago, with what was opened and followed.

    A campaign that is sent again after that goes to everybody anew.
    """

    retention_days: Annotated[StrictInt, Field(ge=30, le=3650)] = 730


class AuditLogs(CleanupPayload):
    """Entries of the audit log from before ``archive_after_days`` ago."""

    archive_after_days: _Days = 180


class FailedJobs(CleanupPayload):
    """Failed jobs of all queues that ended before ``older_than_days`` ago."""

    older_than_days: _Days = 7
