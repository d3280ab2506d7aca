"""Web Push against a push service that checks and decrypts what it gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.notification_jobs import KEYS as DEAD_KEYS
from tests.support.notification_jobs import USER, PlainJob, notification

from toril.db.repositories.notifications import PushSubscriptions
from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, TorilError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.notification import Channels, Vapid, new_keys, notification_queue
from toril.queues.ssrf import BlockedAddressError, Guard
from toril.testing.vendors.push import Browser, PushService
from toril.testing.vendors.server import Reply


def push_to(browser: Browser, **fields: Any) -> PlainJob:
    return PlainJob(notification("push", subscription=browser.subscription, **fields))


async def save(database: Database, browser: Browser) -> None:
    keys = browser.subscription["keys"]
    async with database.session() as session:
        await PushSubscriptions(session).save(user_id=USER, endpoint=browser.endpoint, **keys)


async def saved(database: Database) -> list[str]:
    async with database.reading() as session:
        return [each.endpoint for each in await PushSubscriptions(session).list(user_id=USER)]


async def test_the_browser_alone_reads_the_message(queue: QueueDefinition, service: PushService) -> None:
    browser = service.subscribe()
    job = push_to(browser, title="جلسة", body="غدًا", data={"url": "/cases/1"}, ttl=600, urgency="high")
    assert await queue.process(job) == {"success": True, "userId": USER, "title": "جلسة"}
    [shown] = browser.shown.values()
    tag = shown.pop("tag")
    assert shown == {
        "title": "جلسة",
        "body": "غدًا",
        "icon": "/icon.png",
        "badge": "/badge.png",
        "data": {"url": "/cases/1"},
    }
    [request] = service.server.requests
    assert (request.headers["ttl"], request.headers["urgency"], request.headers["topic"]) == (
        "600",
        "high",
        tag,
    )
    assert "جلسة".encode() not in request.body
    assert job.progress == [10, 100]


async def test_the_largest_message_is_taken(queue: QueueDefinition, service: PushService) -> None:
    browser = service.subscribe()
    await queue.process(push_to(browser, title="t", body="b", data={"x": "y" * 3872}))
    [request] = service.server.requests
    assert len(request.body) == 4096


async def test_another_attempt_replaces_what_the_first_one_showed(
    queue: QueueDefinition, service: PushService
) -> None:
    browser = service.subscribe()
    service.server.script = ["drop"]
    job = push_to(browser)
    with pytest.raises(RetryableError):
        await queue.process(job)
    await queue.process(job)
    assert (browser.received, len(browser.shown)) == (2, 1)
    later = PlainJob(job.data, id=job.id, timestamp=job.timestamp + 1)
    await queue.process(later)
    assert len(browser.shown) == 2


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_is_over_is_deleted_and_the_job_is_done(
    queue: QueueDefinition, service: PushService, database: Database, status: int
) -> None:
    over, other = service.subscribe(gone=True), service.subscribe()
    if status == 404:
        service.browsers.clear()
    await save(database, over)
    await save(database, other)
    result = await queue.process(push_to(over, title="T"))
    assert result == {
        "success": False,
        "userId": USER,
        "title": "T",
        "expired": True,
        "error": "Subscription expired",
    }
    assert await saved(database) == [other.endpoint]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(Reply(400, b"bad"), UnrecoverableError, id="400"),
        pytest.param(Reply(401), NotConfiguredError, id="401"),
        pytest.param(Reply(403, b"mismatch"), NotConfiguredError, id="403"),
        pytest.param(Reply(413), UnrecoverableError, id="413"),
        pytest.param(Reply(307, b"", {"location": "/x"}), UnrecoverableError, id="redirect"),
        pytest.param(Reply(429), RetryableError, id="429"),
        pytest.param(Reply(500), RetryableError, id="500"),
        pytest.param(Reply(503), RetryableError, id="503"),
        pytest.param("hang", RetryableError, id="no answer"),
        pytest.param("refuse", RetryableError, id="cut"),
    ],
)
async def test_an_answer_decides_whether_to_try_again(
    queue: QueueDefinition,
    service: PushService,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply | str,
    kind: type[TorilError],
) -> None:
    monkeypatch.setattr("toril.queues.notification.web_push._WITHIN", 0.5)
    browser = service.subscribe()
    service.server.script = [reply]
    with pytest.raises(kind) as caught:
        await queue.process(push_to(browser))
    assert type(caught.value) is kind
    assert service.url in str(caught.value)
    assert browser.endpoint not in str(caught.value)  # whoever knows it can send to it
    assert len(service.server.requests) == 1


async def test_retry_after_is_kept(queue: QueueDefinition, service: PushService) -> None:
    service.server.script = [Reply(429, b"", {"retry-after": "120"})]
    with pytest.raises(RetryableError) as caught:
        await queue.process(push_to(service.subscribe()))
    assert caught.value.retry_after is not None
    assert 120 <= caught.value.retry_after <= 150


async def test_keys_of_another_pair_are_a_matter_of_configuration(
    channels: Channels, service: PushService, database: Database
) -> None:
    public, private = new_keys()
    strange = replace(channels, vapid=Vapid(public, private, contact="a@firm.example"))
    queue = notification_queue(database=database, channels=strange)
    with pytest.raises(NotConfiguredError, match="Check VAPID_PUBLIC_KEY"):
        await queue.process(push_to(service.subscribe()))
    await queue.close()


async def test_without_keys_a_push_fails_and_says_what_to_set(channels: Channels, database: Database) -> None:
    queue = notification_queue(database=database, channels=replace(channels, vapid=None))
    for type in ("push", "bulk-push"):
        with pytest.raises(
            NotConfiguredError, match="set VAPID_PUBLIC_KEY, VAPID_PRIVATE_KEY and CONTACT_EMAIL"
        ):
            await queue.process(PlainJob(notification(type)))
    await queue.close()


@pytest.mark.parametrize(
    "endpoint",
    ["http://push.example.com/1", "https://127.0.0.1/1", "https://redis/", "https://example.com:6379/"],
)
async def test_an_endpoint_inside_our_network_is_not_called(
    channels: Channels, database: Database, endpoint: str
) -> None:
    queue = notification_queue(database=database, channels=replace(channels, guard=Guard()))
    subscription = {"endpoint": endpoint, "keys": DEAD_KEYS}
    with pytest.raises(BlockedAddressError, match=r"^subscription\.endpoint: "):
        await queue.process(PlainJob(notification("push", subscription=subscription)))
    await queue.close()


async def test_a_key_off_the_curve_fails_at_once(queue: QueueDefinition, service: PushService) -> None:
    subscription = service.subscribe().subscription
    subscription["keys"]["p256dh"] = "BA" + "A" * 85
    with pytest.raises(
        UnrecoverableError, match=r"subscription\.keys\.p256dh: is not a browser's public key"
    ):
        await queue.process(PlainJob(notification("push", subscription=subscription)))
    assert not service.server.requests
