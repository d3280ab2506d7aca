"""streaQ.

Its prefetch stays as large as the concurrency (its default); uvloop through anyio's option. Results are kept for
five minutes (its default). Bulk adds with enqueue_many, one pipeline a batch.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import uvloop
from benchmarks.peers.harness import BULK, QUEUE, AsyncPeer, main, started
from streaq import Worker


class Streaq(AsyncPeer):
    packages = ("streaq", "coredis", "uvloop")

    def worker(self, url: str, concurrency: int) -> Any:
        worker: Any = Worker(redis_url=url, queue_name=QUEUE, concurrency=concurrency)
        self.task = worker.task(name="noop")(started)
        return worker

    async def connect(self, url: str) -> None:
        self.client = self.worker(url, 1)
        await self.client.__aenter__()

    async def add(self, sent_ns: int) -> None:
        await self.task.enqueue(sent_ns)

    async def add_many(self, count: int) -> None:
        for start in range(0, count, BULK):
            await self.client.enqueue_many([self.task.enqueue(0) for _ in range(min(BULK, count - start))])

    async def work(self, url: str, concurrency: int) -> None:
        await self.worker(url, concurrency).run_async()

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        uvloop.run(main)


main(Streaq())
