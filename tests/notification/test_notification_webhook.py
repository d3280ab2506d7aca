"""Webhooks against a receiver over TLS that verifies signatures with the reference package."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from tests.support.notification_jobs import PlainJob, notification
from tests.support.notification_tls import Names, server_tls, under_name

from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, TorilError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.guarded_client import GuardedClient
from toril.queues.notification import Channels, new_secret, notification_queue
from toril.queues.notification import Webhook as PayloadOfWebhook
from toril.queues.notification.webhook import WebhookCaller
from toril.queues.ssrf import BlockedAddressError, Guard
from toril.testing.vendors.server import Reply, VendorRequest, VendorServer, vendor_server

NAME, OTHER = "hooks.example.test", "other.example.test"


class Receiver:
    """Takes events once, by their id, and only those that are signed."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.events: dict[str, Any] = {}

    def answer(self, request: VendorRequest) -> Reply:
        if request.headers.get("content-type") != "application/json":
            return Reply(415, b"JSON please")
        try:
            event = Webhook(self.secret).verify(request.body, request.headers)
        except WebhookVerificationError as error:
            return Reply(401, str(error).encode())
        self.events[request.headers["webhook-id"]] = event
        return Reply(202, {"received": True})


@pytest.fixture
def receiver() -> Receiver:
    return Receiver(new_secret())


@pytest.fixture
async def server(receiver: Receiver, channels: Channels) -> AsyncIterator[VendorServer]:
    async with vendor_server(receiver.answer, tls=server_tls(NAME, OTHER)) as running:
        assert channels.webhook_signer is not None
        receiver.secret = channels.webhook_signer.secret(under_name(running.url, NAME))
        yield running


def call(server: VendorServer, **fields: Any) -> PlainJob:
    url = under_name(server.url, NAME) + "/in?k=secret-in-the-query"
    return PlainJob(notification("webhook", **({"webhookUrl": url} | fields)))


async def test_a_receiver_takes_the_call_and_the_result_is_the_contract(
    queue: QueueDefinition, server: VendorServer, receiver: Receiver
) -> None:
    payload = {"type": "invoice.paid", "data": {"رقم": "٢٠٤", "total": 115.5}}
    job = call(server, payload=payload, headers={"Authorization": "Bearer k", "X-Firm": "1"})
    assert await queue.process(job) == {
        "success": True,
        "webhookUrl": job.data["data"]["webhookUrl"],
        "statusCode": 202,
        "response": {"received": True},
    }
    assert receiver.events == {f"msg_17_{job.timestamp}": payload}
    [request] = server.requests
    assert (request.path, request.query) == ("/in", {"k": "secret-in-the-query"})
    assert (request.headers["authorization"], request.headers["x-firm"]) == ("Bearer k", "1")
    assert job.progress == [10, 100]


async def test_every_attempt_is_the_same_event_with_a_signature_of_its_own(
    queue: QueueDefinition, server: VendorServer, receiver: Receiver
) -> None:
    server.script = ["drop"]
    job = call(server)
    with pytest.raises(RetryableError):
        await queue.process(job)
    await queue.process(job)
    assert len(receiver.events) == 1
    first, second = server.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    await queue.process(PlainJob(job.data, timestamp=job.timestamp + 1))
    assert len(receiver.events) == 2


@pytest.mark.parametrize("id", ["a.b", "مهمة", "x" * 200, "a:b"])
async def test_a_strange_job_id_makes_a_plain_event_id(
    queue: QueueDefinition, server: VendorServer, receiver: Receiver, id: str
) -> None:
    await queue.process(PlainJob(call(server).data, id=id))
    [event_id] = receiver.events
    assert event_id.startswith("msg_")
    assert len(event_id) == 36
    assert event_id.isascii()


async def test_a_receiver_with_another_secret_refuses(
    queue: QueueDefinition, server: VendorServer, receiver: Receiver
) -> None:
    receiver.secret = new_secret()
    with pytest.raises(UnrecoverableError, match=r"HTTP 401 \(No matching signature found\)"):
        await queue.process(call(server))


async def test_the_content_type_is_the_jobs_if_it_says_one(
    queue: QueueDefinition, server: VendorServer
) -> None:
    job = call(server, headers={"content-TYPE": "application/cloudevents+json"})
    with pytest.raises(UnrecoverableError, match="HTTP 415"):
        await queue.process(job)
    assert server.requests[0].headers["content-type"] == "application/cloudevents+json"


