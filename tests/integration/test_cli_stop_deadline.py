"""``--grace`` is a limit: a stop ends the process, whatever its jobs do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.support.cli import WITHIN_S, Toril
from tests.support.servers import RedisServer

from toril.cli.supervisor import Supervisor
from toril.engine.queue import Queue

#: Jobs that hold the event loop or do not stop. Processes have a second beyond the grace period, not ten.
TASKS = """
import asyncio
import os
import re
import time
import toril.engine.stop_deadline
from toril.engine.queue import Queue
from toril.engine.worker import Worker

toril.engine.stop_deadline.MARGIN_S = float(os.environ.get("MARGIN", 1))
toril.engine.stop_deadline.HURRY_S = 1.0
toril.engine.stop_deadline._BACKSTOP_S = 0.5
queue = Queue("odd", prefix=os.environ["TORIL_PREFIX"])

@queue.process("sleep")
async def block(job):
    print("began", flush=True)
    time.sleep(1000)

@queue.process("pattern")
async def hold_the_lock(job):
    print("began", flush=True)
    re.match("(a+)+$", "a" * 60 + "b")

@queue.process("swallow")
async def swallow(job):
    print("began", flush=True)
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass

@queue.process("interrupt")
async def interrupt(job):
    print("began", flush=True)
    raise KeyboardInterrupt

@queue.process("interrupt in a task")
async def interrupt_in_a_task(job):
    async def press():
        raise KeyboardInterrupt
    print("began", flush=True)
    await asyncio.create_task(press())

@queue.process("thread")
def in_a_thread(job):
    print("began", flush=True)
    time.sleep(1000)

@queue.process("quick")
async def quick(job):
    print("did", job.id, flush=True)

async def alone():
    await Worker(queue, grace=0, stalled_interval=0).run()

if __name__ == "__main__":
    import logging
    logging.basicConfig(level=logging.INFO)
    asyncio.run(alone())
"""


@pytest.fixture
def url(start_server: Callable[[str], RedisServer]) -> str:
    return start_server("valkey").url


@pytest.fixture
def toril(tmp_path: Path, url: str, prefix: str) -> Toril:
    (tmp_path / "odd.py").write_text(textwrap.dedent(TASKS))
    return Toril(tmp_path, {"REDIS_URL": url, "TORIL_PREFIX": prefix})


@pytest.fixture
async def odd(url: str, prefix: str) -> AsyncIterator[Queue]:
    async with Queue("odd", url=url, prefix=prefix) as queue:
        yield queue


async def test_a_job_that_blocks_the_loop_does_not_keep_the_process(toril: Toril, odd: Queue) -> None:
    job = await odd.add("sleep", {})
    async with toril.running("worker", "odd:queue", "--grace", "0") as worker:
        await worker.line("began")
        worker.send(signal.SIGTERM)
        assert await worker.end() == 1
    (line,) = [line for line in worker.lines if "stop_deadline_passed" in line]
    assert "running=1" in line
    assert "odd.py" in line, "who holds the loop"
    assert await job.state() == "active", "it runs again when it is found stalled"


async def test_a_job_that_holds_the_interpreter_does_not_keep_the_process(toril: Toril, odd: Queue) -> None:
    await odd.add("pattern", {})
    async with toril.running("worker", "odd:queue", "--grace", "0") as worker:
        await worker.line("began")
        worker.send(signal.SIGTERM)
        assert await worker.end() == 1
    assert any("hold_the_lock" in line for line in worker.lines), "the stack of who holds it"


@pytest.mark.parametrize("signals", [2, 3])
async def test_more_signals_end_a_blocked_process_sooner(toril: Toril, odd: Queue, signals: int) -> None:
    await odd.add("sleep", {})
    async with toril.running("worker", "odd:queue", "--grace", "3600") as worker:
        await worker.line("began")
        for _ in range(signals):
            worker.send(signal.SIGINT)
            await asyncio.sleep(0.1)  # the system forgets a signal that arrives while the same one waits
        assert await worker.end() == 130


async def test_a_job_that_swallows_its_cancelling_does_not_keep_the_process(toril: Toril, odd: Queue) -> None:
    await odd.add("swallow", {})
    async with toril.running("worker", "odd:queue", "--grace", "0") as worker:
        await worker.line("began")
        worker.send(signal.SIGTERM)
        assert await worker.end() == 1
    assert any("stop_deadline_passed" in line for line in worker.lines)


@pytest.mark.parametrize(("job", "margin"), [("swallow", "1"), ("thread", "5")])
async def test_a_worker_in_a_script_of_its_own_ends_too(
    toril: Toril, odd: Queue, job: str, margin: str
) -> None:
    """Also when the worker has closed by then, and Python itself waits for a thread."""
    await odd.add(job, {})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "odd.py",
        cwd=toril.folder,
        env=os.environ | toril.settings | {"MARGIN": margin},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            while b"began" not in await process.stdout.readline():
                pass
            process.send_signal(signal.SIGTERM)
            text = await process.stdout.read()
            assert await process.wait() == 1
        assert b"stop_deadline_passed" in text
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def test_a_keyboard_interrupt_of_a_job_fails_it_and_a_stop_is_heard(toril: Toril, odd: Queue) -> None:
    job = await odd.add("interrupt", {})
    async with toril.running("worker", "odd:queue") as worker:
        await worker.line("began")
        quick = await odd.add("quick", {})
        await worker.line(f"did {quick.id}")
        assert await job.state() == "failed"
        worker.send(signal.SIGTERM)
        assert await worker.end() == 0


async def test_a_keyboard_interrupt_in_a_task_of_a_job_ends_the_process(toril: Toril, odd: Queue) -> None:
    """The event loop itself passes it on; the process must not linger without doing anything."""
    await odd.add("interrupt in a task", {})
    async with toril.running("worker", "odd:queue", "--grace", "0") as worker:
        await worker.line("began")
        assert await worker.end() in (1, 130)


async def test_a_supervisor_kills_a_process_that_is_frozen(
    toril: Toril, odd: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("MARGIN_S", "_KILLED_AFTER"):
        monkeypatch.setattr(f"toril.cli.supervisor.{name}", 0.1)
    for name, value in toril.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(toril.folder)
    supervisor = Supervisor([["odd:queue"]], grace=0)
    running = asyncio.create_task(supervisor.run())
    async with asyncio.timeout(WITHIN_S):
        while not await odd.workers():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        (process,) = supervisor._running
        process.send_signal(signal.SIGSTOP)
        supervisor._requests.ask()
        assert await running == 1
    assert process.returncode == -signal.SIGKILL
    assert "process_killed" in caplog.text
