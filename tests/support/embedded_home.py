"""Workers and servers of a home of the embedded server, for tests that take something away from it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.until import until

from toril import Job, Queue, Worker
from toril.engine.embedded_process import ServerProcess

WITHIN_S = 90.0


@asynccontextmanager
async def worker_at(home: Path) -> AsyncIterator[Worker]:
    """A worker of the queue ``tasks`` on the embedded server of a home."""

    async def work(job: Job[Any]) -> str:
        return "done"

    async with Queue("tasks", home=home) as queue, Worker(queue, work, concurrency=2) as worker:
        yield worker


def pid_of(home: Path) -> int:
    answer = ServerProcess(home).ask()
    assert answer is not None
    return answer.pid


async def add_elsewhere(home: Path) -> None:
    """Add a job from another process, which finds the home as it is now."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "toril",
        *("jobs", "add", "tasks", "job"),
        env={**os.environ, "TORIL_HOME": str(home), "REDIS_URL": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_S):
        out, err = await process.communicate()
    assert process.returncode == 0, (out, err)


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # In a container with no init that reaps, an ended process stays as a zombie.
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


async def ends(pid: int) -> None:
    async def ended() -> bool:
        return has_ended(pid)

    await until(ended, within_s=WITHIN_S)


async def has_completed(queue: Queue, count: int) -> None:
    async def completed() -> bool:
        return (await queue.counts())["completed"] == count

    await until(completed, within_s=WITHIN_S)
