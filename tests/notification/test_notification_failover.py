"""A second SMS provider: it gets what the first certainly did not send, and nobody gets a message twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.support import notification_sms as fakes
from tests.support.notification_jobs import PlainJob, notification
from tests.support.servers import free_port

from toril.db.repositories.sms import SmsOptOuts
from toril.db.session import Database
from toril.errors import (
    ConfigurationError,
    RetryableError,
    TorilError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.notification import Channels, SmsProvider, notification_queue
from toril.queues.notification.definition import choose_sms_provider
from toril.queues.notification.providers.failover import FailoverProvider
from toril.queues.notification.providers.twilio import TwilioProvider
from toril.queues.notification.providers.unifonic import UnifonicProvider
from toril.testing.vendors.server import Reply, VendorServer, vendor_server


class Both:
    """Unifonic first and Twilio second, each a server of this machine."""

    def __init__(self, database: Database, channels: Channels) -> None:
        self.database, self.channels = database, channels
        self.unifonic, self.twilio = fakes.Unifonic(), fakes.Twilio()
        self.first: VendorServer
        self.second: VendorServer

    async def run(self, *, url: str | None = None, job: PlainJob | None = None) -> dict[str, Any]:
        provider: SmsProvider = FailoverProvider(
            UnifonicProvider(fakes.APP_SID, base_url=url or self.first.url),
            TwilioProvider(
                fakes.ACCOUNT_SID,
                fakes.AUTH_TOKEN,
                sender=fakes.SENDER,
                base_url=self.second.url,
                status_callback="https://office.example/api/webhooks/sms/twilio",
            ),
        )
        queue = notification_queue(database=self.database, channels=replace(self.channels, sms=provider))
        try:
            return await queue.process(job or PlainJob(notification("sms")))
        finally:
            await queue.close()


@pytest.fixture
async def both(database: Database, channels: Channels) -> AsyncIterator[Both]:
    made = Both(database, channels)
    async with vendor_server(made.unifonic.answer) as first, vendor_server(made.twilio.answer) as second:
        made.first, made.second = first, second
        yield made


async def test_the_first_sends_while_it_can(both: Both) -> None:
    result = await both.run()
    assert (result["success"], result["provider"]) == (True, "unifonic")
    assert (len(both.unifonic.sent), both.twilio.sent) == (1, [])


@pytest.mark.parametrize(
    "refusal",
    [
        fakes.Unifonic.refusal("ER-01"),
        fakes.Unifonic.refusal("ER-05"),
        Reply(401, {"success": False, "errorCode": "401"}),
        Reply(429, {}),
        Reply(503, {}),
    ],
    ids=["credit", "route", "access", "too many", "maintenance"],
)
async def test_what_the_first_definitely_refuses_goes_by_the_second(both: Both, refusal: Reply) -> None:
    both.unifonic.say = refusal
    job = PlainJob(notification("sms"))
    result = await both.run(job=job)
    assert (result["success"], result["provider"]) == (True, "twilio")
    assert [sent[0] for sent in both.twilio.sent] == ["+966512345678"]
    assert b"StatusCallback=https%3A%2F%2Foffice.example" in both.second.requests[0].body
    # The worker was killed before the job was completed.
    both.unifonic.say = None
    again = await both.run(job=job)
    assert (again["messageId"], again["provider"]) == (result["messageId"], "twilio")
    assert (both.unifonic.sent, len(both.twilio.sent)) == ([], 1)


async def test_a_provider_that_is_not_there_is_passed_over(both: Both) -> None:
    result = await both.run(url=f"http://127.0.0.1:{free_port()}")
    assert (result["success"], result["provider"]) == (True, "twilio")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Reply(500, {}), UnknownOutcomeError),
        (Reply(200, {"success": True, "errorCode": "ER-00", "data": {}}), UnknownOutcomeError),
        (fakes.Unifonic.refusal("ER-02"), UnrecoverableError),
        (fakes.Unifonic.refusal("ER-09"), UnrecoverableError),
    ],
    ids=["lost", "without id", "no number", "repeated"],
)
async def test_what_may_have_been_sent_or_is_wrong_in_itself_goes_nowhere_else(
    both: Both, answer: Reply, error: type[TorilError]
) -> None:
    both.unifonic.say = answer
    with pytest.raises(error):
        await both.run()
    assert both.twilio.sent == []


async def test_when_none_takes_it_the_job_is_tried_again_if_that_may_help(both: Both) -> None:
    both.unifonic.say = fakes.Unifonic.refusal("ER-01")
    both.twilio.say = fakes.Twilio.error(429, 20429)
    with pytest.raises(RetryableError):
        await both.run()
    both.twilio.say = fakes.Twilio.error(401, 20003)
    with pytest.raises(ConfigurationError):
        await both.run()
    both.twilio.say = None
    assert (await both.run())["success"]


async def test_who_opted_out_at_the_provider_is_not_written_to_again(both: Both) -> None:
    both.unifonic.say = fakes.Unifonic.refusal("ER-05")
    both.twilio.say = fakes.Twilio.error(400, 21610)
    with pytest.raises(UnrecoverableError, match="opted out"):
        await both.run()
    async with both.database.reading() as session:
        assert await SmsOptOuts(session).has("+966512345678")
    asked = len(both.first.requests) + len(both.second.requests)
    result = await both.run(job=PlainJob(notification("sms"), id="18"))
    assert (result["success"], result["status"], result["messageId"]) == (False, "opted-out", None)
    assert len(both.first.requests) + len(both.second.requests) == asked


def test_a_fallback_must_be_another_one() -> None:
    given = {"outbox": "unused", "unifonic_app_sid": "a", "taqnyat_token": "b"}
    made = choose_sms_provider("unifonic", fallback="taqnyat", **given)
    assert isinstance(made, FailoverProvider)
    assert [each.name for each in made.providers] == ["unifonic", "taqnyat"]
    for provider, fallback in (("unifonic", "unifonic"), (None, "taqnyat"), ("log", "taqnyat")):
        with pytest.raises(ConfigurationError, match="SMS_FALLBACK"):
            choose_sms_provider(provider, fallback=fallback, **given)
