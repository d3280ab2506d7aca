"""Notifications, pushes, webhooks of others, and the links in campaign mail, over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from sqlalchemy import func, select
from tests.support.queue_api import open_api
from tests.support.servers import RedisServer
from tests.support.web_people import Office, open_office

from toril.db.models import (
    CampaignSend,
    MailEvent,
    MailSuppression,
    Notification,
    SendStatus,
    TrackingEvent,
    WhatsAppNotification,
)
from toril.errors import JobFailedError
from toril.queues.email.tracking import PIXEL, TrackedMail
from toril.queues.notification import Channels, LogProvider, Vapid, new_keys, notification_queue
from toril.queues.registry import make_worker, open_queue
from toril.queues.ssrf import Guard
from toril.testing.vendors.push import Browser, push_service

RESEND_SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
META_SECRET, META_TOKEN = "meta-app-secret", "agreed-token"
PUBLIC_KEY, PRIVATE_KEY = new_keys()


@pytest_asyncio.fixture
async def office(
    start_server: Callable[[str], RedisServer], prefix: str, tmp_path: Path, firm_home: Path
) -> AsyncIterator[Office]:
    shutil.copytree(firm_home, tmp_path / "home")
    server_url = start_server("valkey").url
    settings = {
        "resend_webhook_secret": RESEND_SECRET,
        "whatsapp_app_secret": META_SECRET,
        "whatsapp_verify_token": META_TOKEN,
        "vapid_public_key": PUBLIC_KEY,
        "vapid_private_key": PRIVATE_KEY,
        "contact_email": "ops@firm.example",
    }
    async with open_api(server_url, prefix, tmp_path / "home", **settings) as api, open_office(api) as opened:
        yield opened


async def count(office: Office, model: Any, *where: Any) -> int:
    async with office.api.web.installation.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(model).where(*where)) or 0


async def notify(office: Office, user_id: str, *titles: str) -> None:
    async with office.api.web.installation.database.session() as session:
        session.add_all(Notification(user_id=user_id, title=title, message="…") for title in titles)


async def test_a_user_sees_and_reads_their_own_notifications_only(office: Office) -> None:
    await notify(office, office.lawyer_id, "one", "two", "three")
    await notify(office, "somebody-else", "not yours")
    page = (await office.lawyer.get("/api/notifications?limit=2")).json()
    assert (page["count"], page["total"], page["unread"]) == (2, 3, 3)
    first = page["data"][0]["id"]
    assert (await office.stranger.post(f"/api/notifications/{first}/read")).json()["data"] == {"marked": 0}
    assert (await office.lawyer.post(f"/api/notifications/{first}/read")).json()["data"] == {"marked": 1}
    assert (await office.lawyer.post(f"/api/notifications/{first}/read")).json()["data"] == {"marked": 0}
    assert (await office.lawyer.get("/api/notifications?unread=true")).json()["total"] == 2
    assert (await office.lawyer.post("/api/notifications/read")).json()["data"] == {"marked": 2}
    assert (await office.lawyer.get("/api/notifications")).json()["unread"] == 0
    assert (
        await count(
            office, Notification, Notification.read_at.is_(None), Notification.user_id == "somebody-else"
        )
        == 1
    )


async def test_a_browser_subscribes_and_is_forgotten(office: Office) -> None:
    key = await office.lawyer.get("/api/push/key")
    assert key.json()["data"] == {"publicKey": PUBLIC_KEY}
    body = Browser("https://push.example.com/send/1").subscription
    for _ in range(2):  # again is once
        assert (await office.lawyer.post("/api/push/subscriptions", json=body)).status_code == 201
    listed = (await office.lawyer.get("/api/push/subscriptions")).json()
    assert [each["endpoint"] for each in listed["data"]] == [body["endpoint"]]
    forget = {"endpoint": body["endpoint"]}
    assert (await office.stranger.delete("/api/push/subscriptions", params=forget)).status_code == 404
    assert (await office.lawyer.delete("/api/push/subscriptions", params=forget)).status_code == 200
    assert (await office.lawyer.get("/api/push/subscriptions")).json()["count"] == 0


async def test_a_push_by_user_reaches_the_browsers_that_subscribed_and_only_from_the_own_firm(
    office: Office, tmp_path: Path
) -> None:
    async with push_service(PUBLIC_KEY) as service:
        port = urlsplit(service.url).port
        channels = Channels(
            sms=LogProvider(tmp_path / "sms"),
            vapid=Vapid(PUBLIC_KEY, PRIVATE_KEY, contact="ops@firm.example"),
            guard=Guard.allowing(f"127.0.0.0/8:{port}"),
        )
        browser = service.subscribe()
        answer = await office.lawyer.post("/api/push/subscriptions", json=browser.subscription)
        assert answer.status_code == 201
        said = {"userId": office.lawyer_id, "title": "جلسة", "body": "غدًا"}
        queue = office.api.service.queue("notification")
        definition = notification_queue(database=office.api.web.installation.database, channels=channels)
        jobs: dict[str, Any] = {}
        for name, client in (("own", office.partner), ("other", office.manager)):
            sent = {"data": {"type": "push", "data": said}}
            answer = await client.post("/api/queues/notification/jobs", json=sent)
            assert answer.status_code == 201, answer.text
            assert answer.json()["data"]["data"]["data"]["firmId"], "the firm is filled in"
            jobs[name] = await queue.get_job(answer.json()["data"]["jobId"])
        settings = office.api.web.settings
        own = open_queue(definition, url=settings.redis_url, prefix=settings.prefix)
        async with own, make_worker(definition, own):
            assert (await jobs["own"].result(60)) == {
                "success": True,
                "userId": office.lawyer_id,
                "title": said["title"],
                "browsers": 1,
            }
            with pytest.raises(JobFailedError, match="not found or access denied"):
                await jobs["other"].result(60)
        assert browser.received == 1
        await definition.close()


@pytest.mark.parametrize("change", [{"endpoint": "javascript:1"}, {"keys": {}}, {"keys": None}, {"more": 1}])
async def test_what_is_no_subscription_is_refused(office: Office, change: dict[str, Any]) -> None:
    body = Browser("https://push.example.com/send/1").subscription | change
    assert (await office.lawyer.post("/api/push/subscriptions", json=body)).status_code == 400


def resend(
    event: Any, *, secret: str = RESEND_SECRET, age: int = 0, event_id: str = "msg_1"
) -> dict[str, Any]:
    """A request as Resend sends it."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    timestamp = str(int(time.time()) - age)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(b'x' * 32).decode()} v1,{base64.b64encode(digest).decode()}"
    headers = {"svix-id": event_id, "svix-timestamp": timestamp, "svix-signature": signature}
    return {"content": body, "headers": headers}


