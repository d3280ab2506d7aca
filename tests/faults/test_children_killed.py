"""Child processes killed at random, once a second, under load: no job notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support import killed_work
from tests.support.servers import RedisServer

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import JobFailedError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for the processes in /proc")

KILLS = 10
WITHIN = 60.0
SEED = 20


@pytest.fixture
def server_url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


def children() -> list[int]:
    """Those that run, whether they are starting, idle or at work."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            ours = int(parent) == os.getpid() and state != "Z"
            if ours and b"child_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


async def test_jobs_end_as_if_no_child_had_been_killed(
    queue: Queue, redis: redis_asyncio.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    draw = random.Random(SEED)
    over = asyncio.Event()
    jobs: list[Job[Any]] = []

    async def produce() -> None:
        """Jobs one after another, some of which fail twice or run into their time-out."""
        while not over.is_set():
            number = len(jobs)
            end = "hang" if number % 40 == 7 else "fail" if number % 10 == 3 else "return"
            data = {
                "number": number,
                "end": end,
                "seconds": draw.uniform(0, 0.1),
                "size": draw.choice([0, 200_000]),
            }
            options: dict[str, Any] = {"timeout": 0.5} if end == "hang" else {}
            job = await queue.add("work", data, attempts=2 if end == "fail" else 1, **options)
            jobs.append(job)
            with contextlib.suppress(JobFailedError):
                await job.result(WITHIN)

    async def kill() -> None:
        for _ in range(KILLS):
            await asyncio.sleep(1)
            if running := children():
                os.kill(draw.choice(running), signal.SIGKILL)
        over.set()

    queue.process("work", process=True)(killed_work.work)
    async with Worker(queue, concurrency=4, child_processes=4, stalled_interval=0.5, lock_duration=30):
        await asyncio.gather(kill(), *(produce() for _ in range(8)))

    assert "child_lost" in caplog.text or "child_not_started" in caplog.text, "none was hit"
    assert len(jobs) > 40
    for job in jobs:
        stored = await redis.hgetall(queue.keys.job(job.id))
        number, end = job.data["number"], job.data["end"]
        if end == "return":
            result = json.loads(stored["returnvalue"])
            assert (result["number"], len(result["text"])) == (number, job.data["size"])
            made = "0"
        elif end == "fail":
            assert stored["failedReason"] == f"no {number}"
            made = "2"
        else:
            assert stored["failedReason"] == "Job timed out after 500 milliseconds and was stopped"
            made = "1"
        assert stored.get("attemptsMade", "0") == made
        assert "stalledCounter" not in stored
    finished = await queue.counts("completed", "failed")
    assert sum(finished.values()) == len(jobs)
    assert sum((await queue.counts("waiting", "active", "delayed")).values()) == 0
