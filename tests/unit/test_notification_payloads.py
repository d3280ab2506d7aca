"""The payloads of notifications: what is taken, and one clear error for each bad field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.notification_jobs import FIRM, KEYS, SUBSCRIPTION, USER, notification

from toril.db.session import Database
from toril.errors import PayloadError
from toril.queues.base import Payload, QueueDefinition
from toril.queues.notification import (
    BulkPush,
    Channels,
    InApp,
    LogProvider,
    Push,
    Sms,
    Webhook,
    notification_queue,
)

TYPES = ("push", "in-app", "sms", "webhook", "bulk-push")


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> QueueDefinition:
    folder: Path = tmp_path_factory.mktemp("payloads")
    return notification_queue(database=Database(home=folder), channels=Channels(sms=LogProvider(folder)))


def checked(queue: QueueDefinition, type: str, /, **fields: Any) -> Payload:
    return queue.check(notification(type, **fields))[1]


def test_each_type_is_known(queue: QueueDefinition) -> None:
    assert tuple(queue.types) == TYPES
    assert queue.job_options == {
        "attempts": 3,
        "backoff": {"type": "exponential", "delay": 2000},
        "removeOnComplete": {"age": 86400, "count": 1000},
        "removeOnFail": {"age": 172800},
    }
    with pytest.raises(PayloadError, match="unknown type 'fax'"):
        queue.check({"type": "fax", "data": {}})


def test_a_push_is_taken_as_node_writes_it(queue: QueueDefinition) -> None:
    payload = checked(
        queue,
        "push",
        icon="https://cdn.example.com/i.png",
        badge="/b.png",
        data={"url": "/cases/1"},
        ttl=60,
        urgency="high",
    )
    assert isinstance(payload, Push)
    assert payload.subscription is not None
    assert payload.subscription.keys.auth == KEYS["auth"]
    assert Push.model_validate_json(payload.model_dump_json(by_alias=True)) == payload
    assert payload.encode("t" * 32).decode() == (
        '{"title":"جلسة","body":"غدًا في العاشرة","icon":"https://cdn.example.com/i.png","badge":"/b.png",'
        f'"tag":"{"t" * 32}","data":{{"url":"/cases/1"}}}}'
    )


def test_what_is_absent_of_a_push_has_a_default(queue: QueueDefinition) -> None:
    payload = checked(queue, "push", subscription=SUBSCRIPTION | {"expirationTime": 1.7e12}, data=None)
    assert isinstance(payload, Push)
    assert (payload.icon, payload.badge, payload.ttl, payload.urgency) == (
        "/icon.png",
        "/badge.png",
        86400,
        "normal",
    )


def test_browsers_keys_may_have_padding(queue: QueueDefinition) -> None:
    padded = {name: text + "=" * (-len(text) % 4) for name, text in KEYS.items()}
    checked(queue, "push", subscription=SUBSCRIPTION | {"keys": padded})


def test_an_in_app_notification_is_taken_as_node_writes_it(queue: QueueDefinition) -> None:
    payload = checked(
        queue, "in-app", type="case.updated", link="/cases/1?tab=2", metadata={"caseId": "1"}, firmId=FIRM.upper(),
        title=" سطر\nآخر ", message="a\r\nb\x00c",
    )  # fmt: skip
    assert isinstance(payload, InApp)
    assert (payload.firm_id, payload.title, payload.message) == (FIRM, "سطر آخر", "a\nbc")
    assert checked(queue, "in-app", link=None, metadata=None, firmId=None) == checked(queue, "in-app")


def test_a_phone_number_becomes_e164(queue: QueueDefinition) -> None:
    payload = checked(queue, "sms", phoneNumber="٠٥١٢ ٣٤٥ ٦٧٨", senderId="LAWFIRM-AD")
    assert isinstance(payload, Sms)
    assert payload.phone_number == "+966512345678"


def test_a_webhooks_payload_stays_as_it_is(queue: QueueDefinition) -> None:
    given = {"text": "  spaces  ", "n": 1.50, "list": [None, True], "مفتاح": "قيمة"}
    payload = checked(queue, "webhook", payload=given, headers={"Authorization": "Bearer k", "X-One": ""})
    assert isinstance(payload, Webhook)
    assert payload.payload == given
    assert checked(queue, "webhook", payload=[1, 2], headers=None).payload == [1, 2]  # type: ignore[attr-defined]


def test_a_user_of_a_bulk_push_may_have_no_subscription(queue: QueueDefinition) -> None:
    payload = checked(queue, "bulk-push", users=[{"userId": "1"}, {"userId": "2", "subscription": None}])
    assert isinstance(payload, BulkPush)
    assert [user.subscription for user in payload.users] == [None, None]


REQUIRED = {
    "push": ("userId", "title", "body"),
    "in-app": ("userId", "title", "message"),
    "sms": ("phoneNumber", "message"),
    "webhook": ("webhookUrl", "payload"),
    "bulk-push": ("users", "title", "body"),
}


@pytest.mark.parametrize(
    ("type", "name"), [(type, name) for type, names in REQUIRED.items() for name in names]
)
@pytest.mark.parametrize("value", [..., None, 5, ""], ids=["missing", "null", "number", "empty"])
def test_a_required_field_that_is_no_value_is_named(
    queue: QueueDefinition, type: str, name: str, value: Any
) -> None:
    with pytest.raises(PayloadError, match=f"notification job of type '{type}' is not acceptable") as caught:
        checked(queue, type, **{name: value})
    assert caught.value.field is not None
    assert caught.value.field.partition(".")[0] == name


@pytest.mark.parametrize("type", TYPES)
def test_an_unknown_field_is_named(queue: QueueDefinition, type: str) -> None:
    with pytest.raises(PayloadError, match=r"user_name: .*not permitted"):
        checked(queue, type, user_name="x")


def _keys(**changes: Any) -> dict[str, Any]:
    return {"subscription": SUBSCRIPTION | {"keys": KEYS | changes}}


@pytest.mark.parametrize(
    ("type", "fields", "path", "reason"),
    [
        pytest.param("push", {"userId": "a b"}, "userId", "a space", id="user id with a space"),
        pytest.param("push", {"userId": "u" * 65}, "userId", "at most 64", id="long user id"),
        pytest.param("push", {"title": "t" * 201}, "title", "at most 200", id="long title"),
        pytest.param("push", {"title": "\x00\x01"}, "title", "nothing in it", id="nothing to show"),
        pytest.param("push", {"icon": "javascript:alert(1)"}, "icon", "should be a link", id="script as icon"),
        pytest.param("push", {"badge": "//evil.example/b.png"}, "badge", "should be a link", id="relative badge"),
        pytest.param("push", {"data": [1]}, "data", "should be an object", id="data is a list"),
        pytest.param("push", {"data": {"x": "ع" * 2000}}, "data", "push services take 3,993", id="much data"),
        pytest.param("push", {"body": "ع" * 2000}, "body", "push services take 3,993", id="long body"),
        pytest.param("push", {"ttl": -1}, "ttl", "greater than or equal", id="negative ttl"),
        pytest.param("push", {"ttl": 28 * 86400 + 1}, "ttl", "less than or equal", id="long ttl"),
        pytest.param("push", {"urgency": "urgent"}, "urgency", "'very-low', 'low'", id="unknown urgency"),
        pytest.param(
            "push", {"subscription": {"keys": KEYS}}, "subscription.endpoint", "required", id="no endpoint"
        ),
        pytest.param(
            "push", {"subscription": SUBSCRIPTION | {"endpoint": "ftp://a.example/"}}, "subscription.endpoint",
            "must begin with", id="endpoint by ftp",
        ),
        pytest.param("push", {"subscription": "{}"}, "subscription", "dictionary", id="subscription as text"),
        pytest.param("push", _keys(p256dh="AAAA"), "subscription.keys.p256dh", "65 bytes", id="short key"),
        pytest.param("push", _keys(p256dh="%" * 87), "subscription.keys.p256dh", "not base64url", id="no base64"),
        pytest.param("push", _keys(auth="AAAA"), "subscription.keys.auth", "16 bytes", id="short secret"),
        pytest.param("in-app", {"firmId": "firm-1"}, "firmId", "24 hex digits", id="firm id"),
        pytest.param("in-app", {"firmId": 5}, "firmId", "valid string", id="firm id as a number"),
        pytest.param("in-app", {"message": "m" * 5001}, "message", "at most 5000", id="long message"),
        pytest.param("in-app", {"type": "a b"}, "type", "pattern", id="type"),
        pytest.param("in-app", {"link": "javascript:alert(1)"}, "link", "should be a link", id="script as link"),
        pytest.param("in-app", {"link": "java\tscript:alert(1)"}, "link", "should be a link", id="hidden script"),
        pytest.param("in-app", {"link": "/\\evil.example"}, "link", "should be a link", id="backslash link"),
        pytest.param("in-app", {"metadata": {"x": "y" * 17000}}, "metadata", "16,384 are allowed", id="much metadata"),
        pytest.param("sms", {"phoneNumber": "0112345678"}, "phoneNumber", "Saudi mobile", id="landline"),
        pytest.param("sms", {"phoneNumber": "call me"}, "phoneNumber", "has digits", id="no number"),
        pytest.param("sms", {"message": "a" * 1601}, "message", "at most 1600", id="long SMS"),
        pytest.param("sms", {"senderId": "A SENDER TOO LONG"}, "senderId", "1 to 11 letters", id="long sender"),
        pytest.param("sms", {"senderId": "مكتب"}, "senderId", "1 to 11 letters", id="Arabic sender"),
        pytest.param("sms", {"senderId": "12"}, "senderId", "1 to 11 letters", id="short number as sender"),
        pytest.param("webhook", {"webhookUrl": "hooks"}, "webhookUrl", "must begin with", id="no URL"),
        pytest.param("webhook", {"webhookUrl": "https://u:p@a.example/"}, "webhookUrl", "password", id="password"),
        pytest.param("webhook", {"payload": "{}"}, "payload", "an object or a list", id="payload as text"),
        pytest.param("webhook", {"payload": {"x": "y" * 262144}}, "payload", "262,144 are allowed", id="large payload"),
        pytest.param("webhook", {"headers": {"Host": "x"}}, "headers", "Host is not for jobs", id="host"),
        pytest.param("webhook", {"headers": {"Webhook-Id": "x"}}, "headers", "not for jobs", id="signature"),
        pytest.param("webhook", {"headers": {"Transfer-Encoding": "x"}}, "headers", "not for jobs", id="encoding"),
        pytest.param("webhook", {"headers": {"Proxy-Authorization": "x"}}, "headers", "not for jobs", id="proxy"),
        pytest.param("webhook", {"headers": {"X-A": "1\r\nX-B: 2"}}, "headers", "one line", id="two headers in one"),
        pytest.param("webhook", {"headers": {"X A": "1"}}, "headers", "not a header's name", id="header's name"),
        pytest.param("webhook", {"headers": {"X-A": "1", "x-a": "2"}}, "headers", "given twice", id="header twice"),
        pytest.param("webhook", {"headers": {"X-A": 1}}, "headers.X-A", "valid string", id="header is a number"),
        pytest.param(
            "webhook", {"headers": {f"X-{n}": "" for n in range(21)}}, "headers", "at most 20", id="21 headers"
        ),
        pytest.param("bulk-push", {"users": []}, "users", "at least 1", id="nobody"),
        pytest.param("bulk-push", {"users": [{"userId": "1"}] * 10_001}, "users", "at most 10000", id="too many"),
        pytest.param("bulk-push", {"users": [{"userId": "1"}, {}]}, "users.1.userId", "required", id="second user"),
        pytest.param("bulk-push", {"title": "t" * 201}, "title", "at most 200", id="long bulk title"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named_with_its_reason(
    queue: QueueDefinition, type: str, fields: dict[str, Any], path: str, reason: str
) -> None:
    with pytest.raises(PayloadError, match=reason) as caught:
        checked(queue, type, **fields)
    assert caught.value.field == path


def test_the_largest_push_is_exactly_what_services_take(queue: QueueDefinition) -> None:
    empty = checked(queue, "push", body="x")
    assert isinstance(empty, Push)
    room = 3993 - len(empty.encode("x" * 32)) + 1
    checked(queue, "push", body="x" * room)
    with pytest.raises(PayloadError, match="3,994 bytes"):
        checked(queue, "push", body="x" * (room + 1))


def test_ids_are_any_text_without_spaces(queue: QueueDefinition) -> None:
    for user_id in (USER, "42", "سارة", "auth0|5f7c8ec7c33c6c004bbafe82"):
        checked(queue, "in-app", userId=user_id)
