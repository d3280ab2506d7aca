"""A server at its memory limit, which refuses what could take more: what is there goes on, and nothing is half done."""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis
from tests.scripts import test_script_failures as failures
from tests.support.broken_scripts import BrokenScripts
from tests.support.script_runs import LOCK_MS
from tests.support.servers import RedisServer, server_binaries
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.keys import QueueKeys
from toril.engine.queue import Queue
from toril.engine.scripts.loader import names
from toril.engine.worker import Worker
from toril.errors import QueueUnavailableError

WITHIN = 60.0

#: What only gets rid of jobs, or keeps them: not to be refused.
NEVER_REFUSED = {
    "check_schedules",
    "clean_list",
    "clean_set",
    "end_debounce",
    "obliterate",
    "pause",
    "promote_delayed",
    "promote_jobs",
    "put_back_lost",
    "reclaim",
    "refill_window",
    "register_worker",
    "remove_jobs",
    "renew_locks",
    "restore_overflow",
}


@pytest.fixture(scope="module", params=["valkey", "redis"])
def own_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    if request.param not in server_binaries():
        pytest.skip(f"no {request.param} server on this machine")
    with RedisServer(request.param) as server:
        yield server


@pytest.fixture
def client(own_server: RedisServer) -> Iterator[redis.Redis]:
    with own_server.client() as client:
        yield client
        client.config_set("maxmemory", 0)


@pytest.fixture
async def queue(own_server: RedisServer, client: redis.Redis) -> AsyncIterator[Queue]:
    async with Queue("q", url=own_server.url, prefix=f"t{uuid.uuid4().hex[:12]}") as queue:
        yield queue


@pytest.mark.parametrize("name", [name for name in names() if name != "advance"])
def test_a_script_is_refused_as_a_whole_or_not_at_all(client: redis.Redis, name: str) -> None:
    prefix = f"t{uuid.uuid4().hex[:12]}"
    broken = BrokenScripts(client, QueueKeys("work", prefix), QueueKeys("dead", prefix))
    try:
        for call in failures.CALLS[name]:
            broken.restore(failures.Snapshot(()))
            snapshot, ids = failures.filled(broken, name)
            arguments = call.arguments(ids)
            failures.until_done(broken, name, call, arguments)
            wanted = broken.state()
            broken.restore(snapshot)
            before = broken.state()
            client.delete(broken.keys.of("stalled-check"))
            client.config_set("maxmemory", 1)
            try:
                broken.run(name, *arguments, dead=call.dead)
                refused = False
            except redis.ResponseError as error:
                if not isinstance(error, redis.OutOfMemoryError) and "OOM" not in str(error):
                    raise
                refused = True
            client.config_set("maxmemory", 0)
            assert not (refused and name in NEVER_REFUSED)
            if refused:
                assert broken.state() == before
            failures.assert_each_in_one_place(broken.state(), removes=call.removes)
            failures.until_done(broken, name, call, arguments)
            assert broken.state() == wanted
    finally:
        broken.close()


@pytest.mark.parametrize("limiter", ["", "2 60000 0", "2 60000 1"])
@pytest.mark.parametrize("way", ["claimed", "taken"])
def test_jobs_are_started_and_their_outcomes_recorded(client: redis.Redis, limiter: str, way: str) -> None:
    prefix = f"t{uuid.uuid4().hex[:12]}"
    broken = BrokenScripts(client, QueueKeys("work", prefix), QueueKeys("dead", prefix))
    try:
        ids = broken.add(0, 0)
        claims = []
        if way == "claimed":
            claims = [client.lmove(broken.keys.of("wait"), broken.keys.of("active"), "RIGHT", "LEFT")]
        client.config_set("maxmemory", 1)
        _, taken, *_, troubles, _ = broken.run("advance", LOCK_MS, 1, limiter, 5, 0, len(claims), *claims)
        assert [row[11] for row in taken] == ids[:1]
        assert troubles == []
        outcome = ("complete", ids[0], broken.fence_of(ids[0]), "1", "", "", "-1", "-1", "")
        codes, *_ = broken.run("advance", LOCK_MS, 0, limiter, 5, 0, 0, *outcome)
        assert codes == [0]
    finally:
        client.config_set("maxmemory", 0)
        broken.close()


async def test_a_waiting_worker_runs_what_becomes_due_and_keeps_its_locks(
    queue: Queue, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """With no stall tolerated: a lock that is not renewed would cost the job."""
    ran, go = list[str](), asyncio.Event()

    async def work(job: Job[Any]) -> str:
        ran.append(job.name)
        if job.name == "held":
            await go.wait()
        return job.name

    caplog.set_level(logging.WARNING)
    lock, left = 0.6, list[int]()
    options: dict[str, Any] = {"lock_duration": lock, "stalled_interval": 0.1, "max_stalled_count": 0}
    async with Worker(queue, work, concurrency=3, **options) as worker:
        held = await queue.add("held", {})
        await until(lambda: _is(ran == ["held"]), within_s=WITHIN)
        due = [await queue.add(f"due-{number}", {}, delay=0.5) for number in range(3)]
        await until(lambda: _is(worker._idle.waiting), within_s=WITHIN)
        client.config_set("maxmemory", 1)
        with pytest.raises(QueueUnavailableError, match="out of memory"):
            await queue.add("n", {})
        assert [await job.result(WITHIN) for job in due] == ["due-0", "due-1", "due-2"]

        async def is_renewed() -> bool:
            left.append(client.pttl(queue.keys.lock(held.id)))
            assert left[-1] > 0, "no lock"
            return sum(now > before for before, now in itertools.pairwise(left)) >= 3

        await until(is_renewed, within_s=WITHIN)
        client.config_set("maxmemory", 0)
        go.set()
        assert await held.result(WITHIN) == "held"
        assert await (await queue.add("after", {})).result(WITHIN) == "after"
    assert sorted(ran) == ["after", "due-0", "due-1", "due-2", "held"]
    assert not [row for row in caplog.records if row.message.startswith(("lock", "stalled", "committer"))]


async def test_jobs_can_be_removed(queue: Queue, client: redis.Redis) -> None:
    """Which is what helps."""
    jobs = await queue.add_bulk([("n", {}, {"priority": number % 3}) for number in range(20)])
    client.config_set("maxmemory", 1)
    await jobs[3].remove()
    assert len(await queue.clean(0, "waiting", 5)) == 5
    await queue.empty()
    assert await queue.count() == 0


async def _is(value: bool) -> bool:
    return value
