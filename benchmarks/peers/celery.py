"""Celery on Redis.

Results ignored (no backend). Concurrency 1 in the solo pool, 100 in the thread pool: both are one process, and
prefork would be a hundred. worker_prefetch_multiplier 64, as its guide advises for many short tasks. No gossip,
mingle or heartbeat, which one worker does not need. No bulk call.
"""

from __future__ import annotations

from benchmarks.peers.harness import QUEUE, SyncPeer, main, started_sync
from celery import Celery


class CeleryPeer(SyncPeer):
    packages = ("celery", "kombu", "redis", "hiredis")

    def connect(self, url: str) -> None:
        self.app = Celery("bench", broker=url.replace("unix://", "redis+socket://"))
        self.app.conf.update(
            task_ignore_result=True,
            task_default_queue=QUEUE,
            worker_prefetch_multiplier=64,
            worker_hijack_root_logger=False,
            broker_connection_retry_on_startup=True,
        )
        self.task = self.app.task(started_sync, name="noop")

    def add(self, sent_ns: int) -> None:
        self.task.delay(sent_ns)

    def work(self, url: str, concurrency: int) -> None:
        self.connect(url)
        pool = "solo" if concurrency == 1 else "threads"
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR", "--quiet"]
        self.app.worker_main(
            ["--quiet", "worker", f"--pool={pool}", f"--concurrency={concurrency}", *quiet[:-1]]
        )


main(CeleryPeer())
