"""Ten workers on the same records, with the database away for a while: what is left is what one worker leaves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any

import pytest
from tests.support.databases import KINDS, Databases
from tests.support.same_records import SCENARIOS, Job, Work
from tests.support.until import until

from toril.db.session import Database
from toril.engine.queue import Queue
from toril.queues.registry import make_worker, open_queue

WORKERS = 10
_AWAY = 1.0  #: seconds
_HOLD = (
    "import sqlite3, sys\n"
    "connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)\n"
    "connection.execute('BEGIN IMMEDIATE')\n"
    "print('held', flush=True)\n"
    "sys.stdin.read()\n"
    "connection.execute('ROLLBACK')\n"
)


@pytest.fixture(scope="module")
def own_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Databases whose server may be stopped: nobody else has them."""
    made = Databases(tmp_path_factory.mktemp("own"))
    yield made
    made.close()


@asynccontextmanager
async def stopped(databases: Databases, url: str) -> AsyncIterator[None]:
    """PostgreSQL goes, with all connections, and comes back after the block."""
    server = databases.server()
    await asyncio.to_thread(server.stop)
    yield
    await asyncio.to_thread(server.start)


@asynccontextmanager
async def locked(databases: Databases, url: str) -> AsyncIterator[None]:
    """Another process writes to the SQLite file until after the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLD, url.removeprefix("sqlite:///"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"held\n"
        yield
    finally:
        process.stdin.close()
        await process.wait()


TROUBLE = {"postgresql": stopped, "sqlite": locked}


@asynccontextmanager
async def workers(work: Work, records: str, number: int, **queue_options: Any) -> AsyncIterator[None]:
    """So many, each with connections of its own to the database and to the queue."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            database = await stack.enter_async_context(Database(records))
            definition = work.open(database)
            stack.push_async_callback(definition.close)
            queue = await stack.enter_async_context(open_queue(definition, **queue_options))
            await stack.enter_async_context(make_worker(definition, queue, concurrency=2, grace=20.0))
        yield


async def run(
    work: Work, records: str, number: int, trouble: AbstractAsyncContextManager[None], **queue_options: Any
) -> None:
    """Work all jobs: the database goes while the first half of them is worked, and the others find it away."""
    async with Queue("sync", **queue_options) as queue:

        async def add(jobs: Sequence[Job]) -> None:
            for job in jobs:
                # Each failure counts an attempt, and the database may be away for many.
                await queue.add(
                    "__default__", job, attempts=1000, backoff=0.05, timeout=60, remove_on_complete=False
                )

        async def some_are_done() -> bool:
            return (await queue.counts())["completed"] >= len(work.jobs) // 5

        async def all_have_ended() -> bool:
            counts = await queue.counts()
            return counts["completed"] + counts["failed"] == len(work.jobs)

        half = len(work.jobs) // 2
        await add(work.jobs[:half])
        async with workers(work, records, number, **queue_options):
            await until(some_are_done, within_s=60)
            async with trouble:
                await add(work.jobs[half:])
                await asyncio.sleep(_AWAY)
            await until(all_have_ended, within_s=120)
        failed = await queue.get_jobs("failed")
        assert [each.failed_reason for each in failed] == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_ten_workers_leave_what_one_leaves(
    own_databases: Databases,
    start_server: Callable[[str], Any],
    prefix: str,
    kind: str,
    name: str,
) -> None:
    server_url = start_server("valkey").url
    left = []
    for number in (1, WORKERS):
        url = await own_databases.fresh(kind)
        options = {"url": server_url, "prefix": f"{prefix}{number}"}

        trouble = nullcontext() if number == 1 else TROUBLE[kind](own_databases, url)
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(Database(url))
            work = await SCENARIOS[name](database, stack)
            await run(work, url, number, trouble, **options)
            left.append(await work.left(database))
    assert left[1] == left[0]
