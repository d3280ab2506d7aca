"""``toril worker`` is stopped while a plain function runs in its thread: nobody else runs that job meanwhile."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import Toril
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker

WITHIN = 60.0

#: A function that no signal stops, and a ledger of its runs. Locks live a second, so that what is left shows soon.
TASKS = """
import json, os, time

import toril.engine.stop_deadline
from toril.engine.queue import Queue
from toril.engine.worker import Worker

Worker.__init__.__kwdefaults__["lock_duration"] = 1.0
toril.engine.stop_deadline.MARGIN_S = float(os.environ["MARGIN"])
queue = Queue("threads", prefix=os.environ["TORIL_PREFIX"])

def note(what):
    with open("ledger", "a") as ledger:
        ledger.write(json.dumps([what, os.getpid(), time.time()]) + "\\n")

@queue.process()
def slow(job):
    note("begin")
    time.sleep(job.data["seconds"])
    note("end")
    return os.getpid()
"""


@pytest.fixture
def url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


@pytest.fixture
def toril(tmp_path: Path, url: str, prefix: str) -> Toril:
    (tmp_path / "tasks.py").write_text(TASKS)
    return Toril(tmp_path, {"REDIS_URL": url, "TORIL_PREFIX": prefix})


@pytest.fixture
async def queue(url: str, prefix: str) -> AsyncIterator[Queue]:
    async with Queue("threads", url=url, prefix=prefix) as queue:
        yield queue


class Ledger:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger"

    def rows(self) -> list[tuple[str, int, float]]:
        """What happened, in which process, when."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    async def has(self, what: str) -> int:
        """Wait until it happened; the process."""

        async def there() -> bool:
            return any(row[0] == what for row in self.rows())

        await until(there, within_s=WITHIN)
        return next(row[1] for row in self.rows() if row[0] == what)


class Another:
    """A worker elsewhere that would take the job at once."""

    def __init__(self, queue: Queue) -> None:
        self.began: list[float] = []
        self.worker = Worker(queue, self._work, lock_duration=1.0, stalled_interval=0.2)

    async def _work(self, job: Job[Any]) -> str:
        self.began.append(time.time())
        return "run again"


async def test_a_function_that_ends_within_the_deadline_has_its_result_recorded(
    toril: Toril, queue: Queue, tmp_path: Path
) -> None:
    ledger, another = Ledger(tmp_path), Another(queue)
    async with toril.running("worker", "tasks:queue", "--grace", "1", MARGIN="30") as process:
        await process.line("worker ")
        job = await queue.add("n", {"seconds": 5})
        pid = await ledger.has("begin")
        async with another.worker:
            process.send(signal.SIGTERM)
            await process.line("thread_goes_on")
            assert await job.state() == "active"
            assert await process.end() == 0
            assert await job.result(WITHIN) == pid
    assert [row[:2] for row in ledger.rows()] == [("begin", pid), ("end", pid)]
    assert another.began == []


async def test_a_function_that_outlasts_the_deadline_runs_again_when_its_process_is_gone(
    toril: Toril, queue: Queue, tmp_path: Path
) -> None:
    ledger, another = Ledger(tmp_path), Another(queue)
    async with toril.running("worker", "tasks:queue", "--grace", "1", MARGIN="3") as process:
        await process.line("worker ")
        job = await queue.add("n", {"seconds": 600})
        pid = await ledger.has("begin")
        async with another.worker:
            asked = time.time()
            process.send(signal.SIGTERM)
            await process.line("stop_deadline_passed")
            assert await process.end() == 1
            assert await job.result(WITHIN) == "run again"
            again = await queue.get_job(job.id)
    assert [row[:2] for row in ledger.rows()] == [("begin", pid)]
    (began,) = another.began
    assert began >= asked + 1 + 3, "not while the thread lived: till the deadline the process renews the lock"
    assert again is not None
    assert (again.stalled_counter, again.attempts_made) == (1, 0)
