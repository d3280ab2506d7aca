"""A worker on rare paths: none may cost a slot, another job, or the end of the job at hand."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support import child_tasks, child_work
from tests.support.until import until

from toril.engine.backoff import Backoff
from toril.engine.committer import Taken
from toril.engine.job import Job
from toril.engine.locks import LockRenewer
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import ConfigurationError, JobFailedError, OptionError

WITHIN = 60.0


def stopping_at_once(worker: Worker, monkeypatch: pytest.MonkeyPatch, reason: Any) -> None:
    """Stop each job within the turn of the event loop in which it was taken."""
    start = worker._executor.start

    def start_and_stop(taken: Taken, fence: str) -> None:
        start(taken, fence)
        assert taken[11] is not None
        worker._executor.stop(taken[11].decode(), reason)

    monkeypatch.setattr(worker._committer, "_start", start_and_stop)


async def test_a_job_cancelled_before_its_first_step_fails_and_frees_its_slot(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    async def work(job: Job[Any]) -> None:
        ran.append(job.id)

    async with Worker(queue, work, concurrency=1, stalled_interval=0) as worker:
        with monkeypatch.context() as patch:
            stopping_at_once(worker, patch, "cancelled")
            with pytest.raises(JobFailedError, match="cancelled"):
                await (await queue.add("n", {})).result(WITHIN)
        assert ran == []
        await (await queue.add("n", {})).result(WITHIN)
    assert worker.running == 0


async def test_a_job_taken_while_the_worker_hurries_is_handed_back(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(job: Job[Any]) -> None:
        raise AssertionError("not to be run")

    job = await queue.add("n", {})
    worker = Worker(queue, work, stalled_interval=0)
    stopping_at_once(worker, monkeypatch, "shutdown")
    closing: asyncio.Task[None] | None = None
    record = worker._executor._record

    def close_with_the_first(outcome: Any) -> None:
        nonlocal closing
        closing = closing or asyncio.create_task(worker.close())
        worker._executor.quiet = True
        worker._committer.finish()
        record(outcome)

    monkeypatch.setattr(worker._executor, "_record", close_with_the_first)
    await worker.start()

    async def is_closing() -> bool:
        return closing is not None

    await until(is_closing, within_s=WITHIN)
    assert closing is not None
    async with asyncio.timeout(WITHIN):
        await closing
    assert await job.state() == "waiting"


@pytest.mark.parametrize("reason", ["cancelled", "shutdown"])
async def test_a_job_stopped_while_its_backoff_is_thought_about_still_ends(queue: Queue, reason: Any) -> None:
    thinking = asyncio.Event()

    async def think(attempts: int, error: BaseException, options: Any) -> float:
        thinking.set()
        await asyncio.Event().wait()
        return 0

    async def work(job: Job[Any]) -> None:
        raise ValueError("no luck")

    async with Worker(
        queue, work, stalled_interval=0, backoff_strategies={"slow": think}, grace=0.1
    ) as worker:
        job = await queue.add("n", {}, attempts=3, backoff=Backoff.custom("slow"))
        await asyncio.wait_for(thinking.wait(), WITHIN)
        if reason == "shutdown":
            await worker.close()
            assert await job.state() == "waiting"
        else:
            await job.cancel()
            with pytest.raises(JobFailedError, match="cancelled"):
                await job.result(WITHIN)


def run_dry(job: Any) -> Any:
    return next(iter(()))


async def test_a_stop_iteration_in_a_thread_fails_its_job(queue: Queue) -> None:
    async with Worker(queue, run_dry, concurrency=1, stalled_interval=0, grace=0.1):
        with pytest.raises(JobFailedError, match="StopIteration"):
            await (await queue.add("n", {})).result(WITHIN)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        pytest.param(child_work.run_dry, "StopIteration", id="stop iteration"),
        pytest.param(child_work.fail_unreadably, "two, words", id="error that cannot be read back"),
        pytest.param(child_work.return_a_lambda, "the result is not JSON", id="lambda"),
        pytest.param(child_work.return_a_lock, "the result is not JSON", id="result that cannot travel"),
    ],
)
async def test_what_a_child_process_cannot_hand_over_fails_its_job_alone(
    queue: Queue, function: Any, reason: str
) -> None:
    queue.process("bad", process=True)(function)
    queue.process("square", process=True)(child_work.square)
    async with Worker(queue, concurrency=1, stalled_interval=0, grace=0.1):
        with pytest.raises(JobFailedError, match=reason):
            await (await queue.add("bad", {})).result(60)
        assert await (await queue.add("square", {"n": 3})).result(60) == 9


async def test_threads_that_outlive_their_jobs_keep_a_slot_each(queue: Queue) -> None:
    go_on, entered = threading.Event(), 0

    def hang(job: Any) -> None:
        nonlocal entered
        entered += 1
        go_on.wait(WITHIN)

    try:
        async with Worker(queue, hang, concurrency=2, stalled_interval=0, grace=0.1) as worker:
            for job in [await queue.add("n", {}, timeout=0.05) for _ in range(2)]:
                with pytest.raises(JobFailedError, match="timed out"):
                    await job.result(WITHIN)
            assert entered == 2
            assert worker._executor.occupied() == 2
    finally:
        go_on.set()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"data": "[" * 20_000 + "]" * 20_000}, id="nested without end"),
        pytest.param({"opts": '{"delay":"5","attempts":1}'}, id="delay as text"),
        pytest.param({"opts": '{"priority":[1],"delay":{}}'}, id="options of wrong types"),
        pytest.param(
            {"opts": '{"removeOnComplete":1e999,"removeOnFail":{"age":1e999}}'}, id="endless number"
        ),
        pytest.param({"opts": '{"removeOnComplete":NaN,"removeOnFail":NaN}'}, id="not a number"),
        pytest.param({"stacktrace": "[" * 20_000, "progress": "[" * 20_000}, id="broken history"),
        pytest.param({"attemptsMade": "inf", "timestamp": "soon", "priority": "much"}, id="no numbers"),
    ],
)
async def test_a_job_written_badly_ends_and_harms_no_other(
    queue: Queue, redis: redis_asyncio.Redis, fields: dict[Any, Any]
) -> None:
    async def work(job: Job[Any]) -> str:
        return "done"

    bad, good = await queue.add_bulk([("n", 1), ("n", 2)])
    await redis.hset(queue.keys.job(bad.id), mapping=fields)
    async with Worker(queue, work, concurrency=4, stalled_interval=0, grace=0.1):
        assert await good.result(WITHIN) == "done"

        async def has_ended() -> bool:
            return await bad.state() in ("completed", "failed")

        await until(has_ended, within_s=WITHIN)
    assert await queue.get_job(bad.id) is not None
    assert len(await queue.get_jobs()) == 2


async def test_an_id_that_is_no_text_harms_no_other_job(queue: Queue, redis: redis_asyncio.Redis) -> None:
    async def work(job: Job[Any]) -> str:
        return "done"

    good = await queue.add("n", 2)
    bad = queue.keys.base.encode() + b":\xff\xfe"
    await redis.hset(bad, mapping={"name": "n", "data": json.dumps(1), "opts": "{}"})
    await redis.rpush(queue.keys.of("wait"), b"\xff\xfe")
    async with Worker(queue, work, concurrency=4, stalled_interval=0, grace=0.1):
        assert await good.result(WITHIN) == "done"
        assert await (await queue.add("n", 3)).result(WITHIN) == "done"


async def test_a_task_runs_in_a_child_process(queue: Queue) -> None:
    processor = child_tasks.queue.processors.find("cube")
    assert processor is not None
    queue.processors.add(processor)
    async with Worker(queue, stalled_interval=0, grace=0.1):
        assert await (await queue.add("cube", {"n": 3})).result(60) == 27
        with pytest.raises(JobFailedError, match="missing a required argument: 'n'"):
            await (await queue.add("cube", {})).result(60)
    assert child_tasks.cube(2) == 8


async def test_an_id_whose_key_is_something_else_harms_no_other_job(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    ran: list[str] = []

    async def work(job: Job[Any]) -> None:
        ran.append(job.id)

    jobs = await queue.add_bulk([("n", number) for number in range(3)])
    await redis.set(queue.keys.of("poison"), "not a job")
    for place in ("wait", "wait"):
        await redis.linsert(queue.keys.of(place), "BEFORE", jobs[1].id, "poison")
    async with Worker(queue, work, concurrency=10, stalled_interval=0, grace=0.1):
        await asyncio.gather(*(job.result(WITHIN) for job in jobs))
    assert sorted(ran) == sorted(job.id for job in jobs)
    assert await redis.get(queue.keys.of("poison")) == "not a job", "it is somebody's"
    assert (await queue.counts("waiting", "active")) == {"waiting": 0, "active": 0}


@pytest.mark.parametrize(
    "options",
    [
        {"lock_duration": float("inf")},
        {"lock_duration": float("nan")},
        {"lock_duration": 0},
        {"lock_renew": 0},
        {"lock_renew": 30},
        {"lock_renew": "often"},
        {"stalled_interval": float("inf")},
        {"stalled_interval": 1e-9},
        {"max_stalled_count": -1},
        {"max_stalled_count": 1.5},
        {"max_stalled_count": "1"},
        {"metrics": -1},
        {"metrics": "all"},
        {"metrics": True},
        {"grace": float("nan")},
        {"concurrency": 0},
        {"concurrency": 1e3},
        {"child_processes": 0},
        {"child_processes": True},
        {"child_processes": 1.5},
    ],
    ids=str,
)
async def test_bad_options_are_refused_before_work_begins(prefix: str, options: Any) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        Worker("q", print, url="redis://127.0.0.1:1", prefix=prefix, **options)


async def test_a_renewal_never_comes_later_than_it_is_told(queue: Queue) -> None:
    renewer = LockRenewer(
        queue.scripts,
        queue.hooks,
        running=list,
        lock_ms=30_000,
        period=29.0,
        lost=print,
        cancelled=print,
    )
    assert await renewer.run_once() is not None
    waits = [renewer._jittered() for _ in range(1000)]
    assert min(waits) > 20
    assert max(waits) <= 29


async def test_a_listener_may_close_what_it_listens_to(server_url: str, prefix: str) -> None:
    queue = Queue("q", url=server_url, prefix=prefix)
    closed = asyncio.Event()

    async def close(job: Job[Any], value: Any) -> None:
        await worker.close()
        await queue.close()
        closed.set()

    async def work(job: Job[Any]) -> None:
        return None

    queue.on("completed", close)
    worker = Worker(queue, work, stalled_interval=0)
    await worker.start()
    await queue.add("n", {})
    await asyncio.wait_for(closed.wait(), WITHIN)


async def test_a_listener_that_never_ends_holds_no_queue_open(
    server_url: str, prefix: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.engine.hooks.CLOSE_WITHIN", 0.1)
    stopped = asyncio.Event()

    async def hang(*_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with Queue("q", url=server_url, prefix=prefix) as queue:
        queue.on("removed", hang)
        await (await queue.add("n", {})).remove()
    assert stopped.is_set()
    assert "listener_stopped" in caplog.text


async def test_functions_that_a_child_process_cannot_find_are_told_at_the_start(queue: Queue) -> None:
    @queue.process("square", process=True)
    def square(job: Any) -> int:
        return 9

    job = await queue.add("square", 3)
    with pytest.raises(ConfigurationError, match="must find it by its name in a module"):
        await Worker(queue).start()
    assert await job.state() == "waiting"
