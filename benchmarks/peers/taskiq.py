"""taskiq with taskiq-redis.

Two brokers, named by TASKIQ_BROKER:
    stream  RedisStreamBroker, the one its page recommends: consumer groups, acknowledged after the job
    list    ListQueueBroker: LPUSH and BRPOP, no acknowledgement, so a crash loses jobs; the least work there is
No result backend: the jobs' results are nobody's interest, and it is faster. max_async_tasks is the concurrency;
max_prefetch as large again, so that fetching overlaps with work; orjson serializer; uvloop, which its worker
command uses when installed. No bulk call.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from typing import Any

import uvloop
from benchmarks.peers.harness import QUEUE, AsyncPeer, main, started
from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import ListQueueBroker, RedisStreamBroker


class Taskiq(AsyncPeer):
    packages = ("taskiq", "taskiq-redis", "redis", "hiredis", "uvloop")

    def broker(self, url: str) -> Any:
        if os.environ.get("TASKIQ_BROKER") == "list":
            broker: Any = ListQueueBroker(url, queue_name=QUEUE)
        else:
            # From the stream's beginning, so that jobs added before the worker starts count.
            broker = RedisStreamBroker(url, queue_name=QUEUE, consumer_id="0")
        broker = broker.with_serializer(ORJSONSerializer())
        self.task = broker.register_task(started, task_name="noop")
        return broker

    async def connect(self, url: str) -> None:
        await self.broker(url).startup()

    async def add(self, sent_ns: int) -> None:
        await self.task.kiq(sent_ns)

    async def work(self, url: str, concurrency: int) -> None:
        await run_receiver_task(
            self.broker(url), max_async_tasks=concurrency, max_prefetch=concurrency, run_startup=True
        )

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        uvloop.run(main)


main(Taskiq())
