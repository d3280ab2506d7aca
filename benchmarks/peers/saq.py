"""SAQ on Redis.

max_concurrent_ops 100 instead of 20, so that its client does not hold back 100 adds in flight. Results are kept
for ten minutes (its default). Its batch call waits for the jobs' results, so bulk adds are 100 calls at a time.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.harness import IN_FLIGHT, QUEUE, AsyncPeer, main, started
from saq import Worker
from saq.queue.redis import RedisQueue


async def noop(ctx: Any, *, sent_ns: int) -> None:
    await started(sent_ns)


class Saq(AsyncPeer):
    packages = ("saq", "redis", "hiredis")

    async def connect(self, url: str) -> None:
        self.queue = RedisQueue.from_url(url, name=QUEUE, max_concurrent_ops=IN_FLIGHT)
        await self.queue.connect()

    async def add(self, sent_ns: int) -> None:
        await self.queue.enqueue("noop", sent_ns=sent_ns)

    async def work(self, url: str, concurrency: int) -> None:
        await self.connect(url)
        await Worker(self.queue, functions=[("noop", noop)], concurrency=concurrency).start()


main(Saq())