def mail_event(kind: str, **data: Any) -> dict[str, Any]:
    given = {"email_id": "re_1", "to": ["a@client.example"], "subject": "Hi"} | data
    return {"type": kind, "created_at": "2026-03-01T09:00:00.000Z", "data": given}


async def test_an_address_that_bounced_for_good_gets_no_campaigns_any_more(office: Office) -> None:
    async with office.api.web.installation.database.session() as session:
        session.add(
            CampaignSend(
                campaign_id="c",
                email="a@client.example",
                tracking_id="t",
                status=SendStatus.SENT,
                message_id="re_1",
            )
        )
    event = mail_event("email.bounced", bounce={"type": "Permanent", "message": "no such mailbox"})
    for new in (1, 0):  # the same delivery again is once
        answer = await office.nobody.post("/api/webhooks/resend", **resend(event))
        assert answer.json() == {"success": True, "data": {"received": new}}
    assert await count(office, MailEvent) == 1
    assert await count(office, MailSuppression, MailSuppression.email == "a@client.example") == 1
    async with office.api.web.installation.database.reading() as session:
        send = (await session.scalars(select(CampaignSend))).one()
    assert (send.status, send.error) == (SendStatus.FAILED, "email.bounced: no such mailbox")


@pytest.mark.parametrize(
    ("event", "suppressed"),
    [
        (mail_event("email.complained"), 1),
        (mail_event("email.suppressed", suppressed={"message": "on the list"}), 1),
        (mail_event("email.bounced", bounce={"type": "Transient"}), 0),
        (mail_event("email.delivered"), 0),
        (mail_event("email.unheard_of", to=None, email_id=None), 0),
    ],
)
async def test_other_events_of_mail_are_kept(office: Office, event: dict[str, Any], suppressed: int) -> None:
    assert (await office.nobody.post("/api/webhooks/resend", **resend(event))).status_code == 200
    assert await count(office, MailEvent, MailEvent.type == event["type"]) == 1
    assert await count(office, MailSuppression) == suppressed


