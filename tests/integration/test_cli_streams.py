"""Commands whose surroundings are odd: streams that are closed or full, a hang-up, a working directory that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.servers import RedisServer
from tests.support.until import until

from toril import Queue

WITHIN_S = 90.0

TASKS = """
import asyncio, os
from toril import Queue

odd = Queue("odd", prefix=os.environ["TORIL_PREFIX"])

@odd.process("quick")
async def quick(job):
    return "done"

@odd.process("held")
async def held(job):
    await odd.connection.execute("RPUSH", f"{odd.keys.prefix}:began", job.id)
    while not await odd.connection.execute("LPOP", f"{odd.keys.prefix}:go"):
        await asyncio.sleep(0.01)
"""


@dataclass(frozen=True)
class Shell:
    """The command ``toril``, called by a shell that does something before or with it."""

    folder: Path
    url: str
    prefix: str

    @contextlib.asynccontextmanager
    async def running(
        self, line: str, *arguments: str, stdout: int = asyncio.subprocess.PIPE, **settings: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            line,
            "sh",
            sys.executable,
            "-m",
            "toril",
            *arguments,
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self.folder),
                "REDIS_URL": self.url,
                "TORIL_PREFIX": self.prefix,
                **settings,
            },
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def __call__(self, line: str, *arguments: str, **settings: str) -> tuple[int | None, str]:
        """The exit code and standard error of a command."""
        async with self.running(line, *arguments, **settings) as process:
            return await ended(process)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(WITHIN_S):
        _, err = await process.communicate()
    return process.returncode, err.decode()


@pytest.fixture
def shell(tmp_path: Path, start_server: Callable[[str], RedisServer], prefix: str) -> Shell:
    (tmp_path / "tasks.py").write_text(TASKS)
    return Shell(tmp_path, start_server("valkey").url, prefix)


@pytest.fixture
async def odd(shell: Shell) -> AsyncIterator[Queue]:
    async with Queue("odd", url=shell.url, prefix=shell.prefix) as queue:
        yield queue


@pytest.mark.parametrize(
    ("streams", "told"),
    [
        (">&-", ""),
        (">/dev/full", "output_not_written"),
        ("2>&-", ""),
        ("2>/dev/full", ""),
        ("<&- >&- 2>&-", ""),
        (">/dev/full 2>&1", ""),
    ],
)
async def test_worker_runs_jobs_whatever_its_streams_are(
    shell: Shell, odd: Queue, streams: str, told: str
) -> None:
    job = await odd.add("quick", {})
    async with shell.running(f'exec "$@" {streams}', "worker", "tasks:odd") as worker:
        assert await job.result(timeout=WITHIN_S) == "done"
        worker.send_signal(signal.SIGTERM)
        code, err = await ended(worker)
    assert code == 0
    assert told in err
    assert "Traceback" not in err
    assert "fault of toril" not in err


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe whose reader is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


async def test_worker_runs_jobs_though_nobody_reads_what_it_prints(
    shell: Shell, odd: Queue, unread: int
) -> None:
    job = await odd.add("quick", {})
    async with shell.running('exec "$@"', "worker", "tasks:odd", stdout=unread) as worker:
        assert await job.result(timeout=WITHIN_S) == "done"
        worker.send_signal(signal.SIGTERM)
        code, err = await ended(worker)
    assert code == 0
    assert "output_not_written" in err


async def test_answer_that_cannot_be_written_is_an_error_that_says_so(shell: Shell) -> None:
    code, err = await shell('exec "$@" >/dev/full', "queues")
    assert (code, err) == (
        1,
        "error: the answer cannot be written to standard output: No space left on device; is the disk full?\n",
    )
    code, err = await shell('exec "$@" >/dev/full 2>/dev/full', "queues")
    assert (code, err) == (1, "")


async def test_answer_that_nobody_reads_ends_without_a_word(shell: Shell, unread: int) -> None:
    async with shell.running('exec "$@"', "queues", "--json", stdout=unread) as process:
        assert await ended(process) == (1, "")


async def has_begun(queue: Queue, count: int) -> None:
    async def begun() -> bool:
        return int(await queue.connection.execute("LLEN", f"{queue.keys.prefix}:began")) >= count

    await until(begun, within_s=WITHIN_S)


async def test_hang_up_lets_the_running_job_end_even_if_it_comes_twice(shell: Shell, odd: Queue) -> None:
    running, waiting = await odd.add("held", {}), await odd.add("held", {})
    async with shell.running('exec "$@"', "worker", "tasks:odd", "--concurrency", "1") as worker:
        await has_begun(odd, 1)
        worker.send_signal(signal.SIGHUP)
        assert worker.stderr is not None
        async with asyncio.timeout(WITHIN_S):
            while b"workers_finishing" not in await worker.stderr.readline():
                pass
        worker.send_signal(signal.SIGHUP)
        await odd.connection.execute("RPUSH", f"{odd.keys.prefix}:go", "1")
        code, err = await ended(worker)
    assert code == 0
    assert "workers_hurrying" not in err
    assert await running.state() == "completed"
    assert await waiting.state() == "waiting"


async def test_hang_up_that_is_ignored_stops_nothing(shell: Shell, odd: Queue) -> None:
    first = await odd.add("held", {})
    async with shell.running("trap '' HUP; exec \"$@\"", "worker", "tasks:odd") as worker:
        await has_begun(odd, 1)
        worker.send_signal(signal.SIGHUP)
        await odd.connection.execute("RPUSH", f"{odd.keys.prefix}:go", "1")
        await first.result(timeout=WITHIN_S)
        assert await (await odd.add("quick", {})).result(timeout=WITHIN_S) == "done"
        worker.send_signal(signal.SIGTERM)
        assert (await ended(worker))[0] == 0


IN_A_DELETED_DIRECTORY = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'


async def test_worker_does_not_need_its_working_directory(shell: Shell, odd: Queue) -> None:
    job = await odd.add("quick", {})
    async with shell.running(IN_A_DELETED_DIRECTORY, "worker", "tasks:odd") as worker:
        assert await job.result(timeout=WITHIN_S) == "done"
        worker.send_signal(signal.SIGTERM)
        assert (await ended(worker))[0] == 0


async def test_home_in_a_deleted_directory_says_what_to_set(shell: Shell) -> None:
    code, err = await shell(IN_A_DELETED_DIRECTORY, "queues", REDIS_URL="")
    assert code == 2
    assert "set TORIL_HOME to an absolute path" in err
