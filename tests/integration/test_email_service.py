"""EmailService: by the queue, at once, and at once when the queue cannot take it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import TEMPLATE_DATA, transactional
from tests.support.email_ledger import bulk_sends, mail_database
from tests.support.servers import RedisServer

from toril import Repeat
from toril.db.session import Database
from toril.email_service import EmailService
from toril.errors import OptionError, PayloadError, QueueUnavailableError, RetryableError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.email import Mail, OutboxProvider, SentMail, email_queue
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.registry import make_worker
from toril.service import QueueService

MAIL: dict[str, Any] = transactional()["data"]
RECIPIENTS = [{"email": f"c{n}@example.com", "name": f"Client {n}"} for n in range(3)]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with mail_database(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxProvider:
    return OutboxProvider(tmp_path / "out")


@pytest.fixture
def definition(outbox: OutboxProvider, database: Database) -> QueueDefinition:
    return email_queue(outbox, from_email="o@mail.example.com", ledger=DatabaseLedger(database))


@pytest.fixture
async def service(definition: QueueDefinition, server_url: str, prefix: str) -> AsyncIterator[QueueService]:
    async with QueueService([definition], url=server_url, prefix=prefix) as opened:
        yield opened


@pytest.fixture
async def cut_off(definition: QueueDefinition, tmp_path: Path, prefix: str) -> AsyncIterator[QueueService]:
    """A service whose server is not there."""
    url = f"unix://{tmp_path}/nobody.sock"
    async with QueueService([definition], url=url, prefix=prefix, patience=0.1) as opened:
        yield opened


async def test_mail_goes_to_the_queue(
    service: QueueService, definition: QueueDefinition, outbox: OutboxProvider
) -> None:
    sent = await EmailService(service).send_email(MAIL, options={"priority": 2})
    assert set(sent) == {"id", "success", "queued"}
    assert (sent["success"], sent["queued"]) == (True, True)
    assert await outbox.list() == []
    status = await service.get_job_status("email", sent["id"])
    assert status is not None
    assert (status["state"], status["options"]["priority"]) == ("waiting", 2)
    async with make_worker(definition, service.queue("email")):
        job = await service.queue("email").get_job(sent["id"])
        assert job is not None
        assert (await job.result(timeout=60))["success"] is True
    assert len(await outbox.list()) == 1


async def test_mail_goes_at_once_when_asked(cut_off: QueueService, outbox: OutboxProvider) -> None:
    sent = await EmailService(cut_off).send_email(MAIL, use_queue=False)
    [stored] = await outbox.list()
    assert sent == {"id": stored.message_id, "success": True, "queued": False}


async def test_mail_goes_at_once_when_the_queue_cannot_take_it(
    cut_off: QueueService, outbox: OutboxProvider, caplog: pytest.LogCaptureFixture
) -> None:
    sent = await EmailService(cut_off).send_email(MAIL)
    [stored] = await outbox.list()
    reason = sent.pop("reason")
    assert sent == {"id": stored.message_id, "success": True, "queued": False, "fallback": True}
    assert "nobody.sock" in reason
    assert [record.message for record in caplog.records if record.name == "toril.email_service"] == [
        "email_queue_unavailable"
    ]


async def test_a_job_that_reached_the_server_after_all_sends_nothing_more(
    definition: QueueDefinition, outbox: OutboxProvider, database: Database, server_url: str, prefix: str
) -> None:
    class LosingAnswers(QueueService):
        async def add_job(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            await super().add_job(*args, **kwargs)
            raise QueueUnavailableError("the connection was lost")

    async with LosingAnswers([definition], url=server_url, prefix=prefix) as service:
        mail = EmailService(service)
        assert (await mail.send_email(MAIL))["fallback"] is True
        assert (await mail.send_bulk_emails(RECIPIENTS, "News", "<p>{{name}}</p>"))["fallback"] is True
        recorded = {send.job for send in await bulk_sends(database)}
        queue = service.queue("email")
        jobs = await queue.get_jobs(["waiting"])
        assert len(jobs) == 2
        async with make_worker(definition, queue):
            for job in jobs:
                assert (await job.result(timeout=60))["success"] is True
    assert len(await outbox.list()) == 1 + len(RECIPIENTS)
    assert {send.job for send in await bulk_sends(database)} == recorded


async def test_templates_and_bulk_mail_go_the_same_ways(
    service: QueueService, cut_off: QueueService, outbox: OutboxProvider
) -> None:
    by_queue, at_once = EmailService(service), EmailService(cut_off)
    assert (await by_queue.send_template("a@example.com", "welcome", TEMPLATE_DATA["welcome"]))[
        "queued"
    ] is True
    assert (await by_queue.send_bulk_emails(RECIPIENTS, "{{name}}", "<p>Hi</p>", text="Hi"))["queued"] is True
    assert (await service.get_job_counts("email"))["waiting"] == 2
    sent = await at_once.send_template(
        ("a@example.com", "b@example.com"), "welcome", TEMPLATE_DATA["welcome"], subject="Good news"
    )
    assert (sent["success"], sent["queued"], sent["fallback"]) == (True, False, True)
    [stored] = await outbox.list()
    assert stored.subject == "Good news"
    sent = await at_once.send_bulk_emails(
        [*RECIPIENTS, {"email": "nobody", "name": "N"}], "{{name}}", "<p>Hi</p>", use_queue=False
    )
    assert (sent["success"], sent["queued"], sent["total"], sent["successCount"], sent["failedCount"]) == (
        False,
        False,
        4,
        3,
        1,
    )
    assert "has no @" in sent["results"][3]["error"]
    assert sent["id"].startswith("email-")


async def test_mail_for_later_is_not_sent_now(cut_off: QueueService, outbox: OutboxProvider) -> None:
    with pytest.raises(QueueUnavailableError):
        await EmailService(cut_off).send_email(MAIL, options={"delay": 60_000})
    assert await outbox.list() == []


@pytest.mark.parametrize("use_queue", [True, False])
async def test_a_bad_message_is_refused_either_way(
    cut_off: QueueService, service: QueueService, outbox: OutboxProvider, use_queue: bool
) -> None:
    for each in (service, cut_off):
        with pytest.raises(PayloadError) as caught:
            await EmailService(each).send_email(MAIL | {"subject": "a\nb"}, use_queue)
        assert caught.value.field == "subject"
    assert await outbox.list() == []
    assert (await service.get_job_counts("email"))["waiting"] == 0


@pytest.mark.parametrize("error", [RetryableError("later"), UnrecoverableError("refused")])
async def test_a_providers_error_reaches_the_caller(error: Exception, tmp_path: Path) -> None:
    class Refusing:
        async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
            raise error

        async def close(self) -> None: ...

    definition = email_queue(Refusing(), from_email="o@mail.example.com")
    async with QueueService([definition], url=f"unix://{tmp_path}/x.sock", patience=0.1) as cut_off:
        for use_queue in (True, False):
            with pytest.raises(type(error)):
                await EmailService(cut_off).send_email(MAIL, use_queue)


async def test_a_server_that_goes_away_and_comes_back(
    definition: QueueDefinition, outbox: OutboxProvider
) -> None:
    async with (
        RedisServer("valkey") as server,
        QueueService([definition], url=server.url, patience=0.2) as service,
    ):
        mail = EmailService(service)
        assert (await mail.send_email(MAIL))["queued"] is True
        server.kill()
        assert (await mail.send_email(MAIL))["fallback"] is True
        server.start()
        assert (await mail.send_email(MAIL))["queued"] is True
    assert len(await outbox.list()) == 1


async def test_a_direct_mail_has_its_own_message_id_and_date(
    cut_off: QueueService, outbox: OutboxProvider
) -> None:
    mail = EmailService(cut_off)
    first, second = [await mail.send_email(MAIL, use_queue=False) for _ in range(2)]
    assert first["id"] != second["id"]
    newest = (await outbox.list())[0]
    message = message_from_bytes(await outbox.read(newest.id))
    assert str(datetime.now(UTC).year) in message["Date"]


async def test_a_service_without_the_queue_is_refused(definition: QueueDefinition) -> None:
    async with QueueService([], url="unix:///tmp/x.sock") as service:
        with pytest.raises(OptionError, match="no queue 'email'"):
            EmailService(service)


async def test_the_queue_service_queues_bulk_mail(service: QueueService) -> None:
    added = await service.send_bulk_emails(RECIPIENTS, "Hi {{name}}", "<p>{{name}}</p>", {"attempts": 5})
    assert added["queueName"] == "email"
    assert added["data"]["type"] == "bulk"
    assert added["options"]["attempts"] == 5
    with pytest.raises(PayloadError, match="recipients: "):
        await service.send_bulk_emails([], "Hi", "<p>")


async def test_options_come_in_both_forms(service: QueueService) -> None:
    mail = EmailService(service)
    for options, given in (({"delay": 60_000}, {}), (None, {"delay": 60})):
        for sent in (
            await mail.send_email(MAIL, options=options, **given),
            await mail.send_template(
                "a@b.example", "welcome", TEMPLATE_DATA["welcome"], options=options, **given
            ),
            await mail.send_bulk_emails(RECIPIENTS, "News", "<p>", options=options, **given),
        ):
            status = await service.get_job_status("email", sent["id"])
            assert status is not None
            assert (status["state"], status["options"]["delay"]) == ("delayed", 60_000)


async def test_mail_can_be_repeated(service: QueueService) -> None:
    mail = EmailService(service)
    first, second = [await mail.send_email(MAIL, repeat=Repeat(cron="0 8 * * 0")) for _ in range(2)]
    assert first == second
    assert first["id"].startswith("repeat:")


@pytest.mark.parametrize("given", [{"delay": 60}, {"repeat": Repeat(every=60)}])
async def test_mail_for_later_needs_the_queue(
    service: QueueService, outbox: OutboxProvider, given: Any
) -> None:
    with pytest.raises(OptionError, match="no delay and no repeat"):
        await EmailService(service).send_email(MAIL, use_queue=False, **given)
    assert await outbox.list() == []


async def test_mail_goes_at_once_when_the_server_takes_nothing(
    definition: QueueDefinition, outbox: OutboxProvider
) -> None:
    with RedisServer("valkey") as server:
        async with QueueService([definition], url=server.url) as service:
            connection = service.queue("email").connection
            await connection.execute("CONFIG", "SET", "maxmemory", "1", repeat=True)
            sent = await EmailService(service).send_email(MAIL)
            assert (sent["success"], sent["fallback"]) == (True, True)
            assert "out of memory" in sent["reason"]
    assert len(await outbox.list()) == 1
