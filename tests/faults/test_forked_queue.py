"""Queues that were made before a fork, or used in one event loop after another."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from typing import Any

import pytest
from tests.support import forked_adds

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import QueueStateError

WITHIN = 60.0


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_every_child_of_a_fork_adds_a_job_of_its_own(queue: Queue, server_url: str, kind: str) -> None:
    command = (sys.executable, "-W", "ignore", forked_adds.__file__, server_url, queue.keys.prefix, kind)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(WITHIN):
        out, _ = await process.communicate()
    ids = out.decode().split()
    assert len(set(ids)) == forked_adds.CHILDREN
    async with Queue("q", url=server_url, prefix=queue.keys.prefix) as same:
        waiting = await same.get_waiting()
    assert {job.data for job in waiting} == {"parent", *range(forked_adds.CHILDREN)}
    assert set(ids) <= {job.id for job in waiting}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the first loop's connections, which nobody closed
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_queue_can_be_used_in_one_event_loop_after_another(server_url: str, prefix: str) -> None:
    _use_in_three_loops(server_url, prefix)
    gc.collect()  # here, where the warnings are expected


def _use_in_three_loops(server_url: str, prefix: str) -> None:
    queue = Queue("q", url=server_url, prefix=prefix)

    async def work(job: Job[int]) -> Any:
        return job.data + 1

    async def once(number: int) -> Any:
        async with Worker(queue, work, stalled_interval=0):
            job = await queue.add("n", number)
            # Heard, not only found by the next look.
            return await job.result(3)

    assert [asyncio.run(once(number)) for number in range(3)] == [1, 2, 3]
    asyncio.run(queue.close())


def test_a_queue_in_two_event_loops_at_once_is_refused(server_url: str, prefix: str) -> None:
    queue = Queue("q", url=server_url, prefix=prefix)
    go_on, added = threading.Event(), threading.Event()

    async def use() -> None:
        await queue.add("n", 1)
        added.set()
        await asyncio.to_thread(go_on.wait, WITHIN)
        await queue.close()

    thread = threading.Thread(target=lambda: asyncio.run(use()))
    thread.start()
    try:
        assert added.wait(WITHIN)
        with pytest.raises(QueueStateError, match=r"toril\.sync"):
            asyncio.run(_count(queue))
    finally:
        go_on.set()
        thread.join()


async def _count(queue: Queue) -> int:
    return await queue.count()
