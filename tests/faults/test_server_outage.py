"""A server away for longer than a lock costs no run and no stall; dead workers are still found."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker

LOCK = 2.0
OPTIONS: dict[str, Any] = {"lock_duration": LOCK, "stalled_interval": 0.4, "max_stalled_count": 0}


async def away(server: RedisServer, how: str) -> None:
    if how == "frozen":
        server.freeze()
    else:
        await asyncio.to_thread(server.kill)
    await asyncio.sleep(2 * LOCK)
    await asyncio.to_thread(server.thaw if how == "frozen" else server.start)


@pytest.mark.parametrize("how", ["frozen", "restarted"])
async def test_an_outage_longer_than_a_lock_costs_no_run_and_the_dead_are_still_found(how: str) -> None:
    ran, go = [], asyncio.Event()

    async def work(job: Job[Any]) -> str:
        ran.append(job.id)
        await go.wait()
        return "kept"

    with RedisServer(None, ["--appendonly", "yes", "--appendfsync", "always"], tcp=True) as server:
        async with Queue("q", url=server.url, patience=30) as queue:
            async with Worker(queue, work, concurrency=3, **OPTIONS) as worker:
                job = await queue.add("n", {})
                await until(lambda: _is(len(ran) == 1))
                for _ in range(2):
                    await away(server, how)

                    async def holds() -> bool:
                        return bool(await queue.scripts.ask("EXISTS", queue.keys.lock(job.id)))

                    await until(holds, within_s=60)
                dead = await queue.add("n", {}, delay=3600)
                await queue.scripts.ask("ZREM", queue.keys.of("delayed"), dead.id)
                # Started by a worker that died: a job without this was never seen by any, and goes back at once.
                await queue.scripts.ask("HSET", queue.keys.job(dead.id), "processedOn", 1)
                await queue.scripts.ask("LPUSH", queue.keys.of("active"), dead.id)

                async def found() -> bool:
                    return await dead.state() == "failed"

                await until(found, within_s=60)
                assert await job.state() == "active"
                go.set()
                assert await job.result(60) == "kept"
                assert worker.running == 0
            again = await queue.get_job(job.id)
            assert again is not None
            assert (again.stalled_counter, ran) == (0, [job.id])


async def _is(value: bool) -> bool:
    return value
