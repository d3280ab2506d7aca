"""Mail jobs from end to end: a queue on a real server, a worker, and a mail server that misbehaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.email_jobs import transactional
from tests.support.smtp_server import MailServer, mail_server

from toril.engine.job import Job
from toril.errors import JobFailedError
from toril.queues.base import QueueDefinition
from toril.queues.email import OutboxProvider, email_queue
from toril.queues.email.providers.smtp import SmtpProvider
from toril.queues.registry import make_worker, open_queue


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


@pytest.fixture
async def by_smtp(server: MailServer) -> AsyncIterator[QueueDefinition]:
    provider = SmtpProvider(f"smtp://127.0.0.1:{server.port}")
    definition = email_queue(provider, from_email="o@mail.example.com")
    yield definition
    await definition.close()


async def finished(definition: QueueDefinition, url: str, prefix: str, **fields: object) -> Job:
    """Queue one mail, with a backoff that tests can wait for, and let a worker finish it."""
    async with open_queue(definition, url=url, prefix=prefix) as queue:
        async with make_worker(definition, queue):
            job = await queue.add("__default__", transactional(**fields), backoff=0.05)
            try:
                await job.result(timeout=60)
            except JobFailedError:
                pass
        found = await queue.get_job(job.id)
        assert found is not None
        return found


async def test_a_queued_mail_is_stored_and_its_result_is_the_contract(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    outbox = OutboxProvider(tmp_path)
    definition = email_queue(outbox, from_email="no-reply@mail.example.com", from_name="مكتب")
    job = await finished(definition, server_url, prefix, subject="فاتورة رقم ٢٠٤")
    [stored] = await outbox.list()
    assert stored.subject == "فاتورة رقم ٢٠٤"
    assert job.return_value == {
        "success": True,
        "messageId": stored.message_id,
        "to": "client@example.com",
        "subject": "فاتورة رقم ٢٠٤",
    }
    assert job.progress == 100


async def test_a_server_that_is_busy_gets_the_mail_later_and_no_attempt_is_counted(
    server: MailServer, by_smtp: QueueDefinition, server_url: str, prefix: str
) -> None:
    server.busy_for, server.busy = 2, "451 4.3.2 come back in 1 second"
    job = await finished(by_smtp, server_url, prefix)
    assert job.return_value["success"] is True
    assert job.attempts_made == 0
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("answers", "on_data", "reason"),
    [
        pytest.param({"client@example.com": "550 no such user"}, "", "550 no such user", id="refused"),
        pytest.param({"MAIL": "535 5.7.8 bad credentials"}, "", "refused the login", id="not configured"),
        pytest.param({}, "drop", "it may have been sent", id="unknown outcome"),
    ],
)
async def test_what_another_attempt_cannot_mend_fails_at_once(
    server: MailServer,
    by_smtp: QueueDefinition,
    server_url: str,
    prefix: str,
    answers: dict[str, str],
    on_data: str,
    reason: str,
) -> None:
    server.answers, server.on_data = answers, on_data
    job = await finished(by_smtp, server_url, prefix)
    assert job.failed_reason is not None
    assert reason in job.failed_reason
    assert job.attempts_made == 1
    assert server.mails == []


async def test_a_bad_payload_fails_at_once_and_names_the_field(
    by_smtp: QueueDefinition, server: MailServer, server_url: str, prefix: str
) -> None:
    job = await finished(by_smtp, server_url, prefix, subject="a\r\nBcc: evil@example.com")
    assert job.failed_reason is not None
    assert "subject: has the control character U+000D" in job.failed_reason
    assert job.attempts_made == 1
    assert server.connections == []
