"""Many single mails at once, to a provider that takes few: all arrive, once, in order, without being turned away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.email_jobs import transactional
from tests.support.processes import ROOT
from tests.support.resend_server import API_KEY, ResendServer, failure, resend_server
from tests.support.until import until

from toril.db.session import Database
from toril.queues.email import email_queue
from toril.queues.email.providers.resend import ResendProvider
from toril.queues.registry import make_worker, open_queue

CONCURRENCY = 5  #: of the queue: so many mails are under way when a worker is killed


@contextlib.asynccontextmanager
async def worker(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process of the e-mail queue, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.email_worker",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        await process.communicate()


def numbers(server: ResendServer) -> list[int]:
    return [int(mail["subject"]) for mail in server.sent]


async def burst(
    url: str, prefix: str, home: Path, *, mails: int, per_second: int
) -> tuple[ResendServer, set[int]]:
    """Send ``mails`` single mails, with the worker killed after a third and after two thirds.

    Returns:
        What was sent, and the numbers of the mails that were under way in a worker that was killed.
    """
    stranded: set[int] = set()
    async with Database(home=home) as database:
        await database.upgrade()
    async with resend_server() as server:
        server.per_second = per_second
        definition = email_queue(ResendProvider(API_KEY), from_email="o@mail.example.com")
        async with open_queue(definition, url=url, prefix=prefix) as queue:
            await queue.add_bulk(
                [("__default__", transactional(subject=str(number))) for number in range(mails)]
            )
            for share in (mails // 3, 2 * mails // 3, mails):
                async with worker(url, prefix, str(home), server.url, str(per_second)):

                    async def is_sent(share: int = share) -> bool:
                        return len(server.sent) >= share

                    await until(is_sent, within_s=60 + 3 * mails / per_second)
                    if share == mails:

                        async def is_recorded() -> bool:
                            counts = await queue.counts()
                            return not (counts["waiting"] or counts["active"] or counts["delayed"])

                        await until(is_recorded, within_s=60)
                for job in await queue.get_jobs("active", 0, -1):
                    stranded.add(int(job.data["data"]["subject"]))
            counts = await queue.counts()
        await definition.close()
    assert counts["failed"] == 0
    return server, stranded


async def test_a_burst_arrives_once_and_in_order_though_the_worker_is_killed_twice(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    server, stranded = await burst(server_url, prefix, tmp_path, mails=60, per_second=20)
    sent = numbers(server)
    assert sorted(sent) == list(range(60))
    # Those under way when a worker is killed wait until their lock has run out. All others keep their order.
    assert len(stranded) <= 2 * CONCURRENCY
    others = [number for number in sent if number not in stranded]
    assert others == sorted(others)
    assert server.refused < 20


async def test_two_workers_share_one_line(server_url: str, prefix: str) -> None:
    async with resend_server() as server, contextlib.AsyncExitStack() as stack:
        server.per_second = 10
        jobs = []
        for number in range(2):
            provider = ResendProvider(API_KEY, base_url=server.url, per_second=10)
            definition = email_queue(provider, from_email="o@mail.example.com")
            stack.push_async_callback(definition.close)
            queue = await stack.enter_async_context(open_queue(definition, url=server_url, prefix=prefix))
            if not number:
                jobs = await queue.add_bulk(
                    [("__default__", transactional(subject=str(n))) for n in range(25)]
                )
            await stack.enter_async_context(make_worker(definition, queue))
        for job in jobs:
            await job.result(60)
    assert numbers(server) == list(range(25))
    assert server.refused < 5


async def test_mails_that_are_refused_stay_before_those_behind_them(server_url: str, prefix: str) -> None:
    async with resend_server() as server:
        refusal = failure(429, "rate_limit_exceeded", retry_after="0.05")
        taken: Any = "taken"
        server.script = [taken, refusal, refusal, taken, taken, refusal]
        provider = ResendProvider(API_KEY, base_url=server.url, per_second=50)
        definition = email_queue(provider, from_email="o@mail.example.com")
        async with open_queue(definition, url=server_url, prefix=prefix) as queue:
            jobs = await queue.add_bulk([("__default__", transactional(subject=str(n))) for n in range(12)])
            async with make_worker(definition, queue):
                for job in jobs:
                    await job.result(30)
        await definition.close()
    assert numbers(server) == list(range(12))


async def test_a_mail_that_fails_for_good_holds_up_no_other(server_url: str, prefix: str) -> None:
    async with resend_server() as server:
        provider = ResendProvider(API_KEY, base_url=server.url, per_second=50)
        definition = email_queue(provider, from_email="o@mail.example.com")
        async with open_queue(definition, url=server_url, prefix=prefix) as queue:
            missing = {"attachments": [{"filename": "a", "path": "none"}], "firmId": "a" * 24}
            jobs = await queue.add_bulk(
                [
                    ("__default__", transactional(subject=str(n), **({} if n % 3 else missing)))
                    for n in range(12)
                ]
            )
            async with make_worker(definition, queue):
                for number, job in enumerate(jobs):
                    if number % 3:
                        await job.result(30)
        await definition.close()
    assert numbers(server) == [n for n in range(12) if n % 3]


async def test_a_provider_that_turns_mail_away_costs_no_attempt(server_url: str, prefix: str) -> None:
    async with resend_server() as server:
        server.script = [failure(429, "rate_limit_exceeded", retry_after="0.01")] * 10
        provider = ResendProvider(API_KEY, base_url=server.url, per_second=100)
        definition = email_queue(provider, from_email="o@mail.example.com")
        async with open_queue(definition, url=server_url, prefix=prefix) as queue:
            jobs = [await queue.add("__default__", transactional(subject=str(n))) for n in range(4)]
            async with make_worker(definition, queue):
                for job in jobs:
                    await job.result(60)
            found = [await queue.get_job(job.id) for job in jobs]
        await definition.close()
    assert [job.attempts_made for job in found if job is not None] == [0] * 4
    assert len(server.sent) == 4


async def test_a_used_up_quota_puts_all_mail_off_and_asks_once(server_url: str, prefix: str) -> None:
    async with resend_server() as server:
        server.script = [failure(429, "daily_quota_exceeded")] * 20
        provider = ResendProvider(API_KEY, base_url=server.url, per_second=5)
        definition = email_queue(provider, from_email="o@mail.example.com", concurrency=1)
        async with open_queue(definition, url=server_url, prefix=prefix) as queue:
            await queue.add_bulk([("__default__", transactional(subject=str(n))) for n in range(20)])
            async with make_worker(definition, queue):

                async def is_put_off() -> bool:
                    return (await queue.counts())["delayed"] == 20

                await until(is_put_off, within_s=60)
            waiting = await queue.get_jobs("delayed", 0, -1)
        await definition.close()
    assert len(server.requests) == 1
    assert {job.attempts_made for job in waiting} == {0}
