"""Commands that move, find, write and delete jobs, called in process on a thread of their own against a real server."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import Ended, Toril
from tests.support.servers import RedisServer

from toril.cli.main import run
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.search import walk_jobs
from toril.engine.worker import Worker

Cli = Callable[..., Any]


@pytest.fixture
def url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


@pytest.fixture
async def video(url: str, prefix: str) -> AsyncIterator[Queue]:
    async with Queue("video", url=url, prefix=prefix) as queue:
        yield queue


@pytest.fixture
def toril(
    url: str, prefix: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORIL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody sits at a keyboard

    async def call(*arguments: str) -> Ended:
        code = await asyncio.to_thread(run, ["--url", url, "--prefix", prefix, *arguments])
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return call


async def test_delayed_jobs_are_promoted_by_id_and_all(toril: Cli, video: Queue) -> None:
    jobs = await video.add_bulk([("cut", {}, {"delay": 3600})] * 3)
    one = await toril("jobs", "promote", "video", jobs[0].id, "77", "--json")
    assert (one.code, one.json["promoted"]) == (4, [jobs[0].id])
    assert (await toril("jobs", "promote", "video", "--all")).out == "2 jobs promoted.\n"
    assert await video.counts("waiting", "delayed") == {"waiting": 3, "delayed": 0}
    assert (await toril("jobs", "promote", "video")).code == 2


async def test_a_waiting_job_is_cancelled_once_that_is_meant(toril: Cli, video: Queue) -> None:
    job = await video.add("cut", {})
    asked = await toril("jobs", "cancel", "video", job.id)
    assert asked.code == 2
    assert "this would stop 1 job of queue 'video'" in asked.err
    assert (await toril("jobs", "cancel", "video", job.id, "--yes")).out == "1 job cancelled.\n"
    again = await video.get_job(job.id)
    assert again is not None
    assert again.failed_reason == "cancelled"
    assert (await toril("jobs", "cancel", "video", job.id, "--yes")).code == 1


async def test_all_failed_jobs_are_retried(toril: Cli, video: Queue) -> None:
    for job in await video.add_bulk([("cut", {})] * 2):
        await job.cancel()
    assert (await toril("jobs", "retry", "video", "--all")).out == "2 jobs moved back to waiting.\n"


async def test_jobs_are_found_by_what_they_hold(toril: Cli, video: Queue) -> None:
    await video.add_bulk([("cut", {"path": f"{n}.mp4"}) for n in range(30)])
    found = (await toril("jobs", "search", "video", "17.MP4", "--json")).json
    assert [job["data"] for job in found["jobs"]] == [{"path": "17.mp4"}]
    assert (found["finished"], found["lookedAt"]) == (True, 30)
    some = await toril("jobs", "search", "video", "mp4", "--limit", "3")
    assert len(some.out.splitlines()) == 4
    assert "There may be more" in some.err


async def test_jobs_are_written_as_lines_and_as_a_table(toril: Cli, video: Queue, tmp_path: Path) -> None:
    await video.add_bulk([("=cut()", {"n": n, "text": "\x1b[31m"}) for n in range(1203)])
    lines = (await toril("jobs", "export", "video", "--state", "waiting")).out.splitlines()
    assert sorted(json.loads(line)["data"]["n"] for line in lines) == list(range(1203))
    assert "\x1b" not in "".join(lines)
    file = str(tmp_path / "jobs.csv")
    asked = ("jobs", "export", "video", "--state", "waiting", "--format", "csv", "--output", file)
    assert (await toril(*asked, "--json")).json["count"] == 1203
    rows = read_csv(file)
    assert (len(rows), rows[0]["name"]) == (1203, "'=cut()")
    assert (await toril(*asked)).code == 2  # nothing is written over


def read_csv(file: str) -> list[dict[str, str]]:
    with open(file, encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


async def test_jobs_that_stay_are_exported_while_others_go(video: Queue) -> None:
    await video.add_bulk([("cut", {}, {"delay": 3600 + n}) for n in range(1200)])
    met: list[str] = []
    async for page in walk_jobs(video, "delayed"):
        met += [job.id for job in page]
        for job in page[-300:]:  # also the one that the next page begins behind
            await job.remove()
    assert len(met) == len(set(met)) == 1200


async def test_a_queue_is_emptied_and_obliterated_once_that_is_meant(toril: Cli, video: Queue) -> None:
    await video.add_bulk([("cut", {}), ("cut", {}, {"delay": 60})])
    asked = await toril("empty", "video")
    assert asked.code == 2
    assert "this would delete the 2 jobs of queue 'video'" in asked.err
    assert (await toril("empty", "video", "--yes")).out == "2 jobs deleted.\n"
    await video.add("cut", {})
    asked = await toril("obliterate", "video", "--json")
    assert (asked.code, asked.error["code"]) == (2, "not_confirmed")
    assert "with 1 job and 0 schedules" in asked.error["message"]
    assert (await toril("obliterate", "video", "--yes")).code == 0
    assert (await toril("empty", "video", "--yes")).code == 4


async def test_a_queue_whose_jobs_run_is_obliterated_only_by_force(toril: Cli, video: Queue) -> None:
    running, end = asyncio.Event(), asyncio.Event()

    async def process(job: Job[Any]) -> None:
        running.set()
        await end.wait()

    async with Worker(video, process):
        await video.add("cut", {})
        await asyncio.wait_for(running.wait(), 60)
        refused = await toril("obliterate", "video", "--yes")
        assert refused.code == 1
        assert "active jobs" in refused.err
        end.set()


async def test_ready_made_queues_check_data_and_give_their_options(
    toril: Cli, url: str, prefix: str, tmp_path: Path
) -> None:
    added = await toril(
        "jobs", "add", "cleanup", "--json", "--data", '{"type": "temp-files", "data": {"maxAgeHours": 5}}'
    )
    assert added.json["id"].startswith("cleanup-")
    assert added.json["opts"]["removeOnFail"] == {"age": 172_800}
    wrong = await toril(
        "jobs", "add", "cleanup", "--json", "--data", '{"type": "temp-files", "data": {"maxAgeHour": 5}}'
    )
    assert (wrong.code, wrong.error["code"], wrong.error["field"]) == (2, "bad_payload", "maxAgeHour")
    assert "did you mean 'maxAgeHours'?" in wrong.error["message"]
    misspelt = await toril("jobs", "add", "cleanup", "--data", '{"type": "temp-file"}')
    assert misspelt.code == 2
    assert "unknown type 'temp-file'; did you mean 'temp-files'?" in misspelt.err
    mail = await toril("jobs", "add", "email", "--json", "--data", '{"type": "transactional", "data": {}}')
    assert (mail.code, mail.error["code"]) == (2, "bad_payload")
    assert (await toril("jobs", "add", "cleanup", "--as-is", "--data", "1")).code == 0
    async with Queue("cleanup", url=url, prefix=prefix) as queue:
        assert (await queue.counts("waiting"))["waiting"] == 2
    assert os.listdir(tmp_path) == []  # looking leaves nothing behind


async def test_counts_are_watched_line_by_line_until_ctrl_c(
    url: str, prefix: str, video: Queue, tmp_path: Path
) -> None:
    await video.add("cut", {})
    command = Toril(tmp_path, {"REDIS_URL": url, "TORIL_PREFIX": prefix})
    async with command.running("watch", "--every", "0.1") as watching:
        assert "video: 1 waiting" in await watching.line("video:")
        await video.add("cut", {})
        assert await watching.line("video: 2 waiting")
        watching.send(signal.SIGINT)
        assert await watching.end() == 0


async def test_watching_some_queues_ends_after_so_many_looks(toril: Cli, video: Queue) -> None:
    await video.add("cut", {})
    ended = await toril("watch", "video", "--looks", "2", "--every", "0.1", "--json")
    assert [json.loads(line)["queue"] for line in ended.out.splitlines()] == ["video"]
    assert (await toril("watch", "vidoe", "--looks", "1")).code == 4


def complete(*words: str) -> list[str]:
    environment = {
        **os.environ,
        "_TORIL_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("toril", *words)),
        "COMP_CWORD": str(len(words)),
    }
    program = "import sys; sys.argv = ['toril']; from toril.cli.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    return ended.stdout.split()


def test_a_shell_completes_commands_and_options() -> None:
    assert complete("ob") == ["obliterate"]
    assert complete("jobs", "pro") == ["promote"]
    assert complete("jobs", "retry", "--a") == ["--all", "--all-failed"]
    assert complete("jbs", "x") == []
