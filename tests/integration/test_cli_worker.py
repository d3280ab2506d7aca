"""``toril worker`` as people run it: a process that is read and signalled."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.support.cli import Toril
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.queue import Queue

#: Jobs say when they begin, and go on until the test lets them.
TASKS = """
import os
import threading

import redis.asyncio as redis
from toril.engine.queue import Queue

prefix = os.environ["TORIL_PREFIX"]
video = Queue("video", prefix=prefix)
mail = Queue("mail", prefix=prefix)

@video.process("held")
async def held(job):
    async with redis.from_url(os.environ["REDIS_URL"]) as server:
        await server.ping()
        print("began", job.id, flush=True)
        await server.blpop(f"{prefix}:go")

@video.process("deaf")
def deaf(job):
    print("began", job.id, flush=True)
    threading.Event().wait()

@video.process("quick")
@mail.process()
async def quick(job):
    print("did", job.queue_name, job.id, flush=True)
"""


@pytest.fixture
def url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


@pytest.fixture
def toril(tmp_path: Path, url: str, prefix: str) -> Toril:
    (tmp_path / "tasks.py").write_text(TASKS)
    return Toril(tmp_path, {"REDIS_URL": url, "TORIL_PREFIX": prefix})


@pytest.fixture
async def video(url: str, prefix: str) -> AsyncIterator[Queue]:
    async with Queue("video", url=url, prefix=prefix) as queue:
        yield queue


async def let_go(queue: Queue) -> None:
    await queue.connection.execute("RPUSH", f"{queue.keys.prefix}:go", "1")


async def test_it_runs_the_jobs_of_several_queues_and_ends_well(toril: Toril, video: Queue, url: str) -> None:
    await video.add("quick", {})
    assert (await toril("jobs", "add", "mail", "letter")).out == "1\n"
    async with toril.running("worker", "tasks:video", "tasks:mail", "--concurrency", "7") as worker:
        start = await worker.line("worker ")
        assert start.endswith(f": video (7 at once), mail (7 at once) on {url}?db=0. Ctrl-C to stop")
        await worker.lines_with("did ", 2)
        worker.send(signal.SIGINT)
        assert await worker.end() == 0
    assert {"did video 1", "did mail 1"} <= set(worker.lines)
    assert not [line for line in worker.lines if "Traceback" in line]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_after_one_signal_the_running_job_ends_and_the_rest_waits(
    toril: Toril, video: Queue, number: signal.Signals
) -> None:
    running, waiting = await video.add("held", {}), await video.add("held", {})
    async with toril.running("worker", "tasks:video", "--concurrency", "1") as worker:
        await worker.line(f"began {running.id}")
        worker.send(number)
        await worker.line("workers_finishing")
        await let_go(video)
        assert await worker.end() == 0
    assert await running.state() == "completed"
    assert await waiting.state() == "waiting"


async def test_what_outlasts_the_grace_period_is_handed_back(toril: Toril, video: Queue) -> None:
    job = await video.add("held", {})
    async with toril.running("worker", "tasks:video", "--grace", "0") as worker:
        await worker.line("began")
        worker.send(signal.SIGTERM)
        assert await worker.end() == 0
    assert await job.state() == "waiting"


async def test_after_two_signals_the_job_is_handed_back_uncounted(toril: Toril, video: Queue) -> None:
    job = await video.add("held", {}, attempts=2)
    async with toril.running("worker", "tasks:video") as worker:
        await worker.line("began")
        worker.send(signal.SIGINT)
        await worker.line("workers_finishing")
        worker.send(signal.SIGINT)
        assert await worker.end() == 130
    assert await job.state() == "waiting"
    again = await video.get_job(job.id)
    assert again is not None
    assert again.attempts_made == 0
    assert not [line for line in worker.lines if "Traceback" in line]


async def test_a_thread_that_never_ends_does_not_keep_the_process(toril: Toril, video: Queue) -> None:
    await video.add("deaf", {})
    async with toril.running("worker", "tasks:video") as worker:
        await worker.line("began")
        worker.send(signal.SIGINT)
        await worker.line("workers_finishing")
        worker.send(signal.SIGINT)
        assert await worker.end() == 130
    assert [line for line in worker.lines if "threads_abandoned" in line and "toril-job_0" in line]


async def test_three_signals_end_it_on_the_spot(toril: Toril, video: Queue) -> None:
    job = await video.add("deaf", {})
    async with toril.running("worker", "tasks:video") as worker:
        await worker.line("began")
        worker.send(signal.SIGINT)
        await worker.line("workers_finishing")
        worker.send(signal.SIGINT)
        await worker.line("workers_hurrying")
        worker.send(signal.SIGINT)
        assert await worker.end() == 130
    assert not [line for line in worker.lines if "threads_abandoned" in line]
    assert await video.get_job(job.id) is not None


async def test_a_process_that_dies_is_started_again(toril: Toril, video: Queue) -> None:
    async with toril.running("worker", "tasks:video", "--processes", "2") as worker:
        for _ in range(2):
            await worker.line("worker ")
        first, second = worker.worker_pids
        os.kill(first, signal.SIGKILL)
        await worker.line("process_died")
        await worker.line("worker ")
        assert worker.worker_pids[2] not in (first, second)
        await video.add("quick", {})
        await worker.line("did video 1")
        worker.send(signal.SIGINT)
        assert await worker.end() == 0
    assert await video.workers() == []


async def test_both_signals_reach_all_processes(toril: Toril, video: Queue) -> None:
    job = await video.add("held", {})
    async with toril.running("worker", "tasks:video", "--processes", "2") as worker:
        await worker.line("began")
        worker.send(signal.SIGTERM)
        await worker.line("workers_finishing")
        worker.send(signal.SIGTERM)
        assert await worker.end() == 130
    assert await job.state() == "waiting"


async def test_processes_end_when_their_supervisor_was_killed(toril: Toril, video: Queue) -> None:
    async def nobody_works() -> bool:
        return await video.workers() == []

    async with toril.running("worker", "tasks:video", "--processes", "2") as worker:
        for _ in range(2):
            await worker.line("worker ")
        assert len(await video.workers()) == 2
        worker.send(signal.SIGKILL)
        await until(nobody_works, within_s=60)
        await worker.end()


async def test_processes_that_cannot_start_are_not_started_again(toril: Toril) -> None:
    ended = await toril("worker", "tasks:vidoe", "--processes", "2")
    assert ended.code == 2
    assert "'tasks' has no 'vidoe'; did you mean 'video'?" in ended.err
    assert "process_died" not in ended.err


async def test_without_a_server_it_ends_with_3(toril: Toril) -> None:
    ended = await toril("worker", "tasks:video", "--log-level", "error", REDIS_URL="redis://127.0.0.1:1")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("error: cannot connect to redis://127.0.0.1:1/0")


async def test_a_signal_ends_it_while_it_looks_for_the_server(toril: Toril) -> None:
    async with toril.running("worker", "tasks:video", REDIS_URL="redis://127.0.0.1:1") as worker:
        await worker.line("server_away")
        worker.send(signal.SIGTERM)
        assert await worker.end() == 0


async def test_without_a_url_it_uses_the_embedded_server(tmp_path: Path, toril: Toril) -> None:
    async with toril.running("worker", "tasks:mail", "--json", REDIS_URL="") as worker:
        start = json.loads(await worker.line('"event": "ready"'))
        assert start["queues"][0]["server"].startswith("the embedded server (unix://")
        assert (tmp_path / ".toril" / "server.log").exists()
        worker.send(signal.SIGTERM)
        assert await worker.end() == 0


async def test_url_stands_in_for_redis_url(toril: Toril, url: str, video: Queue) -> None:
    async with toril.running(
        "worker", "tasks:video", "--url", url, REDIS_URL="redis://127.0.0.1:1"
    ) as worker:
        assert f"on {url}" in await worker.line("worker ")
        worker.send(signal.SIGTERM)
        assert await worker.end() == 0


async def test_url_cannot_move_a_queue_whose_code_names_a_server(
    toril: Toril, tmp_path: Path, url: str
) -> None:
    code = TASKS.replace('Queue("video", ', 'Queue("video", url="redis://127.0.0.1:1", ')
    (tmp_path / "fixed.py").write_text(code)
    ended = await toril("worker", "fixed:video", "--url", url)
    assert ended.code == 2
    assert "queue 'video' is on redis://127.0.0.1:1/0, as its code says, so --url cannot move it" in ended.err


async def test_log_lines_in_json_hold_event_and_fields(toril: Toril, video: Queue) -> None:
    await video.add("quick", {})
    async with toril.running("worker", "tasks:video", "--log-format", "json") as worker:
        line = json.loads(await worker.line('"completed"'))
        worker.send(signal.SIGTERM)
        assert await worker.end() == 0
    assert (line["event"], line["level"], line["logger"]) == ("completed", "info", "toril.queue")
    assert (line["queue"], line["job_id"], line["job_name"]) == ("video", "1", "quick")
