"""The synchronous portal: the same engine for code that does not await."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import toril.sync
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import JobFailedError, OptionError, QueueStateError


def test_jobs_are_added_worked_and_read_without_await(server_url: str, prefix: str) -> None:
    with toril.sync.Queue("q", url=server_url, prefix=prefix) as queue:
        job = queue.add("n", {"a": 1}, attempts=2)
        assert (job.name, job.data, job.state()) == ("n", {"a": 1}, "waiting")
        assert job.log("a row") == 1
        job.update_progress(5)
        again = queue.get_job(job.id)
        assert again is not None
        assert (again.progress, again.options.attempts) == (5, 2)
        assert len(queue.add_bulk([("n", 1), ("n", 2)])) == 2
        assert queue.counts("waiting") == {"waiting": 3}
        queue.pause()
        assert job.state() == "paused"
        queue.resume()
        job.remove()
        assert queue.get_job(job.id) is None
        assert len(queue.call("clean", 0, "wait")) == 2
        with pytest.raises(OptionError):
            queue.add("n", {}, delay=-1)
        with pytest.raises(AttributeError):
            job.no_such_thing  # noqa: B018


async def test_results_are_awaited_from_another_thread(queue: Queue, server_url: str, prefix: str) -> None:
    results: list[Any] = []

    def ask() -> None:
        with toril.sync.Queue(queue.name, url=server_url, prefix=prefix) as portal:
            results.append(portal.add("good", 20).result(timeout=60))
            try:
                portal.add("bad", 1).result(timeout=60)
            except JobFailedError as error:
                results.append(error.reason)

    async def work(job: Job[Any]) -> int:
        if job.name == "bad":
            raise ValueError("as told")
        return int(job.data) + 1

    async with Worker(queue, work, stalled_interval=0):
        import asyncio

        await asyncio.to_thread(ask)
    assert results == [21, "as told"]


def test_threads_may_share_a_queue(server_url: str, prefix: str) -> None:
    with toril.sync.Queue("q", url=server_url, prefix=prefix) as queue:
        threads = [threading.Thread(target=lambda: [queue.add("n", {}) for _ in range(20)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert queue.counts("waiting") == {"waiting": 160}


async def test_calling_from_the_loop_itself_is_refused(queue: Queue) -> None:
    import asyncio

    job = await queue.add("n", {})
    portal_job = toril.sync.SyncJob(job, asyncio.get_running_loop())
    with pytest.raises(QueueStateError, match="would wait for itself"):
        portal_job.state()
