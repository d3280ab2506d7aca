"""Processors in child processes: started on demand, replaced when they die, and never to the cost of another job."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import child_work
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.backoff import Backoff
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import JobFailedError

WITHIN = 60.0


@pytest.fixture
def server_url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


@contextlib.asynccontextmanager
async def working(queue: Queue, *functions: Callable[..., Any], **options: Any) -> AsyncIterator[Worker]:
    for function in functions:
        queue.process(function.__name__, process=True)(function)
    async with Worker(queue, **{"stalled_interval": 0, "grace": 0.1, **options}) as worker:
        yield worker


def children() -> dict[int, int]:
    """Child processes of this one, and their parents."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"child_main" in (folder / "cmdline").read_bytes():
                found[int(folder.name)] = parent
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def noted(path: Path, lines: int = 1) -> list[int]:
    """The process ids in a file, once there are so many."""

    async def are_there() -> bool:
        return read(path).count("\n") >= lines

    await until(are_there, within_s=WITHIN)
    return [int(line) for line in read(path).split()]


async def gone(*pids: int) -> None:
    async def are_gone() -> bool:
        return not any(map(is_running, pids))

    await until(are_gone, within_s=WITHIN)


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


@needs_proc
async def test_children_are_started_on_demand_and_no_more_than_allowed(queue: Queue, tmp_path: Path) -> None:
    note, go_on = tmp_path / "note", tmp_path / "go on"
    data = {"note": str(note), "until": str(go_on)}
    async with working(queue, child_work.note_and_wait, child_work.pid, concurrency=100, child_processes=2):
        assert children() == {}
        first = await (await queue.add("pid", {})).result(WITHIN)
        assert await (await queue.add("pid", {})).result(WITHIN) == first
        assert list(children()) == [first]
        jobs = [await queue.add("note_and_wait", data) for _ in range(6)]
        await noted(note, 2)
        assert await queue.counts("active") == {"active": 6}
        assert len(children()) == 2
        go_on.touch()
        assert len({await job.result(WITHIN) for job in jobs}) == 2
    assert children() == {}


@pytest.mark.parametrize(
    ("options", "cpus", "most"),
    [
        ({"concurrency": 100}, 2, 5),
        ({"concurrency": 100}, 8, 8),
        ({"concurrency": 3}, 8, 3),
        ({}, 2, 5),
        ({"concurrency": 100, "child_processes": 1}, 8, 1),
    ],
    ids=str,
)
async def test_the_cap_follows_cpus_and_what_the_functions_ask_for(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, options: Any, cpus: int, most: int
) -> None:
    monkeypatch.setattr("toril.engine.worker.cpus", lambda: cpus)
    queue.process("pid", process=True, concurrency=5)(child_work.pid)
    assert Worker(queue, **options)._executor.processes._pool._slots._value == most


async def test_idle_children_that_are_killed_cost_no_job_anything(queue: Queue) -> None:
    async with working(queue, child_work.pid, concurrency=3, child_processes=1):
        for _ in range(6):
            job = await queue.add("pid", {}, attempts=1)
            child = await job.result(WITHIN)
            os.kill(child, signal.SIGKILL)
        assert await (await queue.add("pid", {})).result(WITHIN) != child


async def test_a_job_whose_child_is_killed_runs_again_at_no_cost(queue: Queue, tmp_path: Path) -> None:
    note, go_on = tmp_path / "note", tmp_path / "go on"
    async with working(queue, child_work.note_and_wait, concurrency=1):
        job = await queue.add("note_and_wait", {"note": str(note), "until": str(go_on)}, attempts=1)
        for run in (1, 2, 3):
            os.kill((await noted(note, run))[-1], signal.SIGKILL)
        await noted(note, 4)
        go_on.touch()
        assert await job.result(WITHIN) in await noted(note, 4)
    again = await queue.get_job(job.id)
    assert again is not None
    assert (again.attempts_made, again.failed_reason) == (0, None)


@pytest.mark.parametrize(
    ("how", "reason"),
    [("kill", "SIGKILL.*4 times in a row"), ("fault", "SIGSEGV"), ("exit", "exit code 3")],
)
async def test_a_job_that_ends_its_own_child_fails_with_a_reason(queue: Queue, how: str, reason: str) -> None:
    async with working(queue, child_work.die, child_work.square, concurrency=1):
        job = await queue.add("die", how, attempts=1)
        with pytest.raises(JobFailedError, match=reason):
            await job.result(WITHIN)
        assert await (await queue.add("square", {"n": 3})).result(WITHIN) == 9


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (child_work.return_what_only_we_can_read, "the result is not JSON.*UnreadableHere"),
        (child_work.fail_with_what_only_we_can_read, "the cause"),
    ],
)
async def test_what_only_the_child_can_read_fails_its_job_alone(
    queue: Queue, function: Callable[..., Any], reason: str
) -> None:
    async with working(queue, function, child_work.square, concurrency=1):
        with pytest.raises(JobFailedError, match=reason):
            await (await queue.add(function.__name__, {})).result(WITHIN)
        assert await (await queue.add("square", {"n": 3})).result(WITHIN) == 9


@pytest.mark.parametrize(
    ("what", "reason", "made"),
    [
        ("unrecoverable", "never again", 1),
        ("lookup", "not there", 2),
        ("interrupt", "KeyboardInterrupt: key", 2),
        ("exit", "SystemExit: exit", 2),
        ("generator", "GeneratorExit: gone", 2),
        ("mute", "MuteError", 2),
    ],
)
async def test_an_error_leaves_the_child_with_its_kind_its_reason_and_its_trace(
    queue: Queue, what: str, reason: str, made: int
) -> None:
    kinds: list[type[BaseException]] = []

    def think(attempts: int, error: BaseException, options: Any) -> float:
        kinds.append(type(error))
        return 0

    async with working(queue, child_work.fail, concurrency=1, backoff_strategies={"think": think}):
        job = await queue.add("fail", what, attempts=2, backoff=Backoff.custom("think"))
        with pytest.raises(JobFailedError, match=reason):
            await job.result(WITHIN)
    again = await queue.get_job(job.id)
    assert again is not None
    assert again.attempts_made == made
    assert "in fail\n" in again.stacktrace[0], "where it was raised"
    if what == "lookup":
        assert kinds == [LookupError]


