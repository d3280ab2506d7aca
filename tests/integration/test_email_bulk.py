"""Bulk jobs with a ledger in a database: each mail once, whatever fails and however often they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob, bulk, until
from tests.support.email_ledger import bulk_sends, mail_database
from tests.support.smtp_server import MailServer, mail_server

from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, UnknownOutcomeError, UnrecoverableError
from toril.queues.email import Mail, OutboxProvider, SentMail, email_queue
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.providers.smtp import SmtpProvider


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with mail_database(tmp_path / "home") as opened:
        yield opened


class Carrier:
    """A provider that does what the test says for each address, and keeps what it took."""

    def __init__(self, answer: Callable[[str], Exception | None] = lambda address: None) -> None:
        self.answer = answer
        self.taken: list[str] = []
        self.keys: list[str] = []
        self.at_once = self.most_at_once = 0

    async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        [address] = mail.recipients
        if (error := self.answer(address)) is not None:
            raise error
        self.taken.append(address)
        self.keys.append(idempotency_key)
        return SentMail(message_id=f"id of {address}")

    async def close(self) -> None: ...


async def run(provider: Any, database: Database, data: dict[str, Any], **job: Any) -> dict[str, Any]:
    queue = email_queue(provider, from_email="o@mail.example.com", ledger=DatabaseLedger(database))
    return await queue.process(PlainJob(data, **job))


async def test_each_recipient_gets_a_mail_of_their_own(tmp_path: Path, database: Database) -> None:
    outbox = OutboxProvider(tmp_path / "out")
    recipients = [
        {"email": "sara@example.com", "name": "سارة", "case": 204},
        {"email": "Omar & Co <omar@example.com>", "name": "<b>Omar</b>\r\nBcc: x@example.com", "case": "٢٠٥"},
    ]
    data = bulk(
        recipients=recipients,
        subject="{{name}}: {{case}} {{case}}",
        html='<p title="{{name}}">{{ name }}, {{case}}</p>',
    )
    result = await run(outbox, database, data, id="9")
    assert result == {
        "success": True,
        "total": 2,
        "successCount": 2,
        "failedCount": 0,
        "suppressedCount": 0,
        "results": [
            {"email": "sara@example.com", "success": True, "messageId": "<email_9_1.0@mail.example.com>"},
            {
                "email": "Omar & Co <omar@example.com>",
                "success": True,
                "messageId": "<email_9_1.1@mail.example.com>",
            },
        ],
    }
    mails = {mail.to: mail for mail in await outbox.list()}
    sara, omar = mails["سارة <sara@example.com>"], mails["Omar & Co <omar@example.com>"]
    assert sara.subject == "سارة: 204 204"
    assert omar.subject == "<b>Omar</b> Bcc: x@example.com: ٢٠٥ ٢٠٥"
    message = message_from_bytes(await outbox.read(omar.id), policy=default)
    assert message["Bcc"] is None
    plain, html = message.iter_parts()  # type: ignore[attr-defined]
    assert "&lt;b&gt;Omar&lt;/b&gt;" in html.get_content()
    assert "<b>Omar" not in html.get_content()
    assert plain.get_content().startswith("<b>Omar</b>")


async def test_a_text_of_ones_own_is_filled_too(tmp_path: Path, database: Database) -> None:
    outbox = OutboxProvider(tmp_path / "out")
    await run(outbox, database, bulk(1, text="Dear {{name}} & all"))
    [mail] = await outbox.list()
    message = message_from_bytes(await outbox.read(mail.id), policy=default)
    [plain, _] = message.iter_parts()  # type: ignore[attr-defined]
    assert plain.get_content().strip() == "Dear Client 0 & all"


async def test_a_bad_recipient_does_not_stop_the_others(database: Database) -> None:
    def answer(address: str) -> Exception | None:
        return UnrecoverableError("550 no such user") if address == "gone@example.com" else None

    provider = Carrier(answer)
    recipients = [
        {"email": "nobody", "name": "A"},
        {"email": "a@example.com", "name": "A"},
        {"email": "a@example.com\r\nBcc: b@example.com", "name": "A"},
        {"email": "nameless@example.com"},
        {"email": "gone@example.com", "name": "A"},
        {"email": "long@example.com", "name": "x" * 500},
        {"email": "b@example.com", "name": ""},
    ]
    data = bulk(recipients=recipients, subject="{{name}}{{name}}!")
    result = await run(provider, database, data)
    assert sorted(provider.taken) == ["a@example.com", "b@example.com"]
    assert (result["success"], result["total"], result["successCount"], result["failedCount"]) == (
        False,
        7,
        2,
        5,
    )
    errors = [row.get("error") for row in result["results"]]
    assert [row["email"] for row in result["results"]] == [recipient["email"] for recipient in recipients]
    for error, reason in zip(
        errors,
        (
            "has no @",
            None,
            "control character U+000D",
            "no value for {{name}}",
            "550 no such user",
            "1001",
            None,
        ),
        strict=True,
    ):
        assert (error is None) == (reason is None)
        assert reason is None or reason in error
    assert all(
        set(row) == {"email", "success", "error" if "error" in row else "messageId"}
        for row in result["results"]
    )
    # What will never work is not tried again, either.
    assert await run(provider, database, data) == result
    assert len(provider.taken) == 2


async def test_what_people_call_themselves_does_not_stop_the_others(
    tmp_path: Path, database: Database
) -> None:
    outbox = OutboxProvider(tmp_path / "out")
    recipients = [
        {"email": "long@example.com", "name": "ن" * 501},
        {"email": "half@example.com", "name": "A\ud83d", "city": "\udc00B"},
        {"email": "x" * 1001, "name": "C"},
        {"email": "\ud800@example.com", "name": "D"},
        {"email": "good@example.com", "name": "سارة", "city": "الرياض"},
    ]
    result = await run(outbox, database, bulk(recipients=recipients, subject="News", html="<p>{{name}}</p>"))
    assert [row["success"] for row in result["results"]] == [True, True, False, False, True]
    mails = {mail.to: mail for mail in await outbox.list()}
    assert set(mails) == {"long@example.com", "A\ufffd <half@example.com>", "سارة <good@example.com>"}


async def test_who_is_listed_twice_gets_one_mail_unless_they_differ(database: Database) -> None:
    provider = Carrier()
    recipients = [
        {"email": "a@example.com", "name": "A"},
        {"email": "A@Example.com", "name": "A"},
        {"email": "a@example.com", "name": "A", "case": 2},
    ]
    result = await run(provider, database, bulk(recipients=recipients))
    assert len(provider.taken) == 2
    assert result["successCount"] == 3


async def test_progress_is_told_in_percent(database: Database) -> None:
    job = PlainJob(bulk(250))
    queue = email_queue(Carrier(), from_email="o@example.com", ledger=DatabaseLedger(database))
    await queue.process(job)
    assert job.progress[0] == 0
    assert job.progress[-1] == 100
    assert job.progress == sorted(job.progress)
    assert 10 < len(job.progress) <= 102


async def test_no_more_than_some_mails_are_under_way(database: Database) -> None:
    provider = Carrier()
    await run(provider, database, bulk(50))
    assert 1 < provider.most_at_once <= 8


async def test_another_attempt_sends_what_is_left(database: Database) -> None:
    down = {"is": False}

    def answer(address: str) -> Exception | None:
        if len(provider.taken) >= 40:
            down["is"] = True
        return RetryableError("the server is away", retry_after=90) if down["is"] else None

    provider = Carrier(answer)
    with pytest.raises(RetryableError) as caught:
        await run(provider, database, bulk(100), attempts=3)
    sent = len(provider.taken)
    assert 40 <= sent < 60
    assert f"{sent} of 100 mails are done" in str(caught.value)
    assert "the server is away" in str(caught.value)
    assert caught.value.retry_after == 90
    provider.answer = lambda address: None
    result = await run(provider, database, bulk(100), attempts=3, attempts_made=1)
    assert result["successCount"] == 100
    assert sorted(provider.taken) == sorted(f"c{n}@example.com" for n in range(100))


async def test_a_server_that_is_away_is_not_asked_for_every_mail(database: Database) -> None:
    asked = []

    def answer(address: str) -> Exception | None:
        asked.append(address)
        return RetryableError("the server is away")

    with pytest.raises(RetryableError, match="0 of 1000 mails are done"):
        await run(Carrier(answer), database, bulk(1000))
    assert len(asked) < 20


async def test_an_address_that_is_put_off_is_tried_again_and_then_reported(database: Database) -> None:
    def answer(address: str) -> Exception | None:
        return RetryableError("451 greylisted") if address == "c3@example.com" else None

    provider = Carrier(answer)
    with pytest.raises(RetryableError, match="9 of 10 mails are done"):
        await run(provider, database, bulk(10), attempts=3, attempts_made=1)
    result = await run(provider, database, bulk(10), attempts=3, attempts_made=2)
    assert result["failedCount"] == 1
    assert result["results"][3] == {"email": "c3@example.com", "success": False, "error": "451 greylisted"}
    assert len(provider.taken) == 9


async def test_a_mail_that_may_have_been_sent_is_not_sent_again(database: Database) -> None:
    def answer(address: str) -> Exception | None:
        return UnknownOutcomeError("it may have been sent") if address == "c1@example.com" else None

    provider = Carrier(answer)
    for _ in range(2):
        result = await run(provider, database, bulk(3))
        assert result["results"][1]["error"] == "it may have been sent"
        provider.answer = lambda address: None
    assert sorted(provider.taken) == ["c0@example.com", "c2@example.com"]


async def test_outcomes_nobody_knows_stop_the_job_too(database: Database) -> None:
    provider = Carrier(lambda address: UnknownOutcomeError("connection lost"))
    with pytest.raises(RetryableError, match=r"of 100 mails are done.*connection lost"):
        await run(provider, database, bulk(100))
    assert len(await bulk_sends(database)) < 20


async def test_a_refused_account_ends_the_job_at_once(database: Database) -> None:
    asked = []

    def answer(address: str) -> Exception | None:
        asked.append(address)
        return NotConfiguredError("535 bad credentials") if len(asked) > 10 else None

    with pytest.raises(NotConfiguredError):
        await run(Carrier(answer), database, bulk(100))
    assert len(asked) < 30
    assert len(await bulk_sends(database)) == 10


async def test_a_job_that_is_stopped_notes_what_is_under_way(database: Database) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Carrier):
        async def send(self, mail: Mail, *, idempotency_key: str) -> SentMail:
            reached.set()
            await go_on.wait()
            return await super().send(mail, idempotency_key=idempotency_key)

    provider = Slow()
    task = asyncio.create_task(run(provider, database, bulk(50)))
    await reached.wait()
    task.cancel()
    asyncio.get_running_loop().call_later(0.1, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    sent = list(provider.taken)
    assert 0 < len(sent) <= 8
    assert {send.email for send in await bulk_sends(database)} == set(sent)
    result = await run(provider, database, bulk(50))
    assert result["successCount"] == 50
    assert len(provider.taken) == len(set(provider.taken)) == 50


async def test_another_job_with_an_id_used_before_is_another_job(database: Database) -> None:
    provider = Carrier()
    await run(provider, database, bulk(2), id="1", timestamp=1)
    await run(provider, database, bulk(2), id="1", timestamp=2)
    assert len(provider.taken) == 4


async def test_each_mail_has_a_key_of_its_own_for_every_attempt(database: Database) -> None:
    provider = Carrier()
    await run(provider, database, bulk(3), id="email-17")
    assert sorted(provider.keys) == ["email:email-17:1:0", "email:email-17:1:1", "email:email-17:1:2"]


async def test_without_a_database_nothing_is_sent() -> None:
    provider = Carrier()
    with pytest.raises(NotConfiguredError, match="need a database"):
        await email_queue(provider, from_email="o@example.com").process(PlainJob(bulk()))
    assert provider.taken == []


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


async def test_by_smtp_an_attempt_cut_short_is_taken_up(server: MailServer, database: Database) -> None:
    provider = SmtpProvider(f"smtp://127.0.0.1:{server.port}")
    server.answers = {"c2@example.com": "550 5.1.1 no such user"}
    queue = email_queue(provider, from_email="o@mail.example.com", ledger=DatabaseLedger(database))
    task = asyncio.create_task(queue.process(PlainJob(bulk(60))))
    await until(lambda: len(server.mails) > 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    result = await queue.process(PlainJob(bulk(60), attempts_made=1))
    await queue.close()
    assert (result["successCount"], result["failedCount"]) == (59, 1)
    assert "550 5.1.1" in result["results"][2]["error"]
    reached = [address for mail in server.mails for address in mail.recipients]
    assert sorted(reached) == sorted(f"c{n}@example.com" for n in range(60) if n != 2)
    assert server.most_at_once <= 4
