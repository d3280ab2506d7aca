"""Locks run on while the server is away: they are renewed when it is back, and not only when it is time to."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.thread_keeper import kept_threads_ended
from toril.engine.worker import Worker

#: Seconds. The next renewal is planned for long after the test.
LOCK, RENEW, WITHIN = 1000.0, 900.0, 30.0


@pytest.mark.parametrize("how", ["frozen", "restarted", "cut off"])
async def test_locks_are_renewed_as_soon_as_the_server_is_back(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def work(job: Job[Any]) -> str:
        begun.set()
        await go.wait()
        return "kept"

    with RedisServer(None, ["--appendonly", "yes", "--appendfsync", "always"], tcp=True) as server:
        async with Queue("q", url=server.url, patience=60) as queue:
            queue.connection.notice_within = 0.6
            async with Worker(queue, work, lock_duration=LOCK, lock_renew=RENEW, stalled_interval=0):
                job = await queue.add("n", {})
                await begun.wait()
                # As if much of it had run out meanwhile.
                await queue.scripts.ask("PEXPIRE", queue.keys.lock(job.id), 500_000)
                if how == "frozen":
                    server.freeze()
                elif how == "restarted":
                    await asyncio.to_thread(server.kill)
                else:
                    queue.connection.renew()
                asking = asyncio.create_task(queue.counts())

                async def is_noticed() -> bool:
                    return any(
                        row.message.startswith(("server_silent", "server_away")) for row in caplog.records
                    )

                if how != "cut off":
                    await until(is_noticed, within_s=WITHIN)
                await asyncio.to_thread(server.thaw if how == "frozen" else server.start)
                await asking

                async def is_renewed() -> bool:
                    left = await queue.scripts.ask("PTTL", queue.keys.lock(job.id))
                    return int(left) > RENEW * 1000

                await until(is_renewed, within_s=WITHIN)
                go.set()
                assert await job.result(WITHIN) == "kept"


async def test_locks_of_threads_that_outlive_their_worker_are_renewed_too() -> None:
    """By the thread that keeps them, which has a connection of its own."""
    go = [threading.Event(), threading.Event()]

    def work(job: Any) -> int:
        assert go[job.data].wait(2 * WITHIN)
        return int(job.data)

    with RedisServer(tcp=True) as server, Proxy(server.port) as proxy:
        async with Queue("q", url=server.url) as near:
            options: dict[str, Any] = {"lock_duration": LOCK, "lock_renew": RENEW, "stalled_interval": 0}
            async with (
                Queue("q", url=proxy.url) as queue,
                Worker(queue, work, concurrency=2, grace=0, **options) as worker,
            ):
                jobs = await near.add_bulk([("n", 0), ("n", 1)])
                await until(lambda: _is(worker.running == 2), within_s=WITHIN)
            try:
                await near.scripts.ask("PEXPIRE", near.keys.lock(jobs[1].id), 500_000)
                proxy.swallow()
                go[0].set()  # how it ended cannot be told on the connection that is there

                async def is_renewed() -> bool:
                    return int(await near.scripts.ask("PTTL", near.keys.lock(jobs[1].id))) > RENEW * 1000

                await until(is_renewed, within_s=2 * WITHIN)
            finally:
                for event in go:
                    event.set()
            assert [await job.result(2 * WITHIN) for job in jobs] == [0, 1]
            async with asyncio.timeout(2 * WITHIN):
                await kept_threads_ended()


async def test_a_renewal_that_is_refused_is_tried_again_soon(
    server_url: str, prefix: str, queue: Queue
) -> None:
    """A full server, say: the refusal passes, and a whole period later would be too late."""
    begun, go, failed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(job: Job[Any]) -> str:
        begun.set()
        await go.wait()
        return "kept"

    queue.on("lock_extension_failed", lambda *_: failed.set())
    async with Worker(queue, work, lock_duration=LOCK, lock_renew=RENEW, stalled_interval=0) as worker:
        job = await queue.add("n", {})
        await begun.wait()
        cancelled = queue.keys.of("toril:cancelled")
        await queue.scripts.ask("SET", cancelled, "no hash")  # what the script does not expect
        worker._renewer.poke()
        async with asyncio.timeout(WITHIN):
            await failed.wait()
        await queue.scripts.ask("PEXPIRE", queue.keys.lock(job.id), 500_000)
        await queue.scripts.ask("DEL", cancelled)

        async def is_renewed() -> bool:
            return int(await queue.scripts.ask("PTTL", queue.keys.lock(job.id))) > RENEW * 1000

        await until(is_renewed, within_s=WITHIN)
        go.set()
        assert await job.result(WITHIN) == "kept"


async def _is(value: bool) -> bool:
    return value
