"""SMS by each provider, against servers that answer as their documentation says; and that none goes out twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support import notification_sms as fakes
from tests.support.notification_jobs import PlainJob, notification

from toril.db.session import Database
from toril.errors import (
    NotConfiguredError,
    RetryableError,
    TorilError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.base import QueueDefinition
from toril.queues.notification import Channels, SmsProvider, notification_queue
from toril.queues.notification.providers.base import NoRouteError, OptedOutError
from toril.queues.notification.providers.taqnyat import TaqnyatProvider
from toril.queues.notification.providers.twilio import TwilioProvider
from toril.queues.notification.providers.unifonic import UnifonicProvider
from toril.testing.vendors.server import HTML, Reply, VendorServer, vendor_server

MAKE: dict[str, tuple[type[fakes.SmsServer], Callable[..., SmsProvider]]] = {
    "unifonic": (fakes.Unifonic, lambda url, **more: UnifonicProvider(fakes.APP_SID, base_url=url, **more)),
    "taqnyat": (fakes.Taqnyat, lambda url, **more: TaqnyatProvider(fakes.TOKEN, base_url=url, **more)),
    "twilio": (
        fakes.Twilio,
        lambda url, **more: TwilioProvider(fakes.ACCOUNT_SID, fakes.AUTH_TOKEN, base_url=url, **more),
    ),
}
IDS = {"unifonic": "43000999000111", "taqnyat": "7001122", "twilio": "SM" + "f" * 32}
SECRETS = (fakes.APP_SID, fakes.TOKEN, fakes.AUTH_TOKEN)


@dataclass
class Setup:
    """A provider with its server."""

    name: str
    fake: fakes.SmsServer
    server: VendorServer
    queue: QueueDefinition

    async def process(self, job: PlainJob) -> dict[str, Any]:
        return await self.queue.process(job)


@pytest.fixture
async def start(channels: Channels, database: Database) -> AsyncIterator[Callable[..., Any]]:
    """Starts a provider's server, and a queue that uses it."""
    open_things: list[Any] = []

    async def begin(name: str, **options: Any) -> Setup:
        fake_class, make = MAKE[name]
        fake = fake_class()
        running = vendor_server(fake.answer)
        server = await running.__aenter__()
        provider = make(server.url, **({"sender": fakes.SENDER} | options))
        queue = notification_queue(database=database, channels=replace(channels, sms=provider))
        open_things.append((running, queue))
        return Setup(name, fake, server, queue)

    yield begin
    for running, queue in open_things:
        await queue.close()
        await running.__aexit__(None, None, None)


def sms(**fields: Any) -> PlainJob:
    return PlainJob(notification("sms", **fields))


@pytest.mark.parametrize("name", MAKE)
async def test_a_message_goes_out_and_the_result_is_the_contract(start: Any, name: str) -> None:
    setup = await start(name)
    job = sms(phoneNumber="05 1234 5678", message="رمز الدخول 1234")
    assert await setup.process(job) == {
        "success": True,
        "phoneNumber": "+966512345678",
        "messageId": IDS[name],
        "provider": name,
        "status": "queued",
        "segments": 1,
    }
    number = "+966512345678" if name == "twilio" else "966512345678"
    assert setup.fake.sent == [(number, "رمز الدخول 1234", fakes.SENDER)]
    assert job.progress == [10, 30, 100]


@pytest.mark.parametrize("name", MAKE)
async def test_the_jobs_own_sender_wins(start: Any, name: str) -> None:
    setup = await start(name)
    await setup.process(sms(senderId="OTHER"))
    assert setup.fake.sent[0][2] == "OTHER"


async def test_unifonic_has_a_sender_of_its_own_and_the_others_want_one(start: Any) -> None:
    unifonic = await start("unifonic", sender=None)
    await unifonic.process(sms())
    assert unifonic.fake.sent[0][2] is None
    for name in ("taqnyat", "twilio"):
        with pytest.raises(NotConfiguredError, match="set SMS_SENDER"):
            await (await start(name, sender=None)).process(PlainJob(notification("sms"), id=name))


