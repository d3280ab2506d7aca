"""Ten workers on the same records, with the database away for a while: what is left is what one worker leaves."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.support.all_queues import all_queues
from tests.support.databases import KINDS, Databases
from tests.support.same_cleanups import CLEANUPS
from tests.support.same_mails import MAILS
from tests.support.same_notices import NOTICES
from tests.support.same_papers import PAPERS
from tests.support.same_syncs import SYNCS
from tests.support.same_work import Job, Scenarios, Work
from tests.support.until import until

from toril.db.session import Database
from toril.engine.queue import Queue
from toril.queues.registry import make_worker, open_queue

#: One for each type of job, or for several together; a type without one fails a test.
SCENARIOS: Scenarios = {**SYNCS, **MAILS, **NOTICES, **PAPERS, **CLEANUPS}

WORKERS = 10
_PROMOTE_EACH = 0.5  #: seconds between two looks for jobs that wait for later
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
async def workers(
    work: Work, records: str, number: int, concurrency: int, **queue_options: Any
) -> AsyncIterator[None]:
    """So many, each with connections of its own to the database and to its queues."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            database = await stack.enter_async_context(Database(records))
            queues: dict[str, Queue] = {}

            async def add(
                name: str, data: Mapping[str, Any], options: Mapping[str, Any], queues: Any = queues
            ) -> Mapping[str, Any]:
                return {"jobId": (await put(queues[name], data, job_id=options["jobId"])).id}

            for definition in work.open(database, add):
                stack.push_async_callback(definition.close)
                queue = await stack.enter_async_context(open_queue(definition, **queue_options))
                queues[definition.name] = queue
                await stack.enter_async_context(
                    make_worker(definition, queue, concurrency=concurrency, grace=20.0)
                )
        yield


async def put(queue: Queue, data: Mapping[str, Any], **options: Any) -> Any:
    """Add a job. Each failure counts an attempt, and the database may be away for many."""
    return await queue.add(
        "__default__", data, attempts=1000, backoff=0.05, timeout=60, remove_on_complete=False, **options
    )


async def run(
    work: Work,
    queue_name: str,
    records: str,
    number: int,
    trouble: AbstractAsyncContextManager[None],
    **queue_options: Any,
) -> list[Any]:
    """Work all jobs: the database goes while the first half of them is worked, and the others find it away.

    Returns:
        What those that completed returned, in the order in which they were added.
    """
    async with AsyncExitStack() as stack:
        names = await names_of(work, records)
        assert names[0] == queue_name
        queues = [await stack.enter_async_context(Queue(name, **queue_options)) for name in names]
        queue, looked = queues[0], time.monotonic()

        async def add(jobs: Sequence[Job]) -> None:
            for job in jobs:
                await put(queue, job)

        async def some_are_done() -> bool:
            return (await queue.counts())["completed"] >= len(work.jobs) // 5

        async def all_have_ended() -> bool:
            nonlocal looked
            if time.monotonic() > looked + _PROMOTE_EACH:
                for each in queues:
                    await each.promote_jobs()
                looked = time.monotonic()
            counts = await queue.counts()
            if counts["completed"] + counts["failed"] < len(work.jobs):
                return False
            others = [await each.counts("waiting", "active", "delayed") for each in queues[1:]]
            return not any(sum(each.values()) for each in others)

        half = len(work.jobs) // 2
        await add(work.jobs[:half])
        # One alone works the jobs one after the other: so what it leaves does not depend on chance.
        async with workers(work, records, number, 1 if number == 1 else 2, **queue_options):
            await until(some_are_done, within_s=60)
            async with trouble:
                await add(work.jobs[half:])
                await asyncio.sleep(_AWAY)
            await until(all_have_ended, within_s=120)
        failed = [job.failed_reason or "" for each in queues for job in await each.get_jobs("failed")]
        assert [reason for reason in failed if not work.refused.match(reason)] == []
        completed = await queue.get_jobs("completed")
        return [job.return_value for job in sorted(completed, key=lambda job: int(job.id))]


async def names_of(work: Work, records: str) -> list[str]:
    """The queues that the work is in."""

    async def add(name: str, data: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
        raise NotImplementedError

    async with Database(records) as database:
        definitions = work.open(database, add)
        for definition in definitions:
            await definition.close()
        return [definition.name for definition in definitions]


async def test_every_type_of_job_has_a_scenario(tmp_path: Path) -> None:
    async with Database(home=tmp_path) as database:
        definitions = all_queues(database, tmp_path)
        types = {(name, type) for name, each in definitions.items() for type in each.types}
        for each in definitions.values():
            await each.close()
    assert types == {(each.queue, type) for each in SCENARIOS.values() for type in each.types}


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
            scenario = SCENARIOS[name]
            work = await scenario.prepare(database, stack)
            assert {job["type"] for job in work.jobs} == set(scenario.types)
            results = await run(work, scenario.queue, url, number, trouble, **options)
            left.append(await work.left(database, results))
    assert left[1] == left[0]
