"""Mail workers killed in the middle of their work: started again, every mail is there exactly once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import bulk, campaign, until
from tests.support.email_ledger import bulk_sends, campaign_sends, mail_database
from tests.support.processes import module_process
from tests.support.resend_server import resend_server

from toril.db.session import Database
from toril.engine.queue import Queue
from toril.queues.email import OutboxProvider, email_queue, parse_mailbox
from toril.queues.registry import open_queue

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with mail_database(tmp_path) as opened:
        yield opened


@pytest.fixture
async def url(start_server: Any) -> str:
    return str(start_server("valkey").url)


@pytest.fixture
async def queue(url: str, prefix: str) -> AsyncIterator[Queue]:
    definition = email_queue(OutboxProvider("unused"), from_email="o@mail.example.com")
    async with open_queue(definition, url=url, prefix=prefix) as opened:
        yield opened


#: A worker process that is ready; killed at the end.
worker = partial(module_process, "tests.support.email_worker")


def mails_in(folder: Path) -> int:
    return sum(name.endswith(".eml") for name in os.listdir(folder)) if folder.exists() else 0


async def recipients(outbox: OutboxProvider) -> Counter[str]:
    return Counter(parse_mailbox(mail.to).address for mail in await outbox.list(limit=5000))


async def test_a_bulk_mail_of_a_thousand_is_finished_by_the_next_worker(
    database: Database, queue: Queue, url: str, prefix: str, tmp_path: Path
) -> None:
    job = await queue.add("__default__", bulk(1000), job_id="email-1732400000000-k3v9x0q2a")
    outbox = OutboxProvider(tmp_path / "outbox")
    async with worker(url, prefix, str(tmp_path)) as process:
        await until(lambda: mails_in(outbox.folder) >= 300, within_s=60)
        process.kill()
        await process.wait()
    assert await job.state() == "active"
    assert mails_in(outbox.folder) < 1000
    assert 0 < len(await bulk_sends(database)) < 1000
    async with worker(url, prefix, str(tmp_path)):
        result = await job.result(timeout=60)
    assert (result["success"], result["successCount"], result["failedCount"]) == (True, 1000, 0)
    assert await recipients(outbox) == Counter(f"c{n}@example.com" for n in range(1000))
    assert len({row["messageId"] for row in result["results"]}) == 1000
    assert len(await bulk_sends(database)) == 1000


async def test_batches_of_a_killed_worker_reach_everybody_once(
    database: Database, queue: Queue, url: str, prefix: str, tmp_path: Path
) -> None:
    async with resend_server() as server:
        job = await queue.add("__default__", bulk(1000))
        async with worker(url, prefix, str(tmp_path), server.url) as process:
            await until(lambda: len(server.sent) >= 300, within_s=60)
            process.kill()
            await process.wait()
        recorded = len(await bulk_sends(database))
        assert 200 <= recorded < 1000
        async with worker(url, prefix, str(tmp_path), server.url):
            result = await job.result(timeout=60)
        assert result["successCount"] == 1000
        assert Counter(mail["to"][0] for mail in server.sent) == Counter(
            f"Client {n} <c{n}@example.com>" for n in range(1000)
        )


async def test_a_campaign_is_finished_by_the_next_worker(
    database: Database, queue: Queue, url: str, prefix: str, tmp_path: Path
) -> None:
    number = 200
    jobs = await queue.add_bulk(
        ("__default__", campaign(recipient={"email": f"c{n}@example.com"}, trackingId=f"t-{n}"))
        for n in range(number)
    )
    outbox = OutboxProvider(tmp_path / "outbox")
    async with worker(url, prefix, str(tmp_path)) as process:
        await until(lambda: mails_in(outbox.folder) >= 50, within_s=60)
        process.kill()
        await process.wait()
    assert mails_in(outbox.folder) < number
    async with worker(url, prefix, str(tmp_path)):
        results = [await job.result(timeout=60) for job in jobs]
    assert all(result["success"] for result in results)
    assert await recipients(outbox) == Counter(f"c{n}@example.com" for n in range(number))
    assert {send.status.value for send in await campaign_sends(database)} == {"sent"}
