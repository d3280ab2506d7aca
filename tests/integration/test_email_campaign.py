"""Campaign mail: tracked, with a way out, and once for a campaign and an address."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.email_jobs import PlainJob, campaign
from tests.support.email_ledger import campaign_sends, mail_database
from tests.support.resend_server import API_KEY, resend_server

from toril.db.models.mail import SendStatus
from toril.db.repositories.suppressions import Suppressions
from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.email import Mail, OutboxProvider, SentMail, email_queue
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.providers.base import EmailProvider
from toril.queues.email.providers.resend import ResendProvider
from toril.queues.email.tracking import TrackedMail, Tracker

TRACKER = Tracker("https://mail.firm.example", ["s" * 32])


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with mail_database(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxProvider:
    return OutboxProvider(tmp_path / "out")


def queue_with(provider: EmailProvider, database: Database) -> QueueDefinition:
    return email_queue(
        provider, from_email="o@mail.example.com", ledger=DatabaseLedger(database), tracker=TRACKER
    )


async def only_mail(outbox: OutboxProvider) -> EmailMessage:
    [stored] = await outbox.list()
    return cast(EmailMessage, message_from_bytes(await outbox.read(stored.id), policy=default))


async def test_a_campaigns_mail_is_tracked_and_can_be_stopped(
    database: Database, outbox: OutboxProvider
) -> None:
    job = PlainJob(campaign())
    result = await queue_with(outbox, database).process(job)
    message = await only_mail(outbox)
    assert result == {
        "success": True,
        "messageId": message["Message-ID"],
        "campaignId": "507f1f77bcf86cd799439011",
        "recipientEmail": "client@example.com",
    }
    assert job.progress == [10, 50, 100]
    assert message["To"] == "Sara <client@example.com>"
    mail = TrackedMail(campaign_id="507f1f77bcf86cd799439011", tracking_id="t-1")
    assert "".join(message["List-Unsubscribe"].split()) == f"<{TRACKER.unsubscribe_url(mail)}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, html = (part.get_content() for part in message.iter_parts())  # type: ignore[attr-defined]
    [link, way_out] = re.findall(r'href="([^"]+)"', html)
    visit = TRACKER.read("click", unescape(link).rpartition("/")[2])
    assert visit is not None
    assert (visit.mail, visit.target) == (mail, "https://firm.example/news?id=7&x=1#top")
    assert way_out == TRACKER.unsubscribe_url(mail)
    [pixel] = re.findall(r'src="([^"]+)"', html)
    assert TRACKER.read("open", pixel.rpartition("/")[2]) is not None
    assert TRACKER.unsubscribe_url(mail) in text
    [send] = await campaign_sends(database)
    assert (send.email, send.tracking_id, send.status) == ("client@example.com", "t-1", SendStatus.SENT)
    assert send.message_id == result["messageId"]


async def test_a_retried_job_does_not_send_again(database: Database, outbox: OutboxProvider) -> None:
    queue = queue_with(outbox, database)
    first = await queue.process(PlainJob(campaign()))
    job = PlainJob(campaign(), attempts_made=1)
    assert await queue.process(job) == {**first, "alreadySent": True}
    assert job.progress[-1] == 100
    # Nor does another job for the same campaign and address.
    other = campaign(recipient={"email": "CLIENT@example.com"}, trackingId="t-2")
    assert (await queue.process(PlainJob(other, id="2")))["messageId"] == first["messageId"]
    assert len(await outbox.list()) == 1


async def test_other_campaigns_and_addresses_are_other_mails(
    database: Database, outbox: OutboxProvider
) -> None:
    queue = queue_with(outbox, database)
    await queue.process(PlainJob(campaign()))
    await queue.process(PlainJob(campaign(campaignId="c-2", trackingId="t-2")))
    await queue.process(PlainJob(campaign(recipient={"email": "b@example.com"}, trackingId="t-3")))
    assert len(await outbox.list()) == 3


@pytest.mark.parametrize("other", [{"recipient": {"email": "b@example.com"}}, {"campaignId": "c-2"}])
async def test_a_tracking_id_belongs_to_one_mail(
    database: Database, outbox: OutboxProvider, other: dict[str, Any]
) -> None:
    queue = queue_with(outbox, database)
    await queue.process(PlainJob(campaign()))
    with pytest.raises(UnrecoverableError, match="trackingId: 't-1' is that of another mail"):
        await queue.process(PlainJob(campaign(**other)))
    assert len(await outbox.list()) == 1


async def test_who_wants_no_campaigns_gets_none(database: Database, outbox: OutboxProvider) -> None:
    async with database.session() as session:
        await Suppressions(session).add("Client@example.com", reason="unsubscribed")
    job = PlainJob(campaign())
    assert await queue_with(outbox, database).process(job) == {
        "success": False,
        "messageId": None,
        "campaignId": "507f1f77bcf86cd799439011",
        "recipientEmail": "client@example.com",
        "suppressed": True,
    }
    assert job.progress[-1] == 100
    assert await outbox.list() == []


class Failing:
    """A provider that fails as told, then passes mail on."""

    def __init__(self, outbox: OutboxProvider, *errors: BaseException) -> None:
        self.outbox, self.errors = outbox, list(errors)
        self.keys: list[str] = []

    async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
        self.keys.append(idempotency_key)
        if self.errors:
            raise self.errors.pop(0)
        return await self.outbox.send(mail, idempotency_key=idempotency_key)

    async def close(self) -> None: ...


@pytest.mark.parametrize("error", [RetryableError("later"), UnrecoverableError("550"), OSError("disk full")])
async def test_a_mail_that_failed_can_be_sent_later(
    database: Database, outbox: OutboxProvider, error: Exception
) -> None:
    provider = Failing(outbox, error)
    queue = queue_with(provider, database)
    with pytest.raises(type(error)):
        await queue.process(PlainJob(campaign()))
    result = await queue.process(PlainJob(campaign(), attempts_made=1))
    assert result["success"] is True
    assert "alreadySent" not in result
    assert len(await outbox.list()) == 1
    assert len(set(provider.keys)) == 1


async def test_two_jobs_at_once_send_one_mail(database: Database, outbox: OutboxProvider) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Failing):
        async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
            reached.set()
            await go_on.wait()
            return await super().send(mail, idempotency_key=idempotency_key)

    provider = Slow(outbox)
    queue = queue_with(provider, database)
    first = asyncio.create_task(queue.process(PlainJob(campaign(), id="1")))
    await reached.wait()
    with pytest.raises(RetryableError, match="another job is sending") as caught:
        await queue.process(PlainJob(campaign(trackingId="t-2"), id="2"))
    assert caught.value.retry_after == 60
    go_on.set()
    result = await first
    later = await queue.process(PlainJob(campaign(trackingId="t-2"), id="2", attempts_made=1))
    assert later["messageId"] == result["messageId"]
    assert len(provider.keys) == 1


async def test_a_job_that_is_stopped_notes_what_it_sent(database: Database, outbox: OutboxProvider) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Failing):
        async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
            reached.set()
            await go_on.wait()
            return await super().send(mail, idempotency_key=idempotency_key)

    queue = queue_with(Slow(outbox), database)
    task = asyncio.create_task(queue.process(PlainJob(campaign())))
    await reached.wait()
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    [send] = await campaign_sends(database)
    assert send.status is SendStatus.SENT


async def test_a_crash_after_sending_ends_in_one_mail(database: Database, outbox: OutboxProvider) -> None:
    class Crashing(DatabaseLedger):
        async def finish_campaign(self, *args: object) -> None:
            raise SystemError("the worker is gone")

    crashing = email_queue(
        outbox, from_email="o@mail.example.com", ledger=Crashing(database), tracker=TRACKER
    )
    with pytest.raises(SystemError):
        await crashing.process(PlainJob(campaign()))
    assert len(await outbox.list()) == 1
    again = PlainJob(campaign())
    again.stalled_counter = 1  # type: ignore[attr-defined]
    assert (await queue_with(outbox, database).process(again))["success"] is True
    assert len(await outbox.list()) == 1


async def test_by_resend_the_headers_go_along(database: Database) -> None:
    async with resend_server() as server:
        queue = queue_with(ResendProvider(API_KEY, base_url=server.url), database)
        result = await queue.process(PlainJob(campaign()))
        [request] = server.requests
        assert request.json["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert request.headers["idempotency-key"].startswith("email:campaign.")
        assert len(result["messageId"]) == 36
        await queue.close()


async def test_without_a_public_url_nothing_is_sent(database: Database, outbox: OutboxProvider) -> None:
    queue = email_queue(outbox, from_email="o@example.com", ledger=DatabaseLedger(database))
    with pytest.raises(NotConfiguredError, match="TORIL_PUBLIC_URL"):
        await queue.process(PlainJob(campaign()))
    with pytest.raises(NotConfiguredError, match="need a database"):
        await email_queue(outbox, from_email="o@example.com", tracker=TRACKER).process(PlainJob(campaign()))
    assert await outbox.list() == []
