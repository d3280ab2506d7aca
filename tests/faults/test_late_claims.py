"""A job that a blocking call moved, and whose worker hears of it, or is heard, later than a lock lives."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.steps import LOCK_MS, take
from tests.support.until import past, until

from toril.engine.job import Job
from toril.engine.lost_moves import LostMoveSearch
from toril.engine.queue import Queue
from toril.engine.scripts.loader import load
from toril.engine.worker import Worker

LOCK = 0.4
WITHIN = 60.0


async def start_elsewhere(near: Queue, other: Queue, job_id: str) -> str:
    """Have somebody else start a job that is in active; the lock has run out. Returns the attempt's fence."""
    wait, active = near.keys.of("wait"), near.keys.of("active")
    assert await near.scripts.ask("LREM", active, 1, job_id) == 1
    await near.scripts.ask("RPUSH", wait, job_id)
    assert await take(other, lock_ms=1) == [job_id]
    started = int(await near.scripts.ask("HGET", near.keys.job(job_id), "processedOn"))
    await past(started + 1000 * LOCK + 50)
    return f"{other.token}:{started}000"  # any of that millisecond will do


@pytest.mark.parametrize("late", ["answer to the blocking call", "call that was sent again"])
async def test_a_late_claim_starts_no_job_that_another_has_started(late: str) -> None:
    """The other has lost its lock in an outage, and gets it back: the job runs there."""
    ran: list[str] = []

    async def work(job: Job[Any]) -> str:
        ran.append(job.id)
        return "done"

    with RedisServer(tcp=True) as server, Proxy(server.port) as proxy:
        async with (
            Queue("q", url=proxy.url) as far,
            Queue("q", url=server.url) as near,
            Queue("q", url=server.url) as other,
            Worker(far, work, lock_duration=LOCK, stalled_interval=0),
        ):

            async def waits() -> bool:
                return b"\r\nblocked_clients:1\r\n" in await near.scripts.ask("INFO", "clients")

            first = await near.add("n", {})
            assert await first.result(WITHIN) == "done"
            await until(waits, within_s=WITHIN)
            if late == "answer to the blocking call":
                proxy.hold()
            else:
                proxy.lose_answer_to(load("advance").sha.encode())
            job = await near.add("n", {})

            async def was_moved() -> bool:
                return bool(await near.scripts.ask("LLEN", near.keys.of("active")))

            async def has_run_out() -> bool:
                started = await near.scripts.ask("HEXISTS", near.keys.job(job.id), "processedOn")
                return started == 1 and not await near.scripts.ask("EXISTS", near.keys.lock(job.id))

            await until(was_moved, within_s=WITHIN)
            if late == "call that was sent again":
                await until(lambda: _is(proxy.lost_one), within_s=WITHIN)
                proxy.swallow(new=True)
                await until(has_run_out, within_s=WITHIN)
            fence = await start_elsewhere(near, other, job.id)
            proxy.release()
            proxy.heal()
            later = await near.add("n", {})
            assert await later.result(WITHIN) == "done", "the worker goes on"
            assert await other.scripts.run("renew_locks", LOCK_MS, job.id, fence) == [[], []]
            outcome = ("complete", job.id, fence, "1", "", "", -1, -1, "")
            codes, *_ = await other.scripts.run("advance", LOCK_MS, 0, "", 0, 0, 0, *outcome)
            assert codes == [0]
    assert ran == [first.id, later.id]


async def test_jobs_of_lost_answers_are_looked_for_once_others_have_had_time_since_the_return() -> None:
    """A job without a lock may be that of a worker which is about to get its lock back."""
    with RedisServer(tcp=True) as server, Proxy(server.port) as proxy:
        async with Queue("q", url=proxy.url) as queue, Queue("q", url=server.url) as other:
            job = await other.add("n", {})
            assert await take(other, lock_ms=1) == [job.id]
            started = int(await other.scripts.ask("HGET", other.keys.job(job.id), "processedOn"))
            await past(started + 5)
            search = LostMoveSearch(queue.scripts, grace=3600.0, pause=0.0)
            await search.start()
            assert search._task is not None
            search._task.cancel()  # each look is made here
            search.begin(started)
            for _ in range(8):
                wait = await search.run_once()
            assert wait is not None
            assert 3000 < wait <= 3600
            assert await job.state() == "active"
            search._late_at = 0.0  # the time is over
            queue.connection.renew()  # and the server was away once more
            assert await queue.scripts.ask("PING") == b"PONG"
            assert (await search.run_once() or 0) > 3000
            assert await job.state() == "active"
            search._late_at = 0.0
            for _ in range(2):
                await search.run_once()
            assert await job.state() == "waiting"
            await search.stop()


async def _is(value: bool) -> bool:
    return value
