"""The home of the embedded server is deleted or moved while a worker works there."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.embedded_home import (
    WITHIN_S,
    add_elsewhere,
    ends,
    has_completed,
    has_ended,
    pid_of,
    worker_at,
)

from toril import Queue, Worker
from toril.engine import embedded
from toril.engine.embedded_process import ServerProcess


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(embedded, "WATCH_S", 0.1)
    home = tmp_path / "home"
    yield home
    for place in (home, home.with_name("moved")):
        if place.is_dir() and ServerProcess(place).lives():
            ServerProcess(place).stop()


@pytest.fixture
async def worker(home: Path) -> AsyncIterator[Worker]:
    async with worker_at(home) as worker:
        yield worker


def move(home: Path) -> Path:
    return home.rename(home.with_name("moved"))


def told(caplog: pytest.LogCaptureFixture, event: str) -> logging.LogRecord:
    (record,) = [record for record in caplog.records if record.getMessage().startswith(event)]
    return record


@pytest.mark.parametrize("first", ["the worker", "another process"])
async def test_worker_whose_home_is_deleted_says_what_is_lost_and_works_in_its_successor(
    home: Path, worker: Worker, caplog: pytest.LogCaptureFixture, first: str
) -> None:
    await (await worker.queue.add("job", {})).result(timeout=WITHIN_S)
    await worker.queue.add("job", {}, delay=3600)
    old = pid_of(home)
    shutil.rmtree(home)
    if first == "the worker":
        await ends(old)
    await add_elsewhere(home)
    await has_completed(worker.queue, 1)  # in the new one, where nothing was before
    await ends(old)
    record = told(caplog, "embedded_home_deleted")
    assert record.__dict__["unfinished_jobs"] == {"bull:tasks": 1}
    assert record.__dict__["pid"] == old
    assert pid_of(home) != old


async def test_worker_whose_home_is_moved_says_where_its_jobs_are(
    home: Path, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    later = await worker.queue.add("job", {}, delay=3600)
    old = pid_of(home)
    moved = move(home)
    await ends(old)
    await add_elsewhere(home)
    await has_completed(worker.queue, 1)
    assert told(caplog, "embedded_home_moved").__dict__["moved_to"] == str(moved)
    async with Queue("tasks", home=moved) as queue:
        found = await queue.get_job(later.id)
        assert found is not None
        assert await found.state() == "delayed"


async def test_queue_whose_home_is_deleted_adds_where_others_look(home: Path) -> None:
    async with Queue("tasks", home=home) as queue:
        await queue.add("job", {})
        old = pid_of(home)
        shutil.rmtree(home)
        await ends(old)
        job = await queue.add("job", {})
        async with Queue("tasks", home=home) as another:
            assert [each.id for each in await another.get_jobs(["waiting"])] == [job.id]


async def test_server_of_a_deleted_home_stays_while_another_process_uses_it_and_then_ends(
    home: Path, worker: Worker
) -> None:
    """Each leaves by itself; the last one ends it, though they share no lock that has a name any more."""
    old = pid_of(home)
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom toril import Queue\n"
        "async def main():\n"
        "    async with Queue('tasks', home=Path(sys.argv[1])) as queue:\n"
        "        await queue.counts()\n        print('here', flush=True)\n"
        "        await asyncio.to_thread(sys.stdin.readline)\n"
        "asyncio.run(main())\n"
    )
    pipe = asyncio.subprocess.PIPE
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(home), stdin=pipe, stdout=pipe, env={**os.environ, "REDIS_URL": ""}
    )
    assert other.stdin is not None
    assert other.stdout is not None
    assert await other.stdout.readline() == b"here\n"
    shutil.rmtree(home)
    await ends(old)  # both have noticed
    other.stdin.write(b"leave\n")
    await other.communicate()
    assert other.returncode == 0


@pytest.mark.skipif(not shutil.which("flock"), reason="flock, which this needs, is not installed")
async def test_server_whose_users_were_killed_before_its_home_was_deleted_ends_by_itself(home: Path) -> None:
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom toril.engine import embedded, embedded_process\n"
        "embedded_process.ORPHAN_S = 0.2\n"
        "server = asyncio.run(embedded.EmbeddedServer.acquire(Path(sys.argv[1])))\n"
        "print(server.pid, flush=True)\nsys.stdin.readline()\n"
    )
    pipe = asyncio.subprocess.PIPE
    user = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(home), stdin=pipe, stdout=pipe
    )
    assert user.stdout is not None
    pid = int(await user.stdout.readline())
    user.kill()
    await user.wait()
    assert not has_ended(pid)
    shutil.rmtree(home)
    await ends(pid)
