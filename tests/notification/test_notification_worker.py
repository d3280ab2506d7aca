"""Notification jobs from end to end: a queue on a real server, real workers, and one that is killed."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.notification_jobs import USER, notification
from tests.support.notification_tls import authority, server_tls, under_name
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.db.repositories.notifications import Notifications, PushSubscriptions
from toril.db.session import Database
from toril.engine.job import Job
from toril.errors import JobFailedError
from toril.queues.base import QueueDefinition
from toril.queues.notification import Channels
from toril.queues.notification.phones import to_e164
from toril.queues.registry import make_worker, open_queue, ready_made_queues
from toril.queues.storage import LocalFileStore
from toril.service import QueueService
from toril.testing.vendors.push import PushService
from toril.testing.vendors.server import Reply, vendor_server


async def finished(
    definition: QueueDefinition, url: str, prefix: str, *jobs: dict[str, Any]
) -> list[Job[Any]]:
    """Queue jobs, with a backoff that tests can wait for, and let a worker finish them."""
    async with open_queue(definition, url=url, prefix=prefix) as queue:
        added = [await queue.add("__default__", job, backoff=0.05) for job in jobs]
        async with make_worker(definition, queue):
            for job in added:
                try:
                    await job.result(timeout=60)
                except JobFailedError:
                    pass
        found = [await queue.get_job(job.id) for job in added]
        return [job for job in found if job is not None]


async def test_every_type_ends_with_the_result_of_the_contract(
    queue: QueueDefinition, service: PushService, database: Database, server_url: str, prefix: str
) -> None:
    first, second = service.subscribe(), service.subscribe()
    async with vendor_server(
        lambda request: Reply(200, {"ok": True}), tls=server_tls("hooks.example.test")
    ) as hooks:
        url = under_name(hooks.url, "hooks.example.test")
        jobs = await finished(
            queue,
            server_url,
            prefix,
            notification("push", subscription=first.subscription),
            notification("in-app"),
            notification("sms"),
            notification("webhook", webhookUrl=url),
            notification("bulk-push", users=[{"userId": "1", "subscription": second.subscription}]),
        )
    push, in_app, sms, webhook, bulk = (job.return_value for job in jobs)
    async with database.reading() as session:
        [row] = (await Notifications(session).list(user_id=USER)).items
    assert push == {"success": True, "userId": USER, "title": "جلسة"}
    assert in_app == {"success": True, "userId": USER, "notificationId": row.id, "emitted": False}
    assert row.job_id == f"notification:{jobs[1].id}:{jobs[1].timestamp}"
    assert (sms["success"], sms["phoneNumber"]) == (True, to_e164("0512345678"))
    assert webhook == {"success": True, "webhookUrl": url, "statusCode": 200, "response": {"ok": True}}
    results = [{"userId": "1", "success": True}]
    assert bulk == {"success": True, "total": 1, "successCount": 1, "failedCount": 0, "results": results}
    assert [job.progress for job in jobs] == [100] * 5


async def test_a_passing_fault_is_tried_again_and_a_lasting_one_is_not(
    queue: QueueDefinition, service: PushService, server_url: str, prefix: str
) -> None:
    service.server.script = [Reply(503), Reply(503)]
    data = notification("push", subscription=service.subscribe().subscription)
    [job] = await finished(queue, server_url, prefix, data)
    assert (job.return_value["success"], job.attempts_made) == (True, 2)
    service.server.script = [Reply(400, b"bad")]
    [job] = await finished(queue, server_url, prefix, data)
    assert job.attempts_made == 1
    assert job.failed_reason is not None
    assert "HTTP 400 (bad)" in job.failed_reason


async def test_a_bulk_push_sends_to_the_rest_in_its_next_attempt(
    queue: QueueDefinition, service: PushService, server_url: str, prefix: str
) -> None:
    browsers = [service.subscribe() for _ in range(8)]
    users = [{"userId": str(n), "subscription": each.subscription} for n, each in enumerate(browsers)]
    service.server.script = [Reply(500)] * 3
    [job] = await finished(queue, server_url, prefix, notification("bulk-push", users=users))
    assert (job.return_value["successCount"], job.attempts_made) == (8, 1)
    assert [browser.received for browser in browsers] == [1] * 8


async def test_a_bad_payload_of_nodes_fails_at_once_and_names_the_field(
    queue: QueueDefinition, server_url: str, prefix: str
) -> None:
    jobs = await finished(
        queue, server_url, prefix, notification("sms", phoneNumber="call me"), {"type": "fax"}, {"to": "x"}
    )
    assert [job.attempts_made for job in jobs] == [1, 1, 1]
    reasons = [job.failed_reason or "" for job in jobs]
    assert reasons[0].startswith("notification job of type 'sms' is not acceptable: phoneNumber: ")
    assert "unknown type 'fax'; it knows bulk-push, in-app, push, sms, webhook" in reasons[1]
    assert "unknown type None" in reasons[2]


async def test_an_application_has_the_queue_beside_the_others(
    database: Database, channels: Channels, server_url: str, prefix: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "files": LocalFileStore(tmp_path),
        "outbox": tmp_path / "outbox",
        "from_email": "o@firm.example",
    }
    assert "notification" not in ready_made_queues(**options)
    definitions = ready_made_queues(**options, database=database)
    async with QueueService(definitions.values(), url=server_url, prefix=prefix) as application:
        added = await application.add_job("notification", notification("sms"))
        async with make_worker(definitions["notification"], application.queue("notification")):

            async def completed() -> bool:
                status = await application.get_job_status("notification", added["jobId"])
                return status is not None and status["state"] == "completed"

            await until(completed, within_s=60)
    assert len(list((tmp_path / "outbox" / "sms").iterdir())) == 1


@asynccontextmanager
async def worker_process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker in a process of its own, up and working."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.notification_worker", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


@pytest.mark.parametrize("named", [True, False], ids=["browsers of the job", "browsers of the records"])
async def test_a_bulk_push_goes_on_after_its_worker_was_killed(
    named: bool,
    queue: QueueDefinition,
    service: PushService,
    database: Database,
    database_url: str,
    start_server: Callable[[str], RedisServer],
    prefix: str,
    keys: tuple[str, str],
    tmp_path: Path,
) -> None:
    server_url = start_server("valkey").url
    ca = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(str(ca))
    arguments = ("queue", database_url, server_url, prefix, str(tmp_path), *keys, str(ca))
    browsers = [service.subscribe() for _ in range(60)]
    users: list[dict[str, Any]] = [
        {"userId": str(n), **({"subscription": each.subscription} if named else {})}
        for n, each in enumerate(browsers)
    ]
    async with database.session() as session:
        for n, each in enumerate(browsers):
            keys_of = each.subscription["keys"]
            await PushSubscriptions(session).save(user_id=str(n), endpoint=each.endpoint, **keys_of)
    service.server.script = ["work"] * 20 + ["hang"] * 4
    async with open_queue(queue, url=server_url, prefix=prefix) as opened:
        job = await opened.add("__default__", notification("bulk-push", users=users))
        async with worker_process(*arguments) as worker:

            async def four_hang() -> bool:
                return len(service.server.requests) >= 24

            await until(four_hang, within_s=60)
            worker.kill()
            await worker.wait()
        async with worker_process(*arguments):
            result = await job.result(timeout=60)
    assert (result["successCount"], result["failedCount"]) == (60, 0)
    # The four that were on their way are sent again, and replace themselves; nobody else gets a second one.
    assert all(len(browser.shown) == 1 for browser in browsers)
    assert sum(browser.received for browser in browsers) == 64
