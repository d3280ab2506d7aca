"""Plain functions that outlive their worker: their jobs stay theirs, and nobody runs them again meanwhile."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.processes import ROOT
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.thread_keeper import kept_threads_ended
from toril.engine.worker import Worker
from toril.errors import JobFailedError

WITHIN = 60.0
FAST: dict[str, Any] = {"lock_duration": 0.6, "stalled_interval": 0.2, "max_stalled_count": 5}


class Held:
    """A plain function that counts its runs and holds each until it is told."""

    def __init__(self) -> None:
        self.begun, self.go = 0, threading.Event()
        self.error: Exception | None = None
        self.progress: list[int] = []

    def __call__(self, job: Any) -> Any:
        self.begun += 1
        assert self.go.wait(WITHIN * 2)
        for step in self.progress:
            job.update_progress(step)
        if self.error is not None:
            raise self.error
        return ["from", job.data]

    async def at(self, begun: int) -> None:
        async def there() -> bool:
            return self.begun == begun

        await until(there, within_s=WITHIN)


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    held = Held()
    yield held
    held.go.set()
    async with asyncio.timeout(WITHIN):
        await kept_threads_ended()


async def checks(queue: Queue, count: int) -> None:
    """Wait for some checks for stalled jobs; nobody else's counts as one."""
    seen: set[bytes] = set()

    async def enough() -> bool:
        if stamp := await queue.scripts.ask("GET", queue.keys.of("stalled-check")):
            seen.add(stamp)
        return len(seen) >= count

    await until(enough, within_s=WITHIN)


@pytest.mark.parametrize("ends", ["completed", "failed", "retried"])
async def test_a_function_that_outlives_its_worker_runs_once_and_its_end_is_recorded(
    server_url: str, prefix: str, queue: Queue, held: Held, ends: str
) -> None:
    told: list[str] = []
    for event in ("completed", "failed", "retrying"):
        queue.on(event, lambda *_, event=event: told.append(event))
    held.progress = [7]
    held.error = None if ends == "completed" else LookupError("none there")
    worker = Worker(queue, held, grace=0, **FAST)
    async with worker:
        job = await queue.add("n", 5, attempts=2 if ends == "retried" else 1, backoff=3_600_000)
        await held.at(1)
    assert worker.running == 1
    async with Queue(queue.name, url=server_url, prefix=prefix) as others, Worker(others, held, **FAST):
        await checks(queue, 8)
        assert (await job.state(), held.begun) == ("active", 1)
        held.go.set()
        if ends == "completed":
            assert await job.result(WITHIN) == ["from", 5]
        elif ends == "failed":
            with pytest.raises(JobFailedError, match="none there"):
                await job.result(WITHIN)
        else:

            async def put_off() -> bool:
                return await job.state() == "delayed"

            await until(put_off, within_s=WITHIN)
    async with asyncio.timeout(WITHIN):
        await kept_threads_ended()
    assert (worker.running, held.begun) == (0, 1)
    again = await queue.get_job(job.id)
    assert again is not None
    assert (again.stalled_counter, again.progress) == (0, 7)
    assert told == {"completed": ["completed"], "failed": ["failed"], "retried": ["failed", "retrying"]}[ends]


async def test_the_queue_may_be_closed_before_the_function_returns(
    server_url: str, prefix: str, queue: Queue, held: Held
) -> None:
    held.progress = [1, 2]
    async with Queue(queue.name, url=server_url, prefix=prefix) as own, Worker(own, held, grace=0, **FAST):
        job = await queue.add("n", 5)
        await held.at(1)
    async with Worker(queue, held, **FAST):
        await checks(queue, 5)
        assert held.begun == 1
        held.go.set()
        assert await job.result(WITHIN) == ["from", 5]
    assert held.begun == 1


async def test_an_attempt_that_waits_for_an_earlier_thread_is_handed_back_after_it(
    server_url: str, prefix: str, queue: Queue, held: Held
) -> None:
    async with Worker(queue, held, grace=0, concurrency=3, **FAST) as worker:
        job = await queue.add("n", 5, timeout=0.1, attempts=2)
        await held.at(1)

        async def waits() -> bool:
            return bool(worker._executor.threads.outliving) and worker.running == 1

        await until(waits, within_s=WITHIN)
    async with Queue(queue.name, url=server_url, prefix=prefix) as others, Worker(others, held, **FAST):
        await checks(queue, 5)
        assert (held.begun, worker.running) == (1, 1)
        held.go.set()
        assert await job.result(WITHIN) == ["from", 5]
    assert held.begun == 2


async def test_cancelling_ends_the_job_of_a_function_that_outlives_its_worker(
    queue: Queue, held: Held
) -> None:
    async with Worker(queue, held, grace=0, **FAST) as worker:
        job = await queue.add("n", 5, attempts=3)
        await held.at(1)
    await job.cancel()
    with pytest.raises(JobFailedError, match="cancelled"):
        await job.result(WITHIN)
    assert worker.running == 0
    held.go.set()


async def test_jobs_beside_it_are_handed_back(queue: Queue, held: Held) -> None:
    begun = asyncio.Event()

    @queue.process("async")
    async def work(job: Job[Any]) -> None:
        begun.set()
        await asyncio.Event().wait()

    queue.process("held")(held)
    async with Worker(queue, grace=0, concurrency=2, **FAST):
        job, other = await queue.add("held", {}), await queue.add("async", {})
        await held.at(1)
        await begun.wait()
    assert (await job.state(), await other.state()) == ("active", "waiting")


PROGRAM = """
import asyncio, sys, time
from toril.engine.queue import Queue
from toril.engine.worker import Worker

def work(job):
    print("began", flush=True)
    sys.stdin.readline()
    return "at the end"

async def main():
    async with Queue(sys.argv[1], url=sys.argv[2], prefix=sys.argv[3]) as queue:
        begun = asyncio.Event()
        queue.on("active", lambda job: begun.set())
        async with Worker(queue, work, grace=0, lock_duration=0.6, stalled_interval=0):
            await begun.wait()
    print("closed", flush=True)

asyncio.run(main())
"""


async def test_an_interpreter_that_waits_for_the_thread_keeps_the_job(
    server_url: str, prefix: str, queue: Queue, held: Held, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    job = await queue.add("n", {})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(tmp_path / "program.py"),
        queue.name,
        server_url,
        prefix,
        cwd=ROOT,
        env=dict(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WITHIN):
            while await process.stdout.readline() != b"closed\n":
                assert process.returncode is None
        async with Worker(queue, held, **FAST):
            await checks(queue, 5)
            assert held.begun == 0
            async with asyncio.timeout(WITHIN):
                _, errors = await process.communicate(b"\n")
            assert await job.result(WITHIN) == "at the end"
        assert (process.returncode, held.begun) == (0, 0)
        assert b"Traceback" not in errors
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
