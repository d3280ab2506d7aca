"""BullMQ's Python package.

Defaults; keeps the 1000 newest completed jobs. Bulk adds with addBulk.
"""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.peers.harness import BULK, QUEUE, AsyncPeer, main, started
from bullmq import Queue, Worker

OPTIONS = {"removeOnComplete": {"count": 1000}}


async def noop(job: Any, token: str) -> None:
    await started(job.data["sent_ns"])


class BullMq(AsyncPeer):
    packages = ("bullmq", "redis", "hiredis")

    async def connect(self, url: str) -> None:
        self.queue = Queue(QUEUE, {"connection": url})

    async def add(self, sent_ns: int) -> None:
        await self.queue.add("noop", {"sent_ns": sent_ns}, OPTIONS)

    async def add_many(self, count: int) -> None:
        job = {"name": "noop", "data": {"sent_ns": 0}, "opts": OPTIONS}
        for start in range(0, count, BULK):
            await self.queue.addBulk([job] * min(BULK, count - start))

    async def work(self, url: str, concurrency: int) -> None:
        # Named, so that the worker is not collected.
        self.worker = Worker(QUEUE, noop, {"connection": url, "concurrency": concurrency})
        await asyncio.Event().wait()


main(BullMq())
