"""What processes leave when they are killed goes; what is in use, finished or somebody else's stays."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.steps import fail, take

from toril.engine.queue import Queue
from toril.queues.cleanup.failed_jobs import FailedJobs
from toril.queues.cleanup.files import Swept
from toril.queues.cleanup.leftovers import sweep_leftovers, sweep_temporary
from toril.queues.report.files import ReportFiles
from toril.queues.storage import LocalFileStore

DAY = 86_400.0
FIRM = "5" * 24


def age(path: Path, days: float = 2) -> Path:
    """Make a file, or a folder with all in it, old."""
    at = time.time() - days * DAY
    for each in (*path.rglob("*"), path) if path.is_dir() else (path,):
        os.utime(each, (at, at), follow_symlinks=False)
    return path


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"12345")
    return path


def files_in(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if path.is_file()}


def folders_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_dir()}


def swept(found: Swept) -> tuple[int, int, int]:
    return found.found, found.deleted, found.size


async def test_a_draft_and_half_a_file_of_killed_processes_go(tmp_path: Path) -> None:
    """Both are left by real processes, as they name them."""
    code = (
        "import asyncio, os, signal, sys\nfrom pathlib import Path\nimport toril.queues.storage as storage\n"
        "from toril.queues.report.files import ReportFiles\n"
        "store = storage.LocalFileStore(Path(sys.argv[1]))\n"
        "def kill(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "async def draft():\n"
        "    async with ReportFiles(store, 'reports').draft(firm_id='5' * 24, key='a1b2') as folder:\n"
        "        (folder / 'report.json').write_bytes(b'12345')\n"
        "        kill()\n"
        "async def half():\n"
        "    storage.os.link = kill\n"
        "    await store.save(firm_id='5' * 24, folder='pdf', name='a.pdf', content=b'12345')\n"
        "asyncio.run({'draft': draft, 'half': half}[sys.argv[2]]())\n"
    )
    for what in ("draft", "half"):
        died = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code, tmp_path, what])
        assert died.returncode == -signal.SIGKILL
    store = LocalFileStore(tmp_path)
    kept = [(await store.save(firm_id=FIRM, folder="pdf", name="old.pdf", content=b"1")).path]
    age(tmp_path)
    kept.append((await store.save(firm_id=FIRM, folder="pdf", name="new.pdf", content=b"1")).path)
    edge = {"before": time.time() - DAY}
    async with ReportFiles(store, "reports").draft(firm_id=FIRM, key="c3d4") as in_use:
        kept.append(str(write(in_use / "report.json")))
        assert swept(sweep_leftovers(tmp_path, dry_run=True, **edge)) == (2, 0, 10)
        assert swept(sweep_leftovers(tmp_path, dry_run=False, **edge)) == (2, 2, 10)
        assert files_in(tmp_path) == set(kept)
        assert in_use.name in folders_in(tmp_path)
    age(tmp_path)  # the folder of the draft was changed just now; the next night it is old
    sweep_leftovers(tmp_path, dry_run=False, **edge)
    assert folders_in(tmp_path) == {FIRM, "pdf", "reports"}


@pytest.mark.parametrize(
    "name", ["report-1-ab.json", "a.part", ".hidden", ".reports/x", "part", "b.abc.part"]
)
def test_finished_files_stay_however_old_they_are(tmp_path: Path, name: str) -> None:
    kept = write(tmp_path / name)
    age(tmp_path)
    assert swept(sweep_leftovers(tmp_path, before=time.time() - DAY, dry_run=False)) == (0, 0, 0)
    assert kept.exists()


def test_profiles_of_browsers_go_when_their_process_is_gone(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = [
        tmp_path / f"toril-chromium-{ended.pid}-ab_12",
        tmp_path / "toril-chromium-ab12cd34",  # of a version that did not name its process
        tmp_path / "toril-fonts-zz99",
        tmp_path / ".report-a1b2-0011aabb",
    ]
    stay = [
        tmp_path / f"toril-chromium-{os.getpid()}-ab_12",
        tmp_path / "toril-postgres-ab12",
        tmp_path / "somebody-else",
    ]
    for folder in (*gone, *stay):
        write(folder / "Default/Cookies")
        (folder / "SingletonLock").symlink_to(tmp_path / "nowhere")
        age(folder)
    fresh = tmp_path / f"toril-chromium-{ended.pid}-new"
    write(age_folder(fresh) / "Default/Cookies")
    elsewhere = write(tmp_path / "papers/of-the-firm")
    (tmp_path / "toril-fonts-link").symlink_to(elsewhere.parent)
    os.utime(tmp_path / "toril-fonts-link", (1, 1), follow_symlinks=False)

    edge = time.time() - DAY
    assert sweep_temporary(tmp_path, before=edge, dry_run=True).found == len(gone)
    assert all(folder.exists() for folder in gone)
    found = sweep_temporary(tmp_path, before=edge, dry_run=False)
    assert (found.found, found.deleted, found.failed) == (len(gone), len(gone), [])
    assert not any(folder.exists() for folder in gone)
    assert all(folder.exists() for folder in (*stay, fresh, elsewhere))
    assert sweep_temporary(tmp_path / "not there", before=edge, dry_run=False).found == 0


def age_folder(folder: Path) -> Path:
    folder.mkdir()
    return age(folder)


async def test_failed_jobs_go_from_queues_that_nobody_told_us_of(server_url: str, prefix: str) -> None:
    options = {"url": server_url, "prefix": prefix}
    for name in ("video", "a:b"):
        async with Queue(name, **options) as queue:
            job = await queue.add("n", {})
            await take(queue, 1)
            await fail(queue, job.id)
            await queue.connection.execute("ZINCRBY", queue.keys.of("failed"), -8 * 86_400_000, job.id)
    async with Queue("video", url=server_url, prefix=f"{prefix}-other") as other:
        job = await other.add("n", {})
        await take(other, 1)
        await fail(other, job.id)
        await other.connection.execute("ZINCRBY", other.keys.of("failed"), -8 * 86_400_000, job.id)
    jobs = FailedJobs(["email"], **options)
    assert await jobs.purge(7 * DAY, True) == {"email": 0, "video": 1, "a:b": 1}
    assert await jobs.purge(7 * DAY, False) == {"email": 0, "video": 1, "a:b": 1}
    assert await jobs.purge(7 * DAY, True) == {"email": 0, "video": 0, "a:b": 0}
    assert await FailedJobs([], url=server_url, prefix=f"{prefix}-other").purge(7 * DAY, True) == {"video": 1}
