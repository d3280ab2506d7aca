"""Whatever a processor or a backoff strategy raises, or swallows: the attempt ends, and the worker goes on."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest

from toril.engine.backoff import Backoff
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import JobFailedError

WITHIN = 60.0


class OutsideError(BaseException):
    """As some libraries derive their errors, so that nobody catches them by accident."""


class MuteError(Exception):
    """Cannot tell what it is."""

    def __str__(self) -> NoReturn:
        raise KeyboardInterrupt

    __repr__ = __str__


class NotesRaiseError(Exception):
    """Cannot be shown in a stack trace."""

    @property
    def __notes__(self) -> NoReturn:
        raise OutsideError("notes")


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """Takes no notes."""

    text: str

    def __str__(self) -> str:
        return self.text


RAISED = [
    pytest.param(OutsideError("far out"), "far out", id="BaseException"),
    pytest.param(GeneratorExit("gone"), "gone", id="GeneratorExit"),
    pytest.param(KeyboardInterrupt("key"), "key", id="KeyboardInterrupt"),
    pytest.param(SystemExit("exit"), "exit", id="SystemExit"),
    pytest.param(asyncio.CancelledError("not by us"), "not by us", id="CancelledError"),
    pytest.param(StopIteration("dry"), "StopIteration", id="StopIteration"),
    pytest.param(BaseExceptionGroup("many", [OutsideError()]), "many", id="group"),
    pytest.param(MuteError(), "MuteError", id="text that raises"),
    pytest.param(NotesRaiseError("noted"), "noted", id="notes that raise"),
    pytest.param(FrozenError("cold"), "cold", id="frozen"),
]


@contextlib.asynccontextmanager
async def working(queue: Queue, processor: Any = None, **options: Any) -> AsyncIterator[Worker]:
    # One slot, and nobody who looks for stalled jobs: what does not end holds up all others.
    async with Worker(
        queue, processor, **{"concurrency": 1, "stalled_interval": 0, "grace": 0.1, **options}
    ) as worker:
        yield worker


async def fails_with(job: Job[Any], reason: str) -> None:
    with pytest.raises(JobFailedError, match=reason):
        await job.result(WITHIN)


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
@pytest.mark.parametrize(("error", "reason"), RAISED)
async def test_whatever_a_processor_raises_fails_the_attempt_with_a_reason(
    queue: Queue, kind: str, error: BaseException, reason: str
) -> None:
    def fail(job: Job[Any]) -> str:
        if job.name == "bad":
            raise error
        return "fine"

    async def fail_async(job: Job[Any]) -> str:
        return fail(job)

    async with working(queue, fail if kind == "thread" else fail_async):
        bad = await queue.add("bad", {}, attempts=2)
        await fails_with(bad, reason)
        assert await (await queue.add("good", {})).result(WITHIN) == "fine"
    again = await queue.get_job(bad.id)
    assert again is not None
    assert again.attempts_made == 2
    assert len(again.stacktrace) == 2


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
@pytest.mark.parametrize(("error", "_reason"), RAISED)
async def test_whatever_a_backoff_strategy_raises_fails_the_job_with_its_own_reason(
    queue: Queue, kind: str, error: BaseException, _reason: str
) -> None:
    def think(attempts: int, failure: BaseException, options: Any) -> float:
        raise error

    async def think_async(attempts: int, failure: BaseException, options: Any) -> float:
        raise error

    async def work(job: Job[Any]) -> str:
        if job.name == "bad":
            raise FrozenError("the cause")
        return "fine"

    strategies = {"bad": think if kind == "plain" else think_async}
    async with working(queue, work, backoff_strategies=strategies):
        bad = await queue.add("bad", {}, attempts=3, backoff=Backoff.custom("bad"))
        await fails_with(bad, "the cause")
        assert await (await queue.add("good", {})).result(WITHIN) == "fine"
    again = await queue.get_job(bad.id)
    assert again is not None
    assert again.attempts_made == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), OutsideError()], ids=repr)
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_whatever_a_listener_raises_does_not_end_the_worker(
    queue: Queue, kind: str, error: BaseException
) -> None:
    def listen(*_: Any) -> None:
        raise error

    async def listen_async(*_: Any) -> None:
        raise error

    async def work(job: Job[Any]) -> str:
        return "fine"

    for event in ("active", "completed"):
        queue.on(event, listen if kind == "plain" else listen_async)
    async with working(queue, work):
        for _ in range(2):
            assert await (await queue.add("good", {})).result(WITHIN) == "fine"


@pytest.mark.parametrize("why", ["timeout", "cancelled"])
async def test_a_processor_that_swallows_its_cancelling_gives_its_slot_free(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    monkeypatch.setattr("toril.engine.executor.STOP_WITHIN_S", 0.05)
    begun, over, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(job: Job[Any]) -> str:
        if job.name == "good":
            return "fine"
        begun.set()
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()
        ended.set()
        return "late"

    async with working(queue, work):
        deaf = await queue.add("deaf", {}, timeout=0.05 if why == "timeout" else None)
        await asyncio.wait_for(begun.wait(), WITHIN)
        if why == "cancelled":
            await deaf.cancel()
        await fails_with(deaf, "timed out" if why == "timeout" else "cancelled")
        assert await (await queue.add("good", {})).result(WITHIN) == "fine"
        over.set()
        await asyncio.wait_for(ended.wait(), WITHIN)
        assert await (await queue.add("good", {})).result(WITHIN) == "fine"
    assert "job_does_not_stop" in caplog.text
    assert await deaf.state() == "failed", "what it returned late is nobody's"


async def test_a_worker_closes_though_a_processor_swallows_its_cancelling(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("toril.engine.executor._SHUTDOWN_WITHIN_S", 0.05)
    begun, over = asyncio.Event(), asyncio.Event()

    async def work(job: Job[Any]) -> None:
        begun.set()
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()

    async with working(queue, work):
        deaf = await queue.add("deaf", {})
        await asyncio.wait_for(begun.wait(), WITHIN)
    assert "job_does_not_stop" in caplog.text
    assert "worker_close_incomplete" not in caplog.text
    assert await deaf.state() == "active", "another worker would run it beside this one"
    over.set()


@pytest.mark.parametrize("deaf", [False, True], ids=["silent", "deaf"])
async def test_a_backoff_strategy_that_never_returns_has_a_limit(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    monkeypatch.setattr("toril.engine.backoff.STRATEGY_WITHIN_S", 0.05)
    over = asyncio.Event()

    async def think(attempts: int, failure: BaseException, options: Any) -> float:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                if not deaf:
                    raise
        return 0

    async def work(job: Job[Any]) -> str:
        if job.name == "bad":
            raise ValueError("the cause")
        return "fine"

    async with working(queue, work, backoff_strategies={"slow": think}):
        bad = await queue.add("bad", {}, attempts=3, backoff=Backoff.custom("slow"))
        await fails_with(bad, "the cause")
        assert await (await queue.add("good", {})).result(WITHIN) == "fine"
    again = await queue.get_job(bad.id)
    assert again is not None
    assert "'slow' gave no answer within 0.05 s" in again.stacktrace[0]
    over.set()


async def test_a_coroutine_that_is_closed_with_its_loop_is_no_failed_job(queue: Queue) -> None:
    begun = asyncio.Event()

    async def work(job: Job[Any]) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with working(queue, work) as worker:
        job = await queue.add("n", {})
        await asyncio.wait_for(begun.wait(), WITHIN)
        (entry,) = worker._executor.running.values()
        assert entry.task is not None
        coroutine = entry.task.get_coro()
        assert coroutine is not None
        coroutine.close()  # what Python does with it at its end; an error if it goes on all the same
    assert await job.state() == "active"