async def test_twilios_messaging_services_are_senders(start: Any) -> None:
    service = "MG" + "0" * 32
    setup = await start("twilio", sender=service)
    await setup.process(sms())
    assert setup.fake.sent[0][2] == service
    assert b"MessagingServiceSid=" in setup.server.requests[0].body


@pytest.mark.parametrize("name", MAKE)
async def test_a_job_that_runs_again_sends_nothing_and_knows_the_id(start: Any, name: str) -> None:
    setup = await start(name)
    job = sms()
    first, second = await setup.process(job), await setup.process(job)
    assert first == second
    assert len(setup.server.requests) == 1
    await setup.process(PlainJob(job.data, timestamp=job.timestamp + 1))
    assert len(setup.fake.sent) == 2


REFUSALS: dict[str, list[tuple[Reply, type[TorilError]]]] = {
    "unifonic": [
        (fakes.Unifonic.refusal("ER-01"), NotConfiguredError),
        (fakes.Unifonic.refusal("ER-04", "Dest num is too short"), UnrecoverableError),
        (fakes.Unifonic.refusal("ER-05"), NoRouteError),
        (fakes.Unifonic.refusal("ER-07"), UnrecoverableError),
        (fakes.Unifonic.refusal("ER-08"), NotConfiguredError),
        (fakes.Unifonic.refusal("ER-09"), UnrecoverableError),
        (fakes.Unifonic.refusal("ER-77"), UnrecoverableError),
        (
            Reply(200, {"success": "true", "errorCode": "ER-00", "data": {"Status": "Rejected"}}),
            UnrecoverableError,
        ),
        (Reply(200, {"success": True, "errorCode": "ER-00", "data": {}}), UnknownOutcomeError),
        (Reply(200, {"success": True, "errorCode": "ER-00", "data": []}), UnknownOutcomeError),
    ],
    "taqnyat": [
        (Reply(200, {"statusCode": 401, "message": "token"}), NotConfiguredError),
        (Reply(402, {"statusCode": 402, "message": "balance"}), NotConfiguredError),
        (Reply(400, {"statusCode": 400, "message": "sender"}), UnrecoverableError),
        (
            Reply(201, {"statusCode": 201, "messageId": 1, "accepted": "[]", "rejected": "[966512345678,]"}),
            UnrecoverableError,
        ),
        (Reply(201, {"statusCode": 201}), UnknownOutcomeError),
        (Reply(200, {"statusCode": 429, "message": "slow down"}), RetryableError),
    ],
    "twilio": [
        (fakes.Twilio.error(400, 21211), UnrecoverableError),
        (fakes.Twilio.error(400, 21610), OptedOutError),
        (fakes.Twilio.error(400, 21408), NotConfiguredError),
        (fakes.Twilio.error(400, 21606), NotConfiguredError),
        (fakes.Twilio.error(400, 20429), RetryableError),
        (fakes.Twilio.error(403, 20003), NotConfiguredError),
        (Reply(201, {"status": "failed", "sid": "SM1"}), UnrecoverableError),
        (Reply(201, {"status": "queued"}), UnknownOutcomeError),
        (Reply(307, b"", {"location": "/x"}), NotConfiguredError),
    ],
}
#: The same for all of them: none has a key by which it would know a message again.
COMMON: list[tuple[Reply | str, type[TorilError]]] = [
    (Reply(401, {"message": "no"}), NotConfiguredError),
    (Reply(429, {"message": "slow"}, {"retry-after": "7"}), RetryableError),
    (Reply(503, b""), RetryableError),
    (Reply(500, b""), UnknownOutcomeError),
    (HTML, UnknownOutcomeError),
    (Reply(200, b"[]"), UnknownOutcomeError),
    ("drop", UnknownOutcomeError),
    ("refuse", UnknownOutcomeError),
    ("cut", UnknownOutcomeError),
]


