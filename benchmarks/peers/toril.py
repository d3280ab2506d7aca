"""Toril.

Defaults; keeps the 1000 newest completed jobs, as the Bull family does here. Bulk adds with add_bulk.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.harness import BULK, QUEUE, AsyncPeer, main, started

from toril import Job, Queue, Worker


class Toril(AsyncPeer):
    packages = ("toril", "redis", "hiredis")

    async def connect(self, url: str) -> None:
        self.queue = Queue(QUEUE, url=url)

    async def add(self, sent_ns: int) -> None:
        await self.queue.add("noop", {"sent_ns": sent_ns}, remove_on_complete=1000)

    async def add_many(self, count: int) -> None:
        job = ("noop", {"sent_ns": 0}, {"remove_on_complete": 1000})
        for start in range(0, count, BULK):
            await self.queue.add_bulk([job] * min(BULK, count - start))

    async def work(self, url: str, concurrency: int) -> None:
        await self.connect(url)

        @self.queue.process("noop")
        async def noop(job: Job[Any]) -> None:
            await started(job.data["sent_ns"])

        await Worker(self.queue, concurrency=concurrency).run()


main(Toril())
