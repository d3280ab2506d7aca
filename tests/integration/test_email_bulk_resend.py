"""Bulk mail by Resend's batches: a hundred a call, once, whatever answers get lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import PlainJob, bulk
from tests.support.email_ledger import bulk_sends, mail_database
from tests.support.resend_server import API_KEY, Answer, ResendServer, failure, resend_server

from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.email import email_queue
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.providers.resend import ResendProvider


@pytest.fixture
async def server() -> AsyncIterator[ResendServer]:
    async with resend_server() as running:
        yield running


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with mail_database(tmp_path) as opened:
        yield opened


@pytest.fixture
async def queue(server: ResendServer, database: Database) -> AsyncIterator[QueueDefinition]:
    provider = ResendProvider(API_KEY, base_url=server.url, per_second=1000, read_timeout=1.0)
    opened = email_queue(provider, from_email="o@mail.example.com", ledger=DatabaseLedger(database))
    yield opened
    await opened.close()


def reached(server: ResendServer) -> list[str]:
    return sorted(
        address.partition("<")[2].rstrip(">") or address for mail in server.sent for address in mail["to"]
    )


def everybody(number: int) -> list[str]:
    return sorted(f"c{n}@example.com" for n in range(number))


async def test_mails_travel_a_hundred_at_a_time(server: ResendServer, queue: QueueDefinition) -> None:
    job = PlainJob(bulk(250), id="email-7")
    result = await queue.process(job)
    assert [len(request.json) for request in server.requests] == [100, 100, 50]
    assert {request.path for request in server.requests} == {"/emails/batch"}
    assert [request.headers["idempotency-key"] for request in server.requests] == [
        f"email:email-7:1:batch-{n}" for n in range(3)
    ]
    assert {request.headers["x-batch-validation"] for request in server.requests} == {"permissive"}
    assert server.requests[0].json[1] == {
        "from": "o@mail.example.com",
        "to": ["Client 1 <c1@example.com>"],
        "subject": "News for Client 1",
        "html": "<p>Dear Client 1,</p>",
        "text": "Dear Client 1,",
        "headers": {"Message-ID": "<email_email-7_1.1@mail.example.com>"},
    }
    assert reached(server) == everybody(250)
    assert result["success"] is True
    assert len({row["messageId"] for row in result["results"]}) == 250
    assert job.progress == [0, 40, 80, 100, 100]


async def test_a_refused_mail_does_not_stop_its_batch(server: ResendServer, queue: QueueDefinition) -> None:
    recipients = [{"email": f"c{n}@example.com", "name": "x"} for n in range(5)]
    recipients[2] = {"email": "blocked@example.com", "name": "x"}
    recipients[3] = {"email": "nobody", "name": "x"}
    recipients[4] = {"email": "c4@example.com"}
    result = await queue.process(PlainJob(bulk(recipients=recipients)))
    assert [row["success"] for row in result["results"]] == [True, True, False, False, False]
    assert "Invalid `to` field" in result["results"][2]["error"]
    assert "no value for {{name}}" in result["results"][4]["error"]
    assert reached(server) == ["c0@example.com", "c1@example.com"]
    assert len(server.requests) == 1


async def test_a_batch_refused_as_a_whole_is_sent_one_by_one(
    server: ResendServer, queue: QueueDefinition
) -> None:
    server.strict_about = {"validation_error"}
    recipients = [{"email": f"c{n}@example.com", "name": "x"} for n in range(4)]
    recipients[1] = {"email": "blocked@example.com", "name": "x"}
    data = bulk(recipients=recipients)
    result = await queue.process(PlainJob(data, id="9"))
    assert [row["success"] for row in result["results"]] == [True, False, True, True]
    assert [request.path for request in server.requests] == ["/emails/batch"] + ["/emails"] * 4
    assert server.requests[1].headers["idempotency-key"] == "email:9:1:0"
    assert await queue.process(PlainJob(data, id="9")) == result
    assert len(server.requests) == 5


async def test_a_rate_limit_is_waited_for_in_the_middle(server: ResendServer, queue: QueueDefinition) -> None:
    limit = failure(429, "rate_limit_exceeded", retry_after="0.05")
    server.script = ["", limit, "", limit]
    result = await queue.process(PlainJob(bulk(300)))
    assert result["success"] is True
    assert [len(request.json) for request in server.requests] == [100] * 5
    assert server.requests[1].body == server.requests[2].body
    assert reached(server) == everybody(300)


async def test_a_long_wait_is_left_to_the_queue(
    server: ResendServer, queue: QueueDefinition, database: Database
) -> None:
    server.script = ["", failure(429, "daily_quota_exceeded")]
    with pytest.raises(RetryableError, match="100 of 300 mails are done") as caught:
        await queue.process(PlainJob(bulk(300)))
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 60 * 60
    assert len(await bulk_sends(database)) == 100
    await queue.process(PlainJob(bulk(300), attempts_made=1))
    assert reached(server) == everybody(300)


@pytest.mark.parametrize("loss", ["drop", "hang"])
async def test_a_batch_whose_answer_was_lost_is_sent_once(
    server: ResendServer, queue: QueueDefinition, loss: str
) -> None:
    server.script = ["", loss]
    with pytest.raises(RetryableError, match="did not answer"):
        await queue.process(PlainJob(bulk(300)))
    result = await queue.process(PlainJob(bulk(300), attempts_made=1))
    assert result["success"] is True
    assert server.requests[1].body == server.requests[2].body
    assert len(server.requests) == 4  # the first batch is recorded, and not asked for again
    assert reached(server) == everybody(300)


async def test_a_crash_between_sending_and_recording_sends_nothing_twice(
    server: ResendServer, database: Database
) -> None:
    class Crashing(DatabaseLedger):
        async def record(self, job: str, outcomes: Any) -> None:
            if len(server.requests) == 2:
                raise SystemError("the worker is gone")
            await super().record(job, outcomes)

    provider = ResendProvider(API_KEY, base_url=server.url, per_second=1000)
    crashing = email_queue(provider, from_email="o@mail.example.com", ledger=Crashing(database))
    with pytest.raises(SystemError):
        await crashing.process(PlainJob(bulk(250)))
    assert len(server.sent) == 200
    assert len(await bulk_sends(database)) == 100
    queue = email_queue(provider, from_email="o@mail.example.com", ledger=DatabaseLedger(database))
    result = await queue.process(PlainJob(bulk(250)))
    await queue.close()
    assert result["success"] is True
    assert reached(server) == everybody(250)
    assert len({row["messageId"] for row in result["results"]}) == 250


async def test_a_batch_that_changed_under_its_key_ends_the_job(
    server: ResendServer, queue: QueueDefinition
) -> None:
    server.script = ["drop"]
    with pytest.raises(RetryableError):
        await queue.process(PlainJob(bulk(2)))
    with pytest.raises(UnrecoverableError, match="invalid_idempotent_request"):
        await queue.process(PlainJob(bulk(2, subject="Other"), attempts_made=1))
    assert len(server.sent) == 2


async def test_a_refused_key_ends_the_job(server: ResendServer, queue: QueueDefinition) -> None:
    server.script = [failure(403, "invalid_api_key")]
    with pytest.raises(NotConfiguredError):
        await queue.process(PlainJob(bulk(300)))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(200, {"data": [{"id": "x"}], "errors": []}), id="too few"),
        pytest.param(Answer(200, {"data": [{"id": "x"}] * 3, "errors": []}), id="too many"),
        pytest.param(
            Answer(200, {"data": [{"id": "x"}], "errors": [{"index": 7, "message": "m"}]}),
            id="an index outside",
        ),
    ],
)
async def test_an_answer_that_does_not_add_up_says_that_nobody_knows(
    server: ResendServer, queue: QueueDefinition, answer: Answer
) -> None:
    server.script = [answer]
    result = await queue.process(PlainJob(bulk(2)))
    assert result["failedCount"] == 2
    assert "Resend took a batch of 2, but accounts for" in result["results"][0]["error"]
    await queue.process(PlainJob(bulk(2)))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [b"<html>Welcome</html>", {"data": None}, {"data": [{}]}, [], {"data": [{"id": 5}], "errors": [5]}],
    ids=["page", "null", "no id", "list", "odd"],
)
async def test_an_answer_without_ids_is_asked_for_again(
    server: ResendServer, queue: QueueDefinition, body: Any
) -> None:
    server.script = [Answer(200, body)]
    with pytest.raises(RetryableError, match="holds no ids"):
        await queue.process(PlainJob(bulk(2)))
    assert (await queue.process(PlainJob(bulk(2), attempts_made=1)))["success"] is True
