"""Dramatiq on Redis.

One process with as many threads as the concurrency; it prefetches two messages a thread (its default). No
results. No bulk call.
"""

from __future__ import annotations

from typing import Any

import dramatiq
from benchmarks.peers.harness import QUEUE, SyncPeer, main, started_sync
from dramatiq.brokers.redis import RedisBroker


class Dramatiq(SyncPeer):
    packages = ("dramatiq", "redis", "hiredis")

    def connect(self, url: str) -> None:
        self.broker = RedisBroker(url=url)
        dramatiq.set_broker(self.broker)
        self.actor: Any = dramatiq.actor(started_sync, actor_name="noop", queue_name=QUEUE)

    def add(self, sent_ns: int) -> None:
        self.actor.send(sent_ns)

    def work(self, url: str, concurrency: int) -> None:
        self.connect(url)
        dramatiq.Worker(self.broker, worker_threads=concurrency).start()


main(Dramatiq())
