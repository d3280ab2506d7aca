"""The schedules an installation begins with, put in place once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toril.engine.queue import DEFAULT_NAME, Queue
from toril.engine.repeat import Repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """One schedule out of the box; its id is the type of its jobs.

    Attributes:
        options: further options of its jobs, as ``Queue.add`` takes them.
    """

    queue: str
    type: str
    cron: str
    data: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


_NIGHTLY, _HOURLY = "0 2 * * *", "0 * * * *"

#: What is planned unless somebody changes it.
PLANNED = (
    PlannedJob(queue="cleanup", type="old-logs", cron=_NIGHTLY, data={"retentionDays": 30}),
    PlannedJob(queue="cleanup", type="temp-files", cron=_NIGHTLY, data={"maxAgeHours": 24}),
    PlannedJob(queue="cleanup", type="sessions", cron=_NIGHTLY),
    PlannedJob(queue="cleanup", type="tokens", cron=_NIGHTLY),
    PlannedJob(queue="cleanup", type="notifications", cron=_NIGHTLY, data={"retentionDays": 90}),
    PlannedJob(queue="cleanup", type="deliveries", cron=_NIGHTLY, data={"retentionDays": 30}),
    PlannedJob(queue="cleanup", type="reports", cron=_NIGHTLY),
    PlannedJob(queue="cleanup", type="campaigns", cron=_NIGHTLY, data={"retentionDays": 730}),
    PlannedJob(queue="cleanup", type="audit-logs", cron=_NIGHTLY, data={"archiveAfterDays": 180}),
    PlannedJob(queue="cleanup", type="failed-jobs", cron=_NIGHTLY, data={"olderThanDays": 7}),
    PlannedJob(queue="sync", type="currency-rates", cron=_HOURLY, data={"baseCurrency": "SAR"}),
    PlannedJob(queue="sync", type="whatsapp-inbox", cron="*/10 * * * *"),
    PlannedJob(queue="sync", type="zatca-pending", cron="30 * * * *", options={"timeout": 900}),
)


async def install_planned(queues: Mapping[str, Queue], *, zone: str) -> list[PlannedJob]:
    """Add the planned schedules of the queues that are there; returns those that were added now.

    Each is added once in the life of a queue, by however many processes: one that somebody has changed or removed
    is not put back. The queue remembers that under ``<base>:toril:planned``.

    Args:
        zone: IANA time zone that the times are in.
    """
    added = []
    for planned in PLANNED:
        queue = queues.get(planned.queue)
        if queue is None:
            continue
        key = queue.keys.of("toril:planned")
        if await queue.connection.execute("SISMEMBER", key, planned.type, repeat=True):
            continue
        await queue.add(
            DEFAULT_NAME,
            {"type": planned.type, "data": dict(planned.data)},
            job_id=planned.type,
            repeat=Repeat(cron=planned.cron, tz=zone),
            **planned.options,
        )
        # After the schedule is there: a crash in between adds it again, which changes nothing.
        if await queue.connection.execute("SADD", key, planned.type, repeat=True):
            added.append(planned)
    return added
