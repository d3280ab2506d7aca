"""SMTP as the fallback of Resend: a mail goes by one of the two, whatever is the matter with the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob, bulk, transactional
from tests.support.email_ledger import mail_database
from tests.support.resend_server import API_KEY, ResendServer, failure, resend_server
from tests.support.smtp_server import MailServer, mail_server

from toril.db.session import Database
from toril.errors import PostponedError, RetryableError, UnknownOutcomeError, UnrecoverableError
from toril.queues.email import email_queue
from toril.queues.email.database_handovers import DatabaseHandovers
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.handovers import Way
from toril.queues.email.providers.circuit import Circuit
from toril.queues.email.providers.fallback import FallbackProvider
from toril.queues.email.providers.resend import ResendProvider
from toril.queues.email.providers.smtp import SmtpProvider


class Office:
    """Both ways, each to a server of this machine, and a clock that moves when told."""

    def __init__(self, resend: ResendServer, smtp: MailServer, database: Database) -> None:
        self.resend, self.smtp, self.database = resend, smtp, database
        self.now = 1000.0
        self.circuit = Circuit(clock=lambda: self.now)
        self.opened: list[FallbackProvider] = []
        self.provider = self.new_provider()

    def new_provider(self) -> FallbackProvider:
        made = FallbackProvider(
            ResendProvider(API_KEY, base_url=self.resend.url, read_timeout=1.0, per_second=1000),
            SmtpProvider(f"smtp://127.0.0.1:{self.smtp.port}"),
            handovers=DatabaseHandovers(self.database),
            circuit=self.circuit,
        )
        self.opened.append(made)
        return made

    async def run(self, data: dict[str, Any], **job: Any) -> dict[str, Any]:
        queue = email_queue(
            self.provider, from_email="o@mail.example.com", ledger=DatabaseLedger(self.database)
        )
        return await queue.process(PlainJob(data, **job))

    def by_smtp(self) -> list[str]:
        return sorted(address for mail in self.smtp.mails for address in mail.recipients)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with resend_server() as resend, mail_server() as smtp, mail_database(tmp_path) as database:
        opened = Office(resend, smtp, database)
        yield opened
        for provider in opened.opened:
            await provider.close()


async def test_mail_goes_by_resend_while_that_works(office: Office) -> None:
    result = await office.run(transactional(), id="7")
    assert (len(office.resend.sent), office.smtp.mails) == (1, [])
    assert office.resend.sent[0]["headers"]["Message-ID"] == "<email_7_1@mail.example.com>"
    assert result["messageId"] not in (None, "<email_7_1@mail.example.com>")


async def test_mail_goes_by_smtp_under_the_same_message_id_while_resend_is_away(office: Office) -> None:
    await office.resend.go_away()
    result = await office.run(transactional(), id="7")
    assert result["messageId"] == "<email_7_1@mail.example.com>"
    [mail] = office.smtp.mails
    assert mail.message["Message-ID"] == "<email_7_1@mail.example.com>"
    await office.resend.come_back()
    # The worker was killed before the job was completed: what went by SMTP does not go again.
    again = await office.run(transactional(), id="7")
    assert again["messageId"] == result["messageId"]
    assert (len(office.smtp.mails), office.resend.sent) == (1, [])


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (401, "missing_api_key"),
        (403, "invalid_api_key"),
        (429, "daily_quota_exceeded"),
        (429, "monthly_quota_exceeded"),
    ],
)
async def test_what_the_account_may_not_send_goes_by_smtp(office: Office, status: int, name: str) -> None:
    office.resend.script = [failure(status, name)]
    assert (await office.run(transactional()))["success"]
    assert (len(office.smtp.mails), office.resend.sent) == (1, [])


@pytest.mark.parametrize("step", ["drop", "hang", failure(500, "internal_server_error")])
async def test_a_mail_whose_answer_was_lost_never_goes_by_smtp(office: Office, step: Any) -> None:
    office.resend.script = [step]
    with pytest.raises(RetryableError):
        await office.run(transactional(), attempts=9)
    # Also not by another worker, and not when Resend is away or refuses us at the next attempt.
    office.provider = office.new_provider()
    await office.resend.go_away()
    with pytest.raises(RetryableError):
        await office.run(transactional(), attempts=9, attempts_made=1)
    await office.resend.come_back()
    office.resend.script = [failure(403, "invalid_api_key")]
    with pytest.raises(UnrecoverableError):
        await office.run(transactional(), attempts=9, attempts_made=2)
    assert (await office.run(transactional(), attempts=9, attempts_made=3))["success"]
    assert (len(office.resend.sent), office.smtp.mails) == (1, [])


async def test_later_is_waited_for_and_a_mail_that_resend_refuses_is_not_tried_elsewhere(
    office: Office,
) -> None:
    office.resend.script = [failure(409, "concurrent_idempotent_requests")]
    with pytest.raises(PostponedError):
        await office.run(transactional())
    office.resend.script = [failure(422, "invalid_parameter")]
    with pytest.raises(UnrecoverableError):
        await office.run(transactional())
    # That the key is in use says that the mail was taken, so only Resend can tell what became of it.
    await office.resend.go_away()
    with pytest.raises(RetryableError):
        await office.run(transactional())
    assert (office.smtp.mails, office.resend.sent) == ([], [])


async def test_a_handover_to_smtp_that_nobody_saw_the_end_of_is_not_repeated(office: Office) -> None:
    handovers = DatabaseHandovers(office.database)
    way: Way = "fallback"
    await handovers.begin("email:7:1", way)
    with pytest.raises(UnknownOutcomeError, match="Message-ID"):
        await office.run(transactional(), id="7")
    assert (office.smtp.mails, office.resend.sent) == ([], [])
    # Whoever retries it by hand has looked.
    assert (await office.run(transactional(), id="7"))["success"]


async def test_resend_is_left_alone_while_it_is_away_and_asked_again_by_one_mail(office: Office) -> None:
    office.resend.script = [failure(403, "invalid_api_key")] * 4
    for number in range(6):
        await office.run(transactional(), id=str(number))
    assert (len(office.resend.requests), len(office.smtp.mails)) == (3, 6)
    office.now += office.circuit.rest
    for number in range(6, 9):  # one asks, and is refused; the others do not
        await office.run(transactional(), id=str(number))
    assert (len(office.resend.requests), len(office.smtp.mails)) == (4, 9)
    office.now += office.circuit.longest
    for number in range(9, 12):
        await office.run(transactional(), id=str(number))
    assert (len(office.resend.sent), len(office.smtp.mails)) == (3, 9)


async def test_a_bulk_job_goes_on_by_smtp_and_returns(office: Office) -> None:
    await office.resend.go_away()
    result = await office.run(bulk(12))
    assert result["successCount"] == 12
    assert office.by_smtp() == sorted(f"c{n}@example.com" for n in range(12))
    await office.resend.come_back()
    office.now += office.circuit.longest
    assert (await office.run(bulk(12)))["successCount"] == 12  # the same job: all known
    assert (await office.run(bulk(5), id="2"))["successCount"] == 5
    assert (len(office.resend.sent), len(office.smtp.mails)) == (5, 12)


async def test_a_batch_whose_answer_was_lost_never_goes_by_smtp(office: Office) -> None:
    office.resend.script = ["drop"]
    with pytest.raises(RetryableError):
        await office.run(bulk(5), attempts=9)
    await office.resend.go_away()
    for attempt in range(1, 4):
        with pytest.raises(RetryableError):
            await office.run(bulk(5), attempts=9, attempts_made=attempt)
    await office.resend.come_back()
    assert (await office.run(bulk(5), attempts=9, attempts_made=4))["successCount"] == 5
    assert (len(office.resend.sent), office.smtp.mails) == (5, [])


async def test_what_the_fallback_refuses_waits_for_resend(office: Office) -> None:
    await office.resend.go_away()
    office.smtp.answers["client@example.com"] = "550 5.7.1 not from here"
    with pytest.raises(RetryableError):
        await office.run(transactional(), attempts=9)
    await office.resend.come_back()
    assert (await office.run(transactional(), attempts=9, attempts_made=1))["success"]
    assert (len(office.resend.sent), office.smtp.mails) == (1, [])
