"""Web Push to a user, whatever browsers they have: all that they registered, each once, and nobody else's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.databases import KINDS, Databases
from tests.support.notification_jobs import FIRM, USER, PlainJob, notification

from toril.db.models import Firm, Language, User
from toril.db.repositories.notifications import PushSubscriptions
from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, TorilError
from toril.queues.base import QueueDefinition
from toril.queues.notification import push_run
from toril.testing.vendors.push import Browser, PushService
from toril.testing.vendors.server import Reply

OTHER_FIRM, OTHER_USER = "aaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbb"


@pytest.fixture(params=KINDS)
async def database_url(request: pytest.FixtureRequest, databases: Databases) -> str:
    """On each kind of database."""
    return await databases.fresh(request.param)


async def register(database: Database, user_id: str, *browsers: Browser) -> None:
    async with database.session() as session:
        for browser in browsers:
            keys = browser.subscription["keys"]
            await PushSubscriptions(session).save(user_id=user_id, endpoint=browser.endpoint, **keys)


async def registered(database: Database, user_id: str = USER) -> list[str]:
    async with database.reading() as session:
        return [each.endpoint for each in await PushSubscriptions(session).list(user_id=user_id)]


async def unregister(database: Database, browser: Browser) -> None:
    async with database.session() as session:
        await PushSubscriptions(session).delete(browser.endpoint, user_id=USER)


async def two_firms(database: Database, *, active: bool = True) -> None:
    """A user of each of two firms."""
    async with database.session() as session:
        for firm_id, user_id in ((FIRM, USER), (OTHER_FIRM, OTHER_USER)):
            session.add(Firm(id=firm_id, name_ar="مكتب", name_en="Office"))
            await session.flush()
            session.add(
                User(
                    id=user_id, firm_id=firm_id, email=f"{user_id}@firm.example", name="Sara", active=active,
                    language=Language.ARABIC,
                )
            )  # fmt: skip


def push(**fields: Any) -> PlainJob:
    return PlainJob(notification("push", **{"subscription": ..., "title": "T", **fields}))


def bulk(*users: dict[str, Any], **fields: Any) -> PlainJob:
    return PlainJob(notification("bulk-push", users=list(users), **fields))


def shown(browsers: Sequence[Browser]) -> list[int]:
    return [browser.received for browser in browsers]


async def test_a_push_goes_to_every_browser_of_its_user_and_to_no_other(
    queue: QueueDefinition, service: PushService, database: Database
) -> None:
    own, other = [service.subscribe() for _ in range(3)], service.subscribe()
    await register(database, USER, *own)
    await register(database, OTHER_USER, other)
    job = push(userId=USER.upper())
    assert await queue.process(job) == {
        "success": True,
        "userId": USER.upper(),
        "title": "T",
        "browsers": 3,
    }
    assert (shown(own), other.received) == ([1, 1, 1], 0)
    assert job.progress == sorted(set(job.progress))
    assert (job.progress[0], job.progress[-1]) == (10, 100)


async def test_a_user_without_a_browser_ends_the_job_without_success(
    queue: QueueDefinition, service: PushService
) -> None:
    result = {"success": False, "userId": "node-user", "title": "T", "error": "No subscription"}
    for absent in (..., None):
        assert await queue.process(push(userId="node-user", subscription=absent)) == result
    assert not service.server.requests


async def test_a_user_who_may_not_sign_in_any_more_gets_nothing(
    queue: QueueDefinition, service: PushService, database: Database
) -> None:
    await two_firms(database, active=False)
    browser = service.subscribe()
    await register(database, USER, browser)
    result = await queue.process(push(firmId=FIRM))
    assert (result["success"], result["error"], browser.received) == (False, "No subscription", 0)


async def test_browsers_that_are_gone_are_forgotten_and_the_others_served(
    queue: QueueDefinition, service: PushService, database: Database
) -> None:
    gone, good = [service.subscribe(gone=True) for _ in range(2)], service.subscribe()
    await register(database, USER, *gone, good)
    result = await queue.process(push())
    assert (result["success"], result["browsers"]) == (True, 1)
    assert await registered(database) == [good.endpoint]
    good.gone = True
    last = PlainJob(push().data, id="18")
    over = {"success": False, "userId": USER, "title": "T", "expired": True, "error": "Subscription expired"}
    assert await queue.process(last) == over
    assert await registered(database) == []
    assert await queue.process(last) == over, "the job that runs again tells the same"
    another = PlainJob(push().data, id="19")
    assert (await queue.process(another))["error"] == "No subscription"


async def test_another_attempt_sends_to_those_browsers_only_that_are_left(
    queue: QueueDefinition, service: PushService, database: Database
) -> None:
    browsers = [service.subscribe() for _ in range(4)]
    await register(database, USER, *browsers)
    service.server.script = [Reply(503), Reply(429, b"", {"retry-after": "30"})]
    job = push()
    with pytest.raises(RetryableError, match="2 of 4 pushes could not be sent yet") as caught:
        await queue.process(job)
    assert (caught.value.retry_after or 0) >= 30
    assert sum(shown(browsers)) == 2
    late, first = service.subscribe(), next(each for each in browsers if each.received)
    await register(database, USER, late)
    await unregister(database, first)  # it has its push, and is none of the user's any more
    job.attempts_made = 1
    assert (await queue.process(job))["browsers"] == 5
    assert shown([*browsers, late]) == [1] * 5
    await queue.process(job)
    assert shown([*browsers, late]) == [1] * 5


async def test_a_user_whose_browsers_are_all_unregistered_after_the_push_has_got_it(
    queue: QueueDefinition, service: PushService, database: Database
) -> None:
    browser = service.subscribe()
    await register(database, USER, browser)
    job = push()
    first = await queue.process(job)
    await unregister(database, browser)
    assert await queue.process(job) == first
    assert browser.received == 1


async def test_the_last_attempt_that_reached_nobody_fails(
    queue: QueueDefinition, service: PushService, database: Database
) -> None:
    await register(database, USER, service.subscribe())
    service.server.script = [Reply(503), Reply(403)]
    last = push()
    last.attempts_made = 2
    with pytest.raises(RetryableError, match="1 of 1 pushes could not be sent yet"):
        await queue.process(last)
    with pytest.raises(NotConfiguredError, match="Check VAPID_PUBLIC_KEY"):
        await queue.process(last)


async def test_a_user_of_another_firm_gets_nothing(
    queue: QueueDefinition, service: PushService, database: Database
) -> None:
    await two_firms(database)
    own, other = service.subscribe(), service.subscribe()
    await register(database, USER, own)
    await register(database, OTHER_USER, other)
    for fields in ({}, {"subscription": other.subscription}):
        with pytest.raises(TorilError, match="not found or access denied"):
            await queue.process(push(userId=OTHER_USER, firmId=FIRM, **fields))
    for user_id in (OTHER_USER, OTHER_USER.upper(), "node-user"):
        job = bulk({"userId": user_id}, {"userId": user_id, "subscription": other.subscription}, firmId=FIRM)
        for row in (await queue.process(job))["results"]:
            assert (row["success"], row["error"]) == (False, f"user {user_id!r} not found or access denied")
    assert not service.server.requests
    assert (await queue.process(push(firmId=FIRM)))["browsers"] == 1
    assert shown([own, other]) == [1, 0]


async def test_users_of_a_firm_that_the_records_do_not_know_are_taken_at_the_jobs_word(
    queue: QueueDefinition, service: PushService, database: Database
) -> None:
    await two_firms(database)
    browser = service.subscribe()
    await register(database, "node-user", browser)
    unknown = "c" * 24
    assert (await queue.process(push(userId="node-user", firmId=unknown)))["browsers"] == 1
    with pytest.raises(TorilError, match="not found or access denied"):
        await queue.process(push(userId=USER, firmId=unknown))


async def test_a_push_to_many_finds_their_browsers_in_parts(
    queue: QueueDefinition, service: PushService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_run, "_PART", 3)
    named, browsers = service.subscribe(), [service.subscribe() for _ in range(20)]
    for number, pair in enumerate(zip(browsers[::2], browsers[1::2], strict=True)):
        await register(database, f"u{number}", *pair)
    await register(database, "u0", named)
    users = [{"userId": f"u{number}"} for number in range(10)]
    users += [{"userId": "u3"}, {"userId": "nobody"}, {"userId": "bad", "subscription": {}}]
    job = bulk(*users, {"userId": "u0", "subscription": named.subscription})
    service.server.script = [Reply(500)] * 4
    with pytest.raises(RetryableError, match="4 of 21 pushes"):
        await queue.process(job)
    result = await queue.process(job)
    assert shown([*browsers, named]) == [1] * 21
    rows = result["results"]
    assert [row.get("browsers") for row in rows[:11]] == [3] + [2] * 10
    assert [row.get("error") for row in rows[11:]][:1] == ["No subscription"]
    assert rows[12]["error"].startswith("subscription.endpoint: ")
    assert rows[13] == {"userId": "u0", "success": True}
    assert (result["total"], result["successCount"], result["failedCount"]) == (14, 12, 2)


async def test_a_subscription_that_never_was_one_fails_alone(
    queue: QueueDefinition, service: PushService, database: Database
) -> None:
    good = service.subscribe()
    await register(database, USER, good)
    async with database.session() as session:
        for endpoint, key in (("https://10.0.0.1/x", "BA"), (f"{service.url}/send/x", "\x7f!"), ("", "?")):
            await PushSubscriptions(session).save(user_id=USER, endpoint=endpoint, p256dh=key, auth="A")
    assert (await queue.process(push()))["browsers"] == 1
    assert good.received == 1
