"""The schedules out of the box: there once, and never put back."""

from __future__ import annotations

import asyncio

from toril.engine.queue import Queue
from toril.queues.planned import PLANNED, install_planned


async def test_each_is_added_once_however_many_processes_start(server_url: str, prefix: str) -> None:
    async def start() -> int:
        async with Queue("cleanup", url=server_url, prefix=prefix) as queue:
            return len(await install_planned({"cleanup": queue}, zone="Asia/Riyadh"))

    added = await asyncio.gather(*(start() for _ in range(6)))
    of_cleanup = [planned for planned in PLANNED if planned.queue == "cleanup"]
    assert sum(added) == len(of_cleanup)
    async with Queue("cleanup", url=server_url, prefix=prefix) as queue:
        schedules = await queue.schedules()
        assert {(each.id, each.cron, each.tz) for each in schedules} == {
            (planned.type, planned.cron, "Asia/Riyadh") for planned in of_cleanup
        }
        assert (await queue.counts("delayed"))["delayed"] == len(of_cleanup)
        (logs,) = [each for each in schedules if each.id == "old-logs"]
        assert logs.data == {"type": "old-logs", "data": {"retentionDays": 30}}


async def test_what_somebody_removed_does_not_come_back(queue: Queue) -> None:
    await install_planned({"cleanup": queue}, zone="UTC")
    (tokens,) = [each for each in await queue.schedules() if each.id == "tokens"]
    await queue.remove_schedule(tokens.key)
    assert await install_planned({"cleanup": queue}, zone="UTC") == []
    assert "tokens" not in {each.id for each in await queue.schedules()}


async def test_every_planned_job_is_one_its_queue_takes() -> None:
    from toril.queues.cleanup import payloads

    models = {
        "old-logs": payloads.OldLogs,
        "temp-files": payloads.TempFiles,
        "sessions": payloads.Sessions,
        "tokens": payloads.Tokens,
        "notifications": payloads.Notifications,
        "deliveries": payloads.Deliveries,
        "reports": payloads.Reports,
        "campaigns": payloads.Campaigns,
        "audit-logs": payloads.AuditLogs,
        "failed-jobs": payloads.FailedJobs,
    }
    for planned in PLANNED:
        if planned.queue == "cleanup":
            models[planned.type].model_validate(dict(planned.data))