async def test_the_time_out_counts_from_when_the_child_has_the_job(queue: Queue, tmp_path: Path) -> None:
    """One child, kept by others for far longer than the time-out of the one that waits for it."""
    note, go_on = tmp_path / "note", tmp_path / "go on"
    async with working(
        queue, child_work.note_and_wait, child_work.pid, concurrency=2, child_processes=1
    ) as worker:
        first = await queue.add("note_and_wait", {"note": str(note), "until": str(go_on)})
        await noted(note)
        timely = await queue.add("pid", {}, timeout=0.01)

        async def is_taken() -> bool:
            return worker.running == 2

        await until(is_taken, within_s=WITHIN)
        entry = worker._executor.running[timely.id]
        while entry.task is None or not entry.begun:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert entry.alarm is None, "its time has not begun"
        go_on.touch()
        await first.result(WITHIN)
        # Whether 10 ms are enough for it is the machine's matter; that it began late is not.
        with contextlib.suppress(JobFailedError):
            await timely.result(WITHIN)


async def test_a_child_that_was_killed_keeps_its_slot_until_another_is_up(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toril.engine.child_process import ChildProcess

    hold, start = asyncio.Event(), ChildProcess.start
    hold.set()

    async def start_when_let() -> ChildProcess:
        await hold.wait()
        return await start()

    monkeypatch.setattr(ChildProcess, "start", start_when_let)
    async with working(queue, child_work.hang, child_work.square, concurrency=1) as worker:
        assert await (await queue.add("square", {"n": 2})).result(WITHIN) == 4
        hold.clear()
        hanging = await queue.add("hang", {}, timeout=0.2)
        with pytest.raises(JobFailedError, match="timed out"):
            await hanging.result(WITHIN)
        innocent = await queue.add("square", {"n": 3}, timeout=30)
        assert (worker.running, worker._executor.occupied()) == (0, 1)
        assert await innocent.state() == "waiting", "another worker may take it meanwhile"
        hold.set()
        assert await innocent.result(WITHIN) == 9


@needs_proc
async def test_a_cancelled_job_ends_its_child_and_the_programs_it_started(
    queue: Queue, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    async with working(queue, child_work.start_a_program, concurrency=1):
        job = await queue.add("start_a_program", {"note": str(note)})
        (program,) = await noted(note)
        (child,) = children()
        await job.cancel()
        with pytest.raises(JobFailedError, match="cancelled"):
            await job.result(WITHIN)
        await gone(child, program)


@needs_proc
async def test_closing_ends_the_children_and_hands_their_jobs_back(queue: Queue, tmp_path: Path) -> None:
    note = tmp_path / "note"
    async with working(queue, child_work.note_and_wait, concurrency=2):
        job: Job[Any] = await queue.add(
            "note_and_wait", {"note": str(note), "until": str(tmp_path / "never")}
        )
        (child,) = await noted(note)
    await gone(child)
    assert children() == {}
    assert await job.state() == "waiting"


@needs_proc
async def test_a_child_holds_no_socket_but_its_own(queue: Queue) -> None:
    async with working(queue, child_work.note_descriptors, concurrency=1):
        assert len(await (await queue.add("note_descriptors", {})).result(WITHIN)) == 1


SCRIPT = """
    import asyncio, os, sys
    from toril import Queue, Worker

    queue = Queue("script", url=os.environ["URL"], prefix=os.environ["PREFIX"])

    @queue.task(process=True)
    def double(n: int) -> list:
        return [n * 2, __name__]

    @queue.process("hold", process=True)
    def hold(job) -> None:
        with open(job.data, "w") as note:
            note.write(f"{os.getpid()}\\n")
        import time
        time.sleep(1000)

    async def main():
        await Worker(queue, stalled_interval=0).run()

    GUARD
        asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def script(
    tmp_path: Path, guard: str, url: str, prefix: str
) -> AsyncIterator[tuple[Queue, asyncio.subprocess.Process]]:
    """A worker that somebody's script runs, and a queue to give it jobs."""
    environment = {"URL": url, "PREFIX": prefix}
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT).replace("GUARD", guard))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(path), env=os.environ | environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with Queue("script", url=url, prefix=prefix) as queue:
            yield queue, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


GUARD = 'if __name__ == "__main__":'


async def test_functions_of_the_script_that_is_run_work_in_children(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    async with script(tmp_path, GUARD, server_url, prefix) as (queue, _):
        job = await queue.add("double", {"n": 4})
        assert await job.result(WITHIN) == [8, "__mp_main__"]


async def test_a_script_without_a_guard_is_told_what_to_do(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    async with script(tmp_path, "if True:", server_url, prefix) as (queue, _):
        job = await queue.add("double", {"n": 4})
        with pytest.raises(JobFailedError, match=GUARD):
            await job.result(WITHIN)


@needs_proc
async def test_children_die_with_a_worker_that_is_killed(
    server_url: str, prefix: str, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    async with script(tmp_path, GUARD, server_url, prefix) as (queue, process):
        await queue.add("hold", str(note))
        (child,) = await noted(note)
        assert is_running(child)
        process.kill()
        await gone(child)
