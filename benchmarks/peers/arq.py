"""arq.

poll_delay 0.01 s instead of 0.5: arq polls, and with its default no run of no-op jobs exceeds max_jobs each
half second. At concurrency 1 the poll still sets the pace; a shorter one would load the server at rest, where it
sends a hundred requests a second as it is. queue_read_limit stays max(5 × max_jobs, 100). Results are kept for an
hour (its default). No bulk call.
"""

from __future__ import annotations

from typing import Any

from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker
from benchmarks.peers.harness import QUEUE, AsyncPeer, main, started


async def noop(ctx: dict[Any, Any], sent_ns: int) -> None:
    await started(sent_ns)


class Arq(AsyncPeer):
    packages = ("arq", "redis", "hiredis")

    async def connect(self, url: str) -> None:
        self.pool = await create_pool(RedisSettings.from_dsn(url), default_queue_name=QUEUE)

    async def add(self, sent_ns: int) -> None:
        await self.pool.enqueue_job("noop", sent_ns)

    async def work(self, url: str, concurrency: int) -> None:
        await Worker(
            functions=[func(noop, name="noop")],
            queue_name=QUEUE,
            redis_settings=RedisSettings.from_dsn(url),
            max_jobs=concurrency,
            poll_delay=0.01,
        ).async_run()


main(Arq())
