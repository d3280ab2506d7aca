"""The data of the embedded server is deleted or moved, and its home stays, while a worker works there."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.embedded_home import WITHIN_S, add_elsewhere, ends, has_completed, pid_of, worker_at
from tests.support.until import until

from toril import Queue, Worker
from toril.engine import embedded
from toril.engine.embedded_process import ServerProcess


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(embedded, "WATCH_S", 0.1)
    # The shell that looks after orphans would end the server as well, later and without a word.
    monkeypatch.setattr("toril.engine.embedded_process.ORPHAN_S", 3600)
    home = tmp_path / "home"
    yield home
    if home.is_dir() and ServerProcess(home).lives():
        ServerProcess(home).stop()


@pytest.fixture
async def worker(home: Path) -> AsyncIterator[Worker]:
    async with worker_at(home) as worker:
        yield worker


def records(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage().startswith(event)]


@pytest.mark.parametrize("made_again", [False, True])
async def test_worker_whose_data_is_deleted_says_what_is_lost_and_goes_on(
    home: Path, worker: Worker, caplog: pytest.LogCaptureFixture, made_again: bool
) -> None:
    await (await worker.queue.add("job", {})).result(timeout=WITHIN_S)
    await worker.queue.add("job", {}, delay=3600)
    old = pid_of(home)
    shutil.rmtree(home / "data")
    if made_again:
        (home / "data").mkdir(mode=0o700)
    await ends(old)
    await add_elsewhere(home)
    await has_completed(worker.queue, 1)  # in the new one, where nothing was before
    (record,) = records(caplog, "embedded_data_deleted")
    assert record.__dict__["unfinished_jobs"] == {"bull:tasks": 1}
    assert record.__dict__["pid"] == old
    assert pid_of(home) != old


async def test_worker_whose_data_is_moved_says_where_its_jobs_are(
    home: Path, worker: Worker, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    later = await worker.queue.add("job", {}, delay=3600)
    old, aside = pid_of(home), tmp_path / "aside"
    (home / "data").rename(aside)
    await ends(old)
    await add_elsewhere(home)
    await has_completed(worker.queue, 1)
    (record,) = records(caplog, "embedded_data_moved")
    assert record.__dict__["moved_to"] == str(aside)
    await worker.close()
    await worker.queue.close()
    assert not ServerProcess(home).lives()
    shutil.rmtree(home / "data")
    aside.rename(home / "data")
    async with Queue("tasks", home=home) as queue:
        found = await queue.get_job(later.id)
        assert found is not None
        assert await found.state() == "delayed"


async def test_two_processes_whose_data_is_deleted_agree_on_one_new_server(
    home: Path, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    """The other one notices too; whoever is first ends the server, and the new one is left alone."""
    async with Queue("tasks", home=home) as queue:
        await queue.counts()
        member = embedded._member_of(home)
        embedded._members.clear()  # as if it were another process
        async with Queue("other", home=home) as second:
            await second.counts()
            assert embedded._member_of(home) is not member
            old = pid_of(home)
            shutil.rmtree(home / "data")
            await ends(old)

            async def both_add() -> bool:
                return bool(await queue.add("job", {}) and await second.add("job", {}))

            await until(both_add, within_s=WITHIN_S)
            new = pid_of(home)
            for _ in range(20):  # looks of both
                await asyncio.sleep(0.05)
            assert pid_of(home) == new
            assert len(records(caplog, "embedded_data_deleted")) == 1
        embedded._members[str(home)] = member


@pytest.mark.parametrize("what", ["appendonlydir", "appendonlydir/*.manifest", "appendonlydir/*.incr.aof"])
async def test_deleted_files_are_written_again_and_no_job_is_lost(
    home: Path, worker: Worker, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    kept = [await worker.queue.add("job", number, delay=3600) for number in range(3)]
    old = pid_of(home)
    for path in (home / "data").glob(what):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    async def are_there_again() -> bool:
        found = [
            *(home / "data").glob("appendonlydir/*.manifest"),
            *(home / "data").glob("appendonlydir/*.incr.aof"),
        ]
        return len(found) >= 2 and bool(records(caplog, "embedded_files_deleted"))

    await until(are_there_again, within_s=WITHIN_S)
    kept.append(await worker.queue.add("job", 3, delay=3600))

    async def is_rewritten() -> bool:
        info = await worker.queue.scripts.ask("INFO", "persistence")
        return b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info

    await until(is_rewritten, within_s=WITHIN_S)
    assert pid_of(home) == old
    await worker.close()
    await worker.queue.close()
    async with Queue("tasks", home=home) as queue:
        assert [(job.id, job.data) for job in await queue.get_jobs("delayed", asc=True)] == [
            (job.id, number) for number, job in enumerate(kept)
        ]
