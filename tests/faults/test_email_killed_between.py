"""Mail workers killed between two providers: no mail goes by both ways, and none goes twice that can be helped."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import transactional
from tests.support.email_ledger import mail_database
from tests.support.processes import module_process
from tests.support.resend_server import Answer, Request, ResendServer, failure, resend_server
from tests.support.smtp_server import MailServer, mail_server
from tests.support.until import until

from toril.db.url import SQLITE_FILE
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.queues.email import OutboxProvider, email_queue
from toril.queues.registry import open_queue

REFUSED = failure(403, "invalid_api_key")


@dataclass
class Office:
    """A queue, the two providers, and worker processes that send by them."""

    queue: Queue
    resend: ResendServer
    smtp: MailServer
    home: Path
    url: str
    prefix: str

    def worker(self) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        return module_process(
            "tests.support.email_worker",
            *(self.url, self.prefix, str(self.home), self.resend.url, "100", str(self.smtp.port)),
        )

    async def add(self) -> Job[Any]:
        return await self.queue.add("__default__", transactional(), attempts=500, backoff=0.1)

    async def has_ended(self, job: Job[Any]) -> bool:
        return await job.state() in ("completed", "failed")


@pytest.fixture
async def office(start_server: Any, prefix: str, tmp_path: Path) -> AsyncIterator[Office]:
    url = start_server("valkey").url
    definition = email_queue(OutboxProvider("unused"), from_email="o@mail.example.com")
    async with (
        resend_server() as resend,
        mail_server() as smtp,
        mail_database(tmp_path),
        open_queue(definition, url=url, prefix=prefix) as queue,
    ):
        yield Office(queue, resend, smtp, tmp_path, url, prefix)


async def test_a_mail_that_the_first_may_have_never_goes_by_the_second(office: Office) -> None:
    office.resend.hold = asyncio.Event()
    job = await office.add()
    async with office.worker() as process:
        await asyncio.wait_for(office.resend.arrived.wait(), 60)
        process.kill()
        await process.wait()
    office.resend.hold.set()

    async def is_sent() -> bool:
        return len(office.resend.sent) == 1

    await until(is_sent)
    await office.resend.go_away()
    async with office.worker():

        async def was_tried_again() -> bool:
            now = await office.queue.get_job(job.id)
            return now is not None and now.attempts_made > 1

        await until(was_tried_again)
        assert office.smtp.mails == []
        await office.resend.come_back()
        assert (await job.result(timeout=60))["success"] is True
    assert (len(office.resend.sent), office.smtp.mails) == (1, [])


async def test_a_refusal_that_was_not_noted_sends_the_mail_once(office: Office) -> None:
    """The first has refused it, and the worker is killed before it can write that down."""
    lock = sqlite3.connect(office.home / SQLITE_FILE, isolation_level=None, timeout=30)
    takes = office.resend.answer

    async def refuse(request: Request) -> Answer:
        lock.execute("BEGIN IMMEDIATE")
        return REFUSED

    office.resend.answer = refuse  # type: ignore[method-assign]
    job = await office.add()
    async with office.worker() as process:
        await asyncio.wait_for(office.resend.arrived.wait(), 60)
        process.kill()
        await process.wait()
    assert office.smtp.mails == []
    office.resend.answer = takes  # type: ignore[method-assign]
    lock.rollback()
    lock.close()
    async with office.worker():
        assert (await job.result(timeout=60))["success"] is True
    assert (len(office.resend.sent), office.smtp.mails) == (1, [])


@pytest.mark.parametrize("when", ["keep and hang", "hang"])
async def test_a_mail_that_the_second_may_have_goes_again_only_by_hand(office: Office, when: str) -> None:
    office.resend.script = [REFUSED]
    office.smtp.on_data = when
    job = await office.add()
    async with office.worker() as process:
        await asyncio.wait_for(office.smtp.content_came.wait(), 60)

        async def has_it() -> bool:
            return len(office.smtp.mails) == (when == "keep and hang")

        await until(has_it)
        process.kill()
        await process.wait()
    arrived = len(office.smtp.mails)
    office.smtp.on_data = ""
    async with office.worker():
        await until(lambda: office.has_ended(job))
        ended = await office.queue.get_job(job.id)
        assert ended is not None
        # What docs/howto/email.md says: it fails, and names what to look for.
        assert await ended.state() == "failed"
        message_id = f"<email_{job.id}_{job.timestamp}@mail.example.com>"
        assert f"Look for Message-ID {message_id}" in (ended.failed_reason or "")
        assert [mail.message["Message-ID"] for mail in office.smtp.mails] == [message_id] * arrived
        assert (len(office.smtp.mails), office.resend.sent) == (arrived, [])

        await ended.retry()  # somebody has looked, and it is not there
        await until(lambda: office.has_ended(job))
    assert await job.state() == "completed"
    assert len(office.resend.sent) + len(office.smtp.mails) == arrived + 1