@pytest.mark.parametrize(
    ("reply", "response"),
    [
        pytest.param(Reply(200, b""), "", id="empty"),
        pytest.param(Reply(200, b"ok"), "ok", id="text"),
        pytest.param(Reply(200, [1, {"a": None}]), [1, {"a": None}], id="JSON"),
        pytest.param(Reply(200, b"<html>"), "<html>", id="HTML"),
        pytest.param(Reply(200, "ع".encode() * 3000), "ع" * 2048, id="long, cut between letters"),
        pytest.param(Reply(200, b"\xff\xfeok"), "ok", id="no text"),
        pytest.param(Reply(200, b"[" * 900 + b"]" * 900), "[" * 900 + "]" * 900, id="nested deep"),
    ],
)
async def test_of_an_answer_the_beginning_is_kept(
    queue: QueueDefinition, server: VendorServer, reply: Reply, response: Any
) -> None:
    server.script = [reply]
    result = await queue.process(call(server))
    assert result["response"] == response
    json.dumps(result)


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        pytest.param(Reply(400, b"no such event"), UnrecoverableError, "no such event", id="400"),
        pytest.param(Reply(403), UnrecoverableError, "refuses the call", id="403"),
        pytest.param(Reply(404), UnrecoverableError, "refuses the call", id="404"),
        pytest.param(Reply(410), UnrecoverableError, "gone for good", id="410"),
        pytest.param(Reply(302, b"", {"location": "/x"}), UnrecoverableError, "a redirect", id="302"),
        pytest.param(Reply(408), RetryableError, "trying again", id="408"),
        pytest.param(Reply(425), RetryableError, "trying again", id="425"),
        pytest.param(Reply(429), RetryableError, "trying again", id="429"),
        pytest.param(Reply(500), RetryableError, "trying again", id="500"),
        pytest.param(Reply(504), RetryableError, "trying again", id="504"),
        pytest.param("refuse", RetryableError, "no whole answer", id="cut off"),
        pytest.param("cut", RetryableError, "no whole answer", id="half an answer"),
    ],
)
async def test_an_answer_decides_whether_to_try_again(
    queue: QueueDefinition, server: VendorServer, reply: Reply | str, kind: type[TorilError], says: str
) -> None:
    server.script = [reply]
    with pytest.raises(kind, match=says) as caught:
        await queue.process(call(server))
    assert type(caught.value) is kind
    assert NAME in str(caught.value)
    assert "secret-in-the-query" not in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("given", "least", "most"), [("90", 90, 113), ("900000", 86400, 108000)])
async def test_retry_after_is_kept_up_to_a_day(
    queue: QueueDefinition, server: VendorServer, given: str, least: float, most: float
) -> None:
    server.script = [Reply(503, b"", {"retry-after": given})]
    with pytest.raises(RetryableError) as caught:
        await queue.process(call(server))
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= most


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/moved", "https://169.254.169.254/latest/meta-data"])
async def test_a_redirect_gets_neither_the_body_nor_the_signature(
    queue: QueueDefinition, server: VendorServer, status: int, location: str
) -> None:
    server.script = [Reply(status, b"", {"location": location})]
    with pytest.raises(UnrecoverableError, match="a redirect, and those are not followed") as caught:
        await queue.process(call(server, headers={"Authorization": "Bearer k"}))
    assert len(server.requests) == 1
    assert location not in str(caught.value)


async def test_another_receiver_on_the_same_machine_has_a_secret_of_its_own(
    queue: QueueDefinition, channels: Channels, server: VendorServer, receiver: Receiver
) -> None:
    with pytest.raises(UnrecoverableError, match="HTTP 401"):
        await queue.process(call(server, webhookUrl=under_name(server.url, OTHER)))
    assert channels.webhook_signer is not None
    receiver.secret = channels.webhook_signer.secret(under_name(server.url, OTHER))
    await queue.process(call(server, webhookUrl=under_name(server.url, OTHER)))
    assert len(receiver.events) == 1


async def test_a_name_that_leads_inside_is_refused_and_not_tried_again(
    queue: QueueDefinition, server: VendorServer, names: Names
) -> None:
    names.answers[NAME] = [["10.0.0.7"]]
    with pytest.raises(BlockedAddressError, match="its address is not a public one"):
        await queue.process(call(server))
    assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.com/", "https://127.0.0.1/", "https://redis/", "https://hooks.example.com:6379/"],
)
async def test_by_default_only_public_addresses_over_https_are_called(
    channels: Channels, database: Database, url: str
) -> None:
    queue = notification_queue(database=database, channels=replace(channels, guard=Guard()))
    with pytest.raises(BlockedAddressError, match=r"^webhookUrl: "):
        await queue.process(PlainJob(notification("webhook", webhookUrl=url)))
    await queue.close()


async def test_without_a_secret_a_webhook_fails_and_says_what_to_set(
    channels: Channels, database: Database, server: VendorServer
) -> None:
    queue = notification_queue(database=database, channels=replace(channels, webhook_signer=None))
    with pytest.raises(NotConfiguredError, match="set WEBHOOK_SECRET"):
        await queue.process(call(server))
    await queue.close()
    assert not server.requests


@pytest.mark.parametrize("step", ["hang", "drip"])
async def test_a_receiver_has_ten_seconds_for_all_of_it(
    channels: Channels, server: VendorServer, step: str
) -> None:
    client = GuardedClient(channels.guard, tls=channels.tls)
    caller = WebhookCaller(client=client, signer=channels.webhook_signer)
    assert caller.within == 10.0
    server.script = [step]
    job = call(server)
    with pytest.raises(RetryableError, match=r"did not answer within 0\.2 s"):
        await replace(caller, within=0.2)(PayloadOfWebhook.model_validate(job.data["data"]), job)
    await client.close()
