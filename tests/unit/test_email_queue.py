"""The e-mail queue: its defaults, what a job returns and tells, and which provider the settings ask for."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob, template, transactional

from toril.db.session import Database
from toril.errors import ConfigurationError, RetryableError, UnrecoverableError
from toril.queues.email import Mail, OutboxProvider, SentMail, choose_provider, email_queue
from toril.queues.email.database_handovers import DatabaseHandovers
from toril.queues.email.providers.fallback import FallbackProvider
from toril.queues.email.providers.resend import ResendProvider
from toril.queues.email.providers.smtp import SmtpProvider
from toril.queues.storage import LocalFileStore


class Recorder:
    """A provider that keeps what it is given, and answers as told."""

    def __init__(self, outcome: SentMail | Exception) -> None:
        self.outcome = outcome
        self.keys: list[str] = []
        self.mails: list[Mail] = []
        self.closed = 0

    async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
        self.keys.append(idempotency_key)
        self.mails.append(mail)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def close(self) -> None:
        self.closed += 1


def test_the_defaults_are_the_contract() -> None:
    queue = email_queue(OutboxProvider("unused"), from_email="o@example.com")
    assert queue.name == "email"
    assert set(queue.types) == {"transactional", "bulk", "template", "campaign"}
    assert queue.job_options == {
        "attempts": 3,
        "backoff": {"type": "exponential", "delay": 3000},
        "removeOnComplete": {"age": 86400, "count": 500},
        "removeOnFail": {"age": 172800},
    }


async def test_a_job_leaves_a_mail_and_returns_the_contract(tmp_path: Path) -> None:
    outbox = OutboxProvider(tmp_path / "outbox")
    store = LocalFileStore(tmp_path / "files")
    stored = await store.save(firm_id="f" * 24, folder="pdf", name="invoice.pdf", content=b"%PDF")
    queue = email_queue(
        outbox, from_email="no-reply@mail.example.com", from_name="مكتب المحاماة", files=store
    )
    job = PlainJob(
        transactional(
            to="Sara <sara@example.com>",
            subject="فاتورة",
            attachments=[{"filename": "i.pdf", "path": stored.path}],
            firmId="f" * 24,
        ),
        id="email-1732400000000-k3v9x0q2a",
    )
    result = await queue.process(job)
    assert result == {
        "success": True,
        "messageId": "<email_email-1732400000000-k3v9x0q2a_1@mail.example.com>",
        "to": "Sara <sara@example.com>",
        "subject": "فاتورة",
    }
    assert job.progress == [10, 50, 100]
    [stored_mail] = await outbox.list()
    message = message_from_bytes(await outbox.read(stored_mail.id), policy=default)
    assert message["From"] == "مكتب المحاماة <no-reply@mail.example.com>"
    [attachment] = message.iter_attachments()  # type: ignore[attr-defined]
    assert attachment.get_content() == b"%PDF"
    assert await queue.process(job) == result
    assert len(await outbox.list()) == 1


async def test_a_list_of_recipients_comes_back_as_a_list(tmp_path: Path) -> None:
    queue = email_queue(OutboxProvider(tmp_path), from_email="o@example.com")
    result = await queue.process(PlainJob(transactional(to=["a@example.com", "b@example.com"])))
    assert result["to"] == ["a@example.com", "b@example.com"]


@pytest.mark.parametrize(
    ("job_id", "key"),
    [
        pytest.param("17", "email:17:1", id="number"),
        pytest.param("repeat:ab:17", "email:repeat:ab:17:1", id="repeated job"),
        pytest.param("a\nb", "email:sha256-", id="line break"),
        pytest.param("ف", "email:sha256-", id="not ASCII"),
        pytest.param("x" * 300, "email:sha256-", id="too long"),
    ],
)
async def test_the_idempotency_key_comes_from_the_job_id(job_id: str, key: str) -> None:
    provider = Recorder(SentMail(message_id="m"))
    queue = email_queue(provider, from_email="o@example.com")
    for _ in range(2):
        await queue.process(PlainJob(transactional(), id=job_id))
    first, second = provider.keys
    assert first == second
    assert first == key or (key.endswith("-") and first.startswith(key))
    assert first.isascii()
    assert len(first) <= 256


async def test_environments_that_share_an_account_have_their_own_keys() -> None:
    provider = Recorder(SentMail(message_id="m"))
    await email_queue(provider, from_email="o@example.com", key_prefix="staging").process(
        PlainJob(transactional())
    )
    assert provider.keys == ["staging:1:1"]
    with pytest.raises(ConfigurationError, match="key_prefix"):
        email_queue(provider, from_email="o@example.com", key_prefix="a\nb")


async def test_a_bad_payload_fails_at_once_and_nothing_is_sent(tmp_path: Path) -> None:
    provider = Recorder(SentMail(message_id="m"))
    queue = email_queue(provider, from_email="o@example.com", files=LocalFileStore(tmp_path))
    with pytest.raises(UnrecoverableError, match="subject: has the control character"):
        await queue.process(PlainJob(transactional(subject="a\nb")))
    missing = transactional(attachments=[{"filename": "a", "path": "f1/pdf/none.pdf"}], firmId="f" * 24)
    with pytest.raises(UnrecoverableError, match=r"attachments\.0\.path: there is no stored file"):
        await queue.process(PlainJob(missing))
    assert provider.keys == []


async def test_a_providers_error_reaches_the_worker_as_it_is() -> None:
    error = RetryableError("later", retry_after=7)
    queue = email_queue(Recorder(error), from_email="o@example.com")
    job = PlainJob(transactional())
    with pytest.raises(RetryableError) as caught:
        await queue.process(job)
    assert caught.value is error
    assert job.progress == [10, 50]


async def test_refused_recipients_are_in_the_jobs_log(caplog: pytest.LogCaptureFixture) -> None:
    sent = SentMail(message_id="m", refused={"b@example.com": "550 no such user"})
    job = PlainJob(transactional(to=["a@example.com", "b@example.com"]))
    result = await email_queue(Recorder(sent), from_email="o@example.com").process(job)
    assert result["success"] is True
    assert job.rows == ["b@example.com was refused and does not get this mail: 550 no such user"]
    assert [record.message for record in caplog.records] == ["email_recipients_refused"]


async def test_closing_the_queue_closes_the_provider() -> None:
    provider = Recorder(SentMail(message_id="m"))
    await email_queue(provider, from_email="o@example.com").close()
    assert provider.closed == 1


@pytest.mark.parametrize(
    ("from_email", "from_name"), [("nobody", ""), ("o@example.com", "a\r\nBcc: b"), ("", "Office")]
)
def test_a_sender_that_cannot_be_is_a_configuration_error(from_email: str, from_name: str) -> None:
    with pytest.raises(ConfigurationError, match="FROM_EMAIL"):
        email_queue(OutboxProvider("unused"), from_email=from_email, from_name=from_name)


async def test_settings_choose_the_provider(tmp_path: Path) -> None:
    outbox = choose_provider(outbox=tmp_path)
    assert isinstance(outbox, OutboxProvider)
    assert outbox.folder == tmp_path
    smtp = choose_provider(smtp_url="smtp://localhost:2525", outbox=tmp_path)
    assert isinstance(smtp, SmtpProvider)
    assert smtp.server.port == 2525
    both: dict[str, Any] = {
        "resend_api_key": "re_123",
        "smtp_url": "smtp://localhost",
        "outbox": tmp_path,
    }
    fallback = choose_provider(**both, handovers=DatabaseHandovers(Database(home=tmp_path)))
    assert isinstance(fallback, FallbackProvider)
    await fallback.close()
    resend = choose_provider(**both)
    assert isinstance(resend, ResendProvider)
    await resend.close()


@pytest.mark.parametrize("data", [transactional(), template()], ids=["single", "template"])
async def test_an_id_that_comes_again_names_another_mail(data: dict[str, Any]) -> None:
    provider = Recorder(SentMail(message_id="m"))
    queue = email_queue(provider, from_email="o@mail.example.com")
    for added in (1, 2):
        await queue.process(PlainJob(data, id="1", timestamp=added))
    assert len(set(provider.keys)) == 2
    assert len({mail.message_id for mail in provider.mails}) == 2
