"""RQ.

SimpleWorker, which runs jobs in its own process: RQ's default worker forks for every job, some fifty times
slower for no-op jobs. An RQ worker runs one job at a time, so there is no concurrency of 100 in one process.
Results are kept for 500 s (its default). Bulk adds with enqueue_many in a pipeline.
"""

from __future__ import annotations

import logging

from benchmarks.peers.harness import BULK, QUEUE, SyncPeer, main
from redis import Redis
from rq import Queue, SimpleWorker

NOOP = "benchmarks.peers.harness.started_sync"


class Rq(SyncPeer):
    packages = ("rq", "redis", "hiredis")

    def connect(self, url: str) -> None:
        self.redis = Redis.from_url(url)
        self.queue = Queue(QUEUE, connection=self.redis)

    def add(self, sent_ns: int) -> None:
        self.queue.enqueue(NOOP, sent_ns)

    def add_many(self, count: int) -> None:
        for start in range(0, count, BULK):
            batch = [Queue.prepare_data(NOOP, args=[0]) for _ in range(min(BULK, count - start))]
            with self.redis.pipeline() as pipeline:
                self.queue.enqueue_many(batch, pipeline=pipeline)
                pipeline.execute()

    def work(self, url: str, concurrency: int) -> None:
        if concurrency > 1:
            raise ValueError("an RQ worker runs one job at a time")
        self.connect(url)
        SimpleWorker([self.queue], connection=self.redis).work(
            logging_level=logging.getLevelName(logging.ERROR)
        )


main(Rq())
