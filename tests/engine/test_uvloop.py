"""The engine on uvloop, the event loop that many web servers bring."""

from __future__ import annotations

import asyncio
import sys

import pytest
from tests.support import child_work

from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import JobFailedError

uvloop = pytest.importorskip("uvloop") if sys.platform != "win32" else pytest.skip(allow_module_level=True)


def test_jobs_are_added_and_worked(server_url: str, prefix: str, queue_name: str) -> None:
    async def double(job: object) -> int:
        return 2 * job.data["number"]  # type: ignore[attr-defined, no-any-return]

    async def work() -> list[int]:
        async with Queue(queue_name, url=server_url, prefix=prefix) as queue, Worker(queue, double):
            jobs = [await queue.add("double", {"number": number}) for number in range(3)]
            return [await job.result(timeout=60) for job in jobs]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(work()) == [0, 2, 4]


def test_child_processes_run_jobs_and_are_killed(server_url: str, prefix: str, queue_name: str) -> None:
    async def work() -> int:
        async with Queue(queue_name, url=server_url, prefix=prefix) as queue:
            queue.process("square", process=True)(child_work.square)
            queue.process("hang", process=True)(child_work.hang)
            async with Worker(queue, concurrency=1):
                with pytest.raises(JobFailedError, match="timed out"):
                    await (await queue.add("hang", {}, timeout=0.1)).result(timeout=60)
                result: int = await (await queue.add("square", {"n": 3})).result(timeout=60)
                return result

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(work()) == 9