@pytest.mark.parametrize(
    "at",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01",
        "9999-12-31T23:59:59",
        "",
        5,
        None,
    ],
)
async def test_an_event_at_the_edge_of_the_calendar_is_kept(office: Office, at: Any) -> None:
    event = mail_event("email.delivered") | {"created_at": at}
    assert (await office.nobody.post("/api/webhooks/resend", **resend(event))).status_code == 200
    assert await count(office, MailEvent) == 1


@pytest.mark.parametrize("odd", ["no\x00such", "half a pair \ud83d"], ids=["NUL", "half a pair"])
async def test_an_event_with_texts_that_no_database_keeps_still_counts(office: Office, odd: str) -> None:
    to = [f"{odd}@client.example", "B@client.example", "Sara <c@Client.example>"]
    bounce = {"type": "Permanent", "message": odd, odd: [odd]}
    event = mail_event("email.bounced", to=to, bounce=bounce, email_id=odd)
    assert (await office.nobody.post("/api/webhooks/resend", **resend(event))).status_code == 200
    async with office.api.web.installation.database.reading() as session:
        emails = {each.email for each in await session.scalars(select(MailSuppression))}
    assert {"b@client.example", "c@client.example"} < emails
    message_of_nobody = meta(message(odd))
    answer = await office.nobody.post("/api/webhooks/whatsapp", **message_of_nobody)
    assert answer.json() == {"success": True, "data": {"received": 0}}


async def test_an_event_about_more_recipients_than_a_mail_has_is_refused(office: Office) -> None:
    crowd = [f"{number}@client.example" for number in range(50_000)]
    answer = await office.nobody.post(
        "/api/webhooks/resend", **resend(mail_event("email.complained", to=crowd))
    )
    assert answer.status_code == 400
    assert await count(office, MailSuppression) == 0
    assert await count(office, MailEvent) == 0


@pytest.mark.parametrize(
    ("event", "signed", "status"),
    [
        (mail_event("email.sent"), {"secret": "whsec_" + base64.b64encode(b"z" * 24).decode()}, 403),
        (mail_event("email.sent"), {"age": 900}, 403),
        (mail_event("email.sent"), {"age": -900}, 403),
        ({}, None, 403),
        (b"not JSON", {}, 400),
        ([], {}, 400),
        ({"type": "email.sent"}, {}, 400),
        ({"type": 5, "data": {}}, {}, 400),
    ],
)
async def test_an_event_that_is_not_signed_or_no_event_is_refused(
    office: Office, event: Any, signed: dict[str, Any] | None, status: int
) -> None:
    # Signed here and not in the parameters, which are made long before: signatures grow old in minutes.
    request = {"content": b"{}", "headers": {}} if signed is None else resend(event, **signed)
    assert (await office.nobody.post("/api/webhooks/resend", **request)).status_code == status
    assert await count(office, MailEvent) == 0


def meta(payload: Any, secret: str = META_SECRET) -> dict[str, Any]:
    body = json.dumps(payload).encode()
    digest = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    return {"content": body, "headers": {"X-Hub-Signature-256": f"sha256={digest}"}}


def message(number: str, text: str = "مرحبا") -> dict[str, Any]:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": number},
        "messages": [
            {
                "from": "966500000001",
                "id": "wamid.A",
                "timestamp": "1772355600",
                "type": "text",
                "text": {"body": text},
            }
        ],
    }
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}],
    }


async def test_meta_is_told_that_this_is_the_webhook_it_was_told_of(office: Office) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": META_TOKEN, "hub.challenge": "1158201444"}
    answer = await office.nobody.get("/api/webhooks/whatsapp", params=asked)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    for wrong in ({"hub.verify_token": "other"}, {"hub.mode": "unsubscribe"}):
        assert (await office.nobody.get("/api/webhooks/whatsapp", params=asked | wrong)).status_code == 403


