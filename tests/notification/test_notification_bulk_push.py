"""The same push to many browsers: several at a time, each once however often the job runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.notification_jobs import KEYS, PlainJob, notification
from tests.support.until import until

from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError
from toril.queues.base import QueueDefinition
from toril.queues.notification import Channels, notification_queue
from toril.queues.send_once import GIVE_UP_AFTER
from toril.testing.vendors.push import Browser, PushService
from toril.testing.vendors.server import Reply


def user(id: str, browser: Browser | None) -> dict[str, Any]:
    return {"userId": id, "subscription": None if browser is None else browser.subscription}


def bulk_to(*users: dict[str, Any], attempts: int = 3) -> PlainJob:
    return PlainJob(notification("bulk-push", users=list(users)), attempts=attempts)


async def test_each_user_has_a_result_in_the_order_given(
    queue: QueueDefinition, service: PushService, database: Database
) -> None:
    good, over, second = service.subscribe(), service.subscribe(gone=True), service.subscribe()
    job = bulk_to(user("1", good), user("2", over), user("3", None), user("1", second), user("1", good))
    assert await queue.process(job) == {
        "success": True,
        "total": 5,
        "successCount": 3,
        "failedCount": 2,
        "results": [
            {"userId": "1", "success": True},
            {"userId": "2", "success": False, "expired": True, "error": "Subscription expired"},
            {"userId": "3", "success": False, "error": "No subscription"},
            {"userId": "1", "success": True},
            {"userId": "1", "success": True},
        ],
    }
    assert (good.received, second.received) == (1, 1)
    assert job.progress[0] == 1
    assert job.progress[-1] == 100
    assert job.progress == sorted(set(job.progress))


@pytest.mark.parametrize(
    ("subscription", "reason"),
    [
        ({}, "subscription.endpoint: Field required; subscription.keys: Field required"),
        (
            {"endpoint": "http://[", "keys": KEYS},
            "subscription.endpoint: the address cannot be read as a URL",
        ),
        (
            {"endpoint": "https://p.example/1", "keys": KEYS | {"auth": "?"}},
            "subscription.keys.auth: is not base64url",
        ),
    ],
    ids=["empty", "no URL", "no secret"],
)
async def test_a_subscription_that_is_none_does_not_stop_the_others(
    queue: QueueDefinition, service: PushService, subscription: Any, reason: str
) -> None:
    good = service.subscribe()
    result = await queue.process(bulk_to({"userId": "1", "subscription": subscription}, user("2", good)))
    bad, sent = result["results"]
    assert (bad["userId"], bad["success"]) == ("1", False)
    assert bad["error"].startswith(reason)
    assert sent == {"userId": "2", "success": True}
    assert good.received == 1


async def test_a_refusal_is_kept_without_what_databases_do_not_take(
    queue: QueueDefinition, service: PushService
) -> None:
    service.server.script = [Reply(400, b"no\x00\x1b such\xff\n browser")]
    result = await queue.process(bulk_to(user("1", service.subscribe())))
    assert "(no such\ufffd browser)" in result["results"][0]["error"]


async def test_nobody_reached_is_no_success(queue: QueueDefinition, service: PushService) -> None:
    result = await queue.process(bulk_to(user("1", None), user("2", service.subscribe(gone=True))))
    assert (result["success"], result["successCount"], result["failedCount"]) == (False, 0, 2)


async def test_so_many_are_on_their_way_at_a_time(
    channels: Channels, service: PushService, database: Database
) -> None:
    queue = notification_queue(database=database, channels=channels, bulk_parallel=4)
    browsers = [service.subscribe() for _ in range(12)]
    service.server.hold = asyncio.Event()
    task = asyncio.create_task(queue.process(bulk_to(*(user("1", browser) for browser in browsers))))

    async def four_arrived() -> bool:
        return len(service.server.requests) >= 4

    await until(four_arrived)
    service.server.hold.set()
    assert (await task)["successCount"] == 12
    assert service.at_once <= 4
    await queue.close()


async def test_another_attempt_sends_to_those_only_who_are_left(
    queue: QueueDefinition, service: PushService
) -> None:
    browsers = [service.subscribe() for _ in range(6)]
    service.server.script = [Reply(503), Reply(429, b"", {"retry-after": "30"})]
    job = bulk_to(*(user(str(number), browser) for number, browser in enumerate(browsers)))
    with pytest.raises(RetryableError, match="2 of 6 pushes could not be sent yet") as caught:
        await queue.process(job)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 30
    assert sum(browser.received for browser in browsers) == 4
    job.attempts_made = 1
    assert (await queue.process(job))["successCount"] == 6
    assert [browser.received for browser in browsers] == [1] * 6


async def test_the_last_attempt_counts_what_is_left_as_failed(
    queue: QueueDefinition, service: PushService
) -> None:
    service.server.script = [Reply(503)]
    browsers = [service.subscribe(), service.subscribe()]
    job = bulk_to(user("1", browsers[0]), user("2", browsers[1]), attempts=1)
    result = await queue.process(job)
    assert (result["success"], result["successCount"], result["failedCount"]) == (True, 1, 1)
    [failed] = [each for each in result["results"] if not each["success"]]
    assert "HTTP 503" in failed["error"]


async def test_a_service_that_takes_nothing_fails_the_job_after_few_requests(
    queue: QueueDefinition, service: PushService
) -> None:
    service.server.script = [Reply(503)] * 100
    job = bulk_to(*(user(str(n), service.subscribe()) for n in range(60)), attempts=1)
    with pytest.raises(RetryableError, match="60 of 60 pushes could not be sent yet"):
        await queue.process(job)
    # Those that were on their way when it became clear, beside the first few.
    assert len(service.server.requests) <= GIVE_UP_AFTER + 20


async def test_keys_that_all_refuse_fail_the_job(queue: QueueDefinition, service: PushService) -> None:
    service.server.script = [Reply(403)] * 3
    job = bulk_to(*(user(str(n), service.subscribe()) for n in range(3)))
    with pytest.raises(NotConfiguredError, match="Check VAPID_PUBLIC_KEY"):
        await queue.process(job)


async def test_keys_that_one_refuses_fail_that_one(queue: QueueDefinition, service: PushService) -> None:
    service.server.script = [Reply(403)]
    result = await queue.process(bulk_to(*(user(str(n), service.subscribe()) for n in range(3))))
    assert (result["successCount"], result["failedCount"]) == (2, 1)


async def test_a_job_that_is_stopped_goes_on_where_it_was(
    queue: QueueDefinition, service: PushService
) -> None:
    browsers = [service.subscribe() for _ in range(40)]
    service.server.script = ["work"] * 10 + ["hang"] * 30
    job = bulk_to(*(user(str(n), browser) for n, browser in enumerate(browsers)))
    task = asyncio.create_task(queue.process(job))

    async def ten_are_noted() -> bool:
        return bool(job.progress) and job.progress[-1] >= 25

    await until(ten_are_noted)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    service.server.script = []
    requests = len(service.server.requests)
    assert (await queue.process(job))["successCount"] == 40
    assert len(service.server.requests) - requests == 30
    assert all(len(browser.shown) == 1 for browser in browsers)


async def test_the_same_id_added_later_is_another_job(queue: QueueDefinition, service: PushService) -> None:
    browser = service.subscribe()
    job = bulk_to(user("1", browser))
    await queue.process(job)
    await queue.process(PlainJob(job.data, timestamp=job.timestamp + 1))
    assert browser.received == 2