@pytest.mark.parametrize(
    ("name", "step", "kind"),
    [
        pytest.param(name, step, kind, id=f"{name} {number} {kind.code}")
        for name in MAKE
        for number, (step, kind) in enumerate([*REFUSALS[name], *COMMON])
    ],
)
async def test_an_answer_decides_whether_to_try_again(
    start: Any, caplog: pytest.LogCaptureFixture, name: str, step: Reply | str, kind: type[TorilError]
) -> None:
    setup = await start(name)
    setup.server.script = [step]
    with pytest.raises(kind) as caught:
        await setup.process(sms())
    assert type(caught.value) is kind or isinstance(caught.value, RetryableError)
    assert len(setup.server.requests) == 1
    shown = str(caught.value) + caplog.text
    assert not any(secret in shown for secret in SECRETS)
    assert "512345678" not in shown
    assert "رمز" not in shown


@pytest.mark.parametrize("name", MAKE)
async def test_retry_after_is_kept(start: Any, name: str) -> None:
    setup = await start(name)
    setup.server.script = [Reply(429, {}, {"retry-after": "60"})]
    with pytest.raises(RetryableError) as caught:
        await setup.process(sms())
    assert caught.value.retry_after is not None
    assert 60 <= caught.value.retry_after <= 75


async def test_a_refusal_that_passes_is_followed_by_a_message(start: Any) -> None:
    setup = await start("unifonic")
    setup.server.script = [Reply(429, {}), Reply(503, {})]
    job = sms()
    for _ in range(2):
        with pytest.raises(RetryableError):
            await setup.process(job)
    assert (await setup.process(job))["messageId"] == IDS["unifonic"]
    assert len(setup.fake.sent) == 1


async def test_a_job_that_was_cut_off_while_sending_does_not_send_again(start: Any) -> None:
    setup = await start("unifonic")
    setup.server.script = ["hang"]
    job = sms()
    task = asyncio.create_task(setup.process(job))
    await setup.server.arrived.wait()
    task.cancel()  # as when its worker is stopped: the message has gone out, and nobody has noted that
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(UnknownOutcomeError, match=r"to …5678.*look it up at unifonic, and retry"):
        await setup.process(job)
    assert len(setup.server.requests) == 1
    # Whoever has looked, and retries the job, means it.
    await setup.process(job)
    assert len(setup.server.requests) == 2


async def test_two_workers_with_the_same_job_send_once(start: Any) -> None:
    setup = await start("twilio")
    outcomes = await asyncio.gather(*(setup.process(sms()) for _ in range(2)), return_exceptions=True)
    assert len(setup.fake.sent) == 1
    # The other one comes while the first is at it, or when it is done; then it tells what the first has got.
    kinds = [type(outcome) for outcome in outcomes]
    assert dict in kinds
    assert set(kinds) <= {dict, UnknownOutcomeError}
    ids = {outcome["messageId"] for outcome in outcomes if isinstance(outcome, dict)}
    assert len(ids) == 1


async def test_a_text_of_too_many_segments_is_refused(
    channels: Channels, database: Database, start: Any
) -> None:
    queue = notification_queue(database=database, channels=replace(channels, max_segments=2))
    with pytest.raises(UnrecoverableError, match="3 segments in UCS-2; the limit is 2"):
        await queue.process(sms(message="ع" * 135))
    assert (await queue.process(sms(message="ع" * 134)))["segments"] == 2
    await queue.close()


async def test_without_a_provider_messages_are_files(queue: QueueDefinition, tmp_path: Path) -> None:
    job = sms(senderId="LAWFIRM")
    result = await queue.process(job)
    await queue.process(job)
    [path] = (tmp_path / "sms").iterdir()
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored.pop("at")
    assert stored == {
        "id": result["messageId"],
        "to": "+966512345678",
        "from": "LAWFIRM",
        "message": "رمز الدخول 1234",
        "alphabet": "UCS-2",
        "segments": 1,
    }
    assert path.stem == result["messageId"]
    assert (result["provider"], result["status"]) == ("log", "stored")