async def test_a_message_is_stored_once_and_a_job_reads_it(office: Office) -> None:
    number = office.records.number.phone_number_id
    before = await count(office, WhatsAppNotification)
    for new in (1, 0):
        answer = await office.nobody.post("/api/webhooks/whatsapp", **meta(message(number)))
        assert answer.json()["data"] == {"received": new}
    another = await office.nobody.post("/api/webhooks/whatsapp", **meta(message(number, "again")))
    assert another.json()["data"] == {"received": 1}
    assert await count(office, WhatsAppNotification) == before + 2
    [job] = await office.api.service.get_jobs("sync", "delayed")
    assert job["data"] == {
        "type": "whatsapp-messages",
        "data": {"firmId": office.firm_id, "phoneNumberId": number},
    }


@pytest.mark.parametrize(
    "payload",
    [{}, {"entry": 5}, {"entry": [None, {"changes": [{"value": {"metadata": 1}}]}]}, message("999")],
)
async def test_what_is_about_no_number_of_ours_is_taken_and_left(office: Office, payload: Any) -> None:
    before = await count(office, WhatsAppNotification)
    answer = await office.nobody.post("/api/webhooks/whatsapp", **meta(payload))
    assert answer.json()["data"] == {"received": 0}
    assert await count(office, WhatsAppNotification) == before


async def test_a_message_that_meta_did_not_sign_is_refused(office: Office) -> None:
    number = office.records.number.phone_number_id
    before = await count(office, WhatsAppNotification)
    forged = meta(message(number), secret="another")
    assert (await office.nobody.post("/api/webhooks/whatsapp", **forged)).status_code == 403
    bare = {"content": json.dumps(message(number))}
    assert (await office.nobody.post("/api/webhooks/whatsapp", **bare)).status_code == 403
    assert await count(office, WhatsAppNotification) == before


MAIL = TrackedMail(campaign_id="c", tracking_id="t-1")


@pytest_asyncio.fixture
async def mailed(office: Office) -> Office:
    async with office.api.web.installation.database.session() as session:
        session.add(CampaignSend(campaign_id="c", email="a@client.example", tracking_id="t-1"))
    return office


def path_of(url: str) -> str:
    return urlsplit(url).path


async def test_opening_a_mail_is_counted_by_its_picture(mailed: Office) -> None:
    path = path_of(mailed.api.web.tracker.open_url(MAIL))
    picture = await mailed.nobody.get(path)
    assert (picture.content, picture.headers["content-type"]) == (PIXEL, "image/gif")
    assert picture.headers["cache-control"] == "no-store"
    assert await count(mailed, TrackingEvent) == 1


async def test_a_link_leads_where_it_was_signed_for_and_nowhere_else(mailed: Office) -> None:
    tracker = mailed.api.web.tracker
    path = path_of(tracker.click_url(MAIL, "https://firm.example/news?a=1"))
    moved = await mailed.nobody.get(path)
    assert (moved.status_code, moved.headers["location"]) == (302, "https://firm.example/news?a=1")
    assert await count(mailed, TrackingEvent, TrackingEvent.url == "https://firm.example/news?a=1") == 1
    for forged in (f"{path}x", path.replace("/t/c/", "/t/o/"), "/t/c/aHR0cHM6Ly9ldmlsLmV4YW1wbGU.x"):
        assert (await mailed.nobody.get(forged)).status_code == 404
    assert await count(mailed, TrackingEvent) == 1


async def test_nobody_is_unsubscribed_by_a_program_that_looks_at_links(mailed: Office) -> None:
    path = path_of(mailed.api.web.tracker.unsubscribe_url(MAIL))
    page = await mailed.nobody.get(path)
    assert "<form" in page.text
    assert await count(mailed, MailSuppression) == 0
    for _ in range(2):
        assert (await mailed.nobody.post(path, data={"List-Unsubscribe": "One-Click"})).status_code == 200
    assert await count(mailed, MailSuppression, MailSuppression.email == "a@client.example") == 1


@pytest.mark.parametrize("action", ["open", "click", "unsubscribe"])
async def test_a_program_that_asks_for_the_head_only_is_not_counted(mailed: Office, action: str) -> None:
    tracker = mailed.api.web.tracker
    links = {
        "open": tracker.open_url(MAIL),
        "click": tracker.click_url(MAIL, "https://firm.example/"),
        "unsubscribe": tracker.unsubscribe_url(MAIL),
    }
    head = await mailed.nobody.head(path_of(links[action]))
    assert (head.status_code, head.content) == (302 if action == "click" else 200, b"")
    assert await count(mailed, TrackingEvent) == 0
    assert await count(mailed, MailSuppression) == 0
