"""A worker on real servers: what it does with jobs, one behaviour a test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.until import until

from toril.engine.backoff import Backoff
from toril.engine.current import current_job
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.worker import Worker
from toril.errors import JobFailedError, OptionError, RetryableError, UnrecoverableError

#: Seconds for what should come soon; far more than it takes, since test machines are busy.
WITHIN = 60.0


@contextlib.asynccontextmanager
async def working(queue: Queue, processor: Any = None, **options: Any) -> AsyncIterator[Worker]:
    worker = Worker(queue, processor, **{"stalled_interval": 0, "grace": 5, **options})
    async with worker:
        yield worker


async def reaches(job: Job[Any], state: str) -> None:
    async def is_there() -> bool:
        return await job.state() == state

    await until(is_there, within_s=WITHIN)


async def starts_of(queue: Queue, jobs: list[Job[Any]]) -> list[int]:
    """When these were started, by the server's clock (ms), in that order."""
    return sorted([(await reread(queue, job)).processed_on or 0 for job in jobs])


async def reread(queue: Queue, job: Job[Any]) -> Job[Any]:
    again = await queue.get_job(job.id)
    assert again is not None
    return again


async def test_a_job_is_worked_and_its_result_kept(queue: Queue, redis: redis_asyncio.Redis) -> None:
    async def double(job: Job[Any]) -> dict[str, int]:
        return {"twice": job.data["n"] * 2}

    job = await queue.add("double", {"n": 21})
    async with working(queue, double):
        assert await job.result(WITHIN) == {"twice": 42}
    stored = await redis.hgetall(queue.keys.job(job.id))
    assert json.loads(stored["returnvalue"]) == {"twice": 42}
    assert float(stored["finishedOn"]) == await redis.zscore(queue.keys.of("completed"), job.id)
    assert "attemptsMade" not in stored
    assert not await redis.exists(queue.keys.lock(job.id), queue.keys.of("active"))


async def test_named_processors_get_their_jobs_and_others_fail(queue: Queue) -> None:
    @queue.process("one")
    async def one(job: Job[Any]) -> str:
        return "one"

    @queue.process("two", concurrency=2)
    async def two(job: Job[Any]) -> str:
        return "two"

    jobs = [await queue.add(name, {}) for name in ("one", "two", "three")]
    async with working(queue) as worker:
        assert worker.concurrency == 3
        assert await jobs[0].result(WITHIN) == "one"
        assert await jobs[1].result(WITHIN) == "two"
        with pytest.raises(JobFailedError, match="Missing process handler for job type three"):
            await jobs[2].result(WITHIN)


async def test_a_task_is_called_with_its_arguments(queue: Queue) -> None:
    @queue.task(attempts=2)
    async def add(left: int, right: int = 1) -> int:
        return left + right

    assert await add(1, 2) == 3
    job = await add.enqueue(40, right=2)
    assert (job.name, job.data, job.opts["attempts"]) == ("add", {"left": 40, "right": 2}, 2)
    with pytest.raises(OptionError, match="unexpected keyword"):
        await add.enqueue(1, wrong=2)
    async with working(queue):
        assert await job.result(WITHIN) == 42
        stranger = await queue.add("add", {"left": 1, "lft": 1})
        with pytest.raises(JobFailedError, match="lft"):
            await stranger.result(WITHIN)


async def test_plain_functions_run_in_threads_with_a_job_they_can_use(queue: Queue) -> None:
    def work(job: Any) -> str:
        job.update_progress(50)
        job.log("half way")
        assert current_job().id == job.id
        return threading.current_thread().name

    job = await queue.add("work", {})
    async with working(queue, work):
        assert (await job.result(WITHIN)).startswith("toril-job")
    assert (await reread(queue, job)).progress == 50
    assert (await queue.logs(job.id))[0] == ["half way"]


async def test_functions_in_child_processes_are_killed_on_timeout(queue: Queue) -> None:
    from tests.support.child_work import hang, square

    queue.process("square", process=True)(square)
    queue.process("hang", process=True)(hang)
    good = await queue.add("square", {"n": 12})
    bad = await queue.add("hang", {}, timeout=0.2)
    async with working(queue, concurrency=2):
        assert await good.result(60) == 144
        with pytest.raises(JobFailedError, match="timed out after 200"):
            await bad.result(60)
        assert await (await queue.add("square", {"n": 3})).result(60) == 9


async def test_never_more_than_concurrency_at_once(queue: Queue) -> None:
    now = most = 0
    gate = asyncio.Event()

    async def work(job: Job[Any]) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await gate.wait()
        now -= 1

    jobs = await queue.add_bulk([("w", {}) for _ in range(20)])

    async def all_slots_used() -> bool:
        return now == 3

    async with working(queue, work, concurrency=3):
        await until(all_slots_used)
        assert (await queue.counts("active", "waiting")) == {"active": 3, "waiting": 17}
        gate.set()
        await asyncio.gather(*(job.result(WITHIN) for job in jobs))
    assert most == 3


async def test_jobs_run_in_the_order_they_were_added(queue: Queue) -> None:
    seen: list[int] = []

    async def note(job: Job[Any]) -> None:
        seen.append(job.data)

    jobs = await queue.add_bulk([("n", number) for number in range(300)])
    async with working(queue, note, concurrency=1):
        await jobs[-1].result(WITHIN)
    assert seen == list(range(300))


async def test_priorities_come_first_and_lifo_before_all(queue: Queue) -> None:
    seen: list[str] = []

    async def note(job: Job[Any]) -> None:
        seen.append(job.data)

    for text, priority in (("n1", 0), ("p5", 5), ("p1", 1), ("p5b", 5), ("n2", 0), ("p3", 3)):
        await queue.add("n", text, priority=priority)
    await queue.add("n", "last in", lifo=True)
    async with working(queue, note, concurrency=1):
        await until_empty(queue)
    assert seen == ["last in", "p1", "p3", "p5", "p5b", "n1", "n2"]


async def until_empty(queue: Queue) -> None:
    async def is_empty() -> bool:
        counts = await queue.counts("waiting", "active", "delayed")
        return not any(counts.values())

    await until(is_empty, within_s=WITHIN)


async def test_failures_are_retried_with_backoff_and_then_kept(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    tries = 0

    async def break_twice(job: Job[Any]) -> str:
        nonlocal tries
        tries += 1
        assert job.attempts_made == tries - 1
        if tries < 3:
            raise ValueError(f"failure {tries}")
        return "done"

    job = await queue.add("w", {}, attempts=3, backoff=Backoff.fixed(0.02))
    async with working(queue, break_twice):
        assert await job.result(WITHIN) == "done"
    kept = await reread(queue, job)
    assert (kept.attempts_made, len(kept.stacktrace), kept.failed_reason) == (2, 2, "failure 2")
    assert tries == 3


async def test_attempts_used_up_fail_the_job(queue: Queue) -> None:
    tries = []

    async def fail(job: Job[Any]) -> None:
        tries.append(job.id)
        raise ValueError("never")

    job = await queue.add("w", {}, attempts=3)
    async with working(queue, fail):
        with pytest.raises(JobFailedError, match="never"):
            await job.result(WITHIN)
    assert len(tries) == 3
    assert await job.state() == "failed"


async def test_unrecoverable_errors_and_discarded_jobs_fail_at_once(queue: Queue) -> None:
    async def fail(job: Job[Any]) -> None:
        if job.name == "discard":
            job.discard()
            raise ValueError("discarded")
        raise UnrecoverableError("no use")

    jobs = [await queue.add(name, {}, attempts=5) for name in ("discard", "other")]
    async with working(queue, fail):
        for job, reason in zip(jobs, ("discarded", "no use"), strict=True):
            with pytest.raises(JobFailedError, match=reason):
                await job.result(WITHIN)
            assert (await reread(queue, job)).attempts_made == 1


async def test_retry_after_delays_the_next_attempt(queue: Queue) -> None:
    async def busy(job: Job[Any]) -> None:
        raise RetryableError("busy", retry_after=3600)

    job = await queue.add("w", {}, attempts=2)
    async with working(queue, busy):
        await reaches(job, "delayed")


async def test_custom_backoff_strategies_decide(queue: Queue) -> None:
    seen = []

    def strategy(made: int, error: BaseException, options: Any) -> float:
        seen.append((made, str(error), options))
        return -1 if made == 2 else 1

    async def fail(job: Job[Any]) -> None:
        raise ValueError("again")

    job = await queue.add("w", {}, attempts=9, backoff=Backoff.custom("mine", a=1))
    async with working(queue, fail, backoff_strategies={"mine": strategy}):
        with pytest.raises(JobFailedError):
            await job.result(WITHIN)
    assert seen == [(1, "again", {"a": 1}), (2, "again", {"a": 1})]


async def test_an_unknown_backoff_fails_the_job_and_says_so(queue: Queue) -> None:
    async def fail(job: Job[Any]) -> None:
        raise ValueError("broken")

    job = await queue.add("w", {}, attempts=3, backoff=Backoff.custom("nobody"))
    async with working(queue, fail):
        with pytest.raises(JobFailedError, match="broken"):
            await job.result(WITHIN)
    assert "Unknown backoff strategy nobody" in (await reread(queue, job)).stacktrace[0]


async def test_a_timeout_stops_the_work(queue: Queue) -> None:
    stopped = asyncio.Event()

    async def hang(job: Job[Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    job = await queue.add("w", {}, timeout=0.05)
    async with working(queue, hang):
        with pytest.raises(JobFailedError, match="timed out after 50 milliseconds"):
            await job.result(WITHIN)
        assert stopped.is_set()


async def test_a_thread_that_outlives_its_job_keeps_its_slot(queue: Queue) -> None:
    release = threading.Event()
    ran = []

    def work(job: Any) -> None:
        ran.append(job.id)
        if job.name == "slow":
            release.wait(WITHIN)

    slow = await queue.add("slow", {}, timeout=0.5)  # long enough for its thread to begin
    async with working(queue, work, concurrency=1):
        with pytest.raises(JobFailedError, match="timed out"):
            await slow.result(WITHIN)
        following = await queue.add("next", {})
        assert await following.state() == "waiting"
        release.set()
        await following.result(WITHIN)
    assert ran == [slow.id, following.id]


async def test_closing_does_not_wait_for_a_thread_whose_job_has_ended(queue: Queue) -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work(job: Any) -> None:
        begun.set()
        release.wait(4 * WITHIN)
        ended.set()

    job = await queue.add("slow", {}, timeout=0.5)
    try:
        async with working(queue, work):
            with pytest.raises(JobFailedError, match="timed out"):
                await job.result(WITHIN)
        assert (begun.is_set(), ended.is_set()) == (True, False)
    finally:
        release.set()


@pytest.mark.parametrize("bad", ["{not json", "", '{"a": NaN'])
async def test_data_that_is_not_json_fails_its_job_only(
    queue: Queue, redis: redis_asyncio.Redis, bad: str
) -> None:
    poison = await queue.add("w", {})
    await redis.hset(queue.keys.job(poison.id), "data", bad)
    good = await queue.add("w", {"fine": True})

    async def work(job: Job[Any]) -> Any:
        return job.data

    async with working(queue, work):
        assert await good.result(WITHIN) == {"fine": True}
        with pytest.raises(JobFailedError, match="data is not JSON"):
            await poison.result(WITHIN)


async def test_options_that_are_not_json_fail_their_job_only(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    poison = await queue.add("w", {})
    await redis.hset(queue.keys.job(poison.id), "opts", "][")
    good = await queue.add("w", {})

    async def work(job: Job[Any]) -> str:
        return "fine"

    async with working(queue, work):
        assert await good.result(WITHIN) == "fine"
        with pytest.raises(JobFailedError, match="options is not JSON"):
            await poison.result(WITHIN)


async def test_ids_without_a_job_are_dropped(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await redis.lpush(queue.keys.of("wait"), "ghost")
    good = await queue.add("w", {})
    seen = []

    async def work(job: Job[Any]) -> None:
        seen.append(job.id)

    async with working(queue, work):
        await good.result(WITHIN)
    assert seen == [good.id]
    assert not await redis.exists(queue.keys.job("ghost"), queue.keys.of("active"))


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, "x" * 3000])
async def test_results_that_cannot_be_kept_fail_the_job(server_url: str, prefix: str, value: Any) -> None:
    async def work(job: Job[Any]) -> Any:
        return value if job.name == "bad" else "fine"

    async with Queue("q", url=server_url, prefix=prefix, max_data_bytes=2000) as queue:
        bad, good = await queue.add("bad", {}), await queue.add("good", {})
        async with working(queue, work):
            with pytest.raises(JobFailedError, match="the result"):
                await bad.result(WITHIN)
            assert await good.result(WITHIN) == "fine"


async def test_a_processor_that_exits_fails_its_job_and_not_the_worker(queue: Queue) -> None:
    async def work(job: Job[Any]) -> str:
        if job.name == "exit":
            raise SystemExit(3)
        if job.name == "cancel":
            raise asyncio.CancelledError
        return "fine"

    jobs = [await queue.add(name, {}) for name in ("exit", "cancel", "good")]
    async with working(queue, work):
        for job in jobs[:2]:
            with pytest.raises(JobFailedError):
                await job.result(WITHIN)
        assert await jobs[2].result(WITHIN) == "fine"


async def test_delayed_jobs_run_when_due_in_due_order(queue: Queue) -> None:
    seen: list[int] = []

    async def note(job: Job[Any]) -> None:
        seen.append(job.data)

    for delay in (0.3, 0.1, 0.2):
        await queue.add("n", round(delay * 10), delay=delay)
    assert await queue.counts("delayed") == {"delayed": 3}
    async with working(queue, note, concurrency=1):
        await until_empty(queue)
    assert seen == [1, 2, 3]


async def test_a_worker_started_long_before_meets_a_delay_on_time(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that nothing else makes it look.
    monkeypatch.setattr("toril.engine.idle.DRAIN_DELAY", 2 * WITHIN)
    monkeypatch.setattr("toril.engine.promoter.GUARD", 2 * WITHIN)
    started = asyncio.Event()

    async def note(job: Job[Any]) -> None:
        started.set()

    async with working(queue, note):
        job = await queue.add("n", {}, delay=0.15)
        async with asyncio.timeout(WITHIN):
            await started.wait()
        await job.result(WITHIN)
        ran = await reread(queue, job)
        assert ran.processed_on is not None
        assert ran.timestamp is not None
        assert ran.processed_on - ran.timestamp >= 150


async def test_expired_jobs_are_not_started(queue: Queue, redis: redis_asyncio.Redis) -> None:
    ran = []

    async def note(job: Job[Any]) -> None:
        ran.append(job.id)

    job = await queue.add("n", {}, expires=0.001)
    fresh = await queue.add("n", {}, expires=60)

    async def is_past() -> bool:
        seconds, micros = await redis.time()
        return (
            seconds * 1000 + micros / 1000
            > json.loads((await redis.hget(queue.keys.job(job.id), "opts")) or "")["expiresAt"] + 2
        )

    await until(is_past)
    async with working(queue, note):
        with pytest.raises(JobFailedError, match="expired"):
            await job.result(WITHIN)
        await fresh.result(WITHIN)
    assert ran == [fresh.id]


async def test_cancelling_stops_waiting_and_running_jobs(queue: Queue) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def hang(job: Job[Any]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    running = await queue.add("n", {}, attempts=5)
    waiting = await queue.add("n", {}, attempts=5)
    async with working(queue, hang, concurrency=1):
        await started.wait()
        await waiting.cancel()
        await running.cancel()
        for job in (waiting, running):
            with pytest.raises(JobFailedError, match="cancelled"):
                await job.result(WITHIN)
        assert stopped.is_set()


async def test_closing_lets_jobs_end_and_hands_back_the_rest(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    started = asyncio.Semaphore(0)
    finish = asyncio.Event()

    async def work(job: Job[Any]) -> str:
        started.release()
        if job.name == "endless":
            await asyncio.Event().wait()
        await finish.wait()
        return "ended"

    good = await queue.add("good", {})
    endless = await queue.add("endless", {}, attempts=3)
    later = await queue.add("later", {})
    worker = Worker(queue, work, concurrency=2, grace=0.3)
    await worker.start()
    await started.acquire()
    await started.acquire()
    closing = asyncio.create_task(worker.close())
    finish.set()
    await closing
    assert await good.state() == "completed"
    assert await endless.state() == "waiting"
    assert (await reread(queue, endless)).attempts_made == 0
    # Handed back to the head: it runs before what was added after it.
    assert await redis.lrange(queue.keys.of("wait"), 0, -1) == [later.id, endless.id]
    assert not await redis.exists(queue.keys.of("active"), queue.keys.lock(endless.id))


async def test_a_local_pause_takes_nothing_more(queue: Queue) -> None:
    ran = []

    async def note(job: Job[Any]) -> None:
        ran.append(job.id)

    async with working(queue, note) as worker:
        await (await queue.add("n", {})).result(WITHIN)
        await worker.pause()
        waiting = await queue.add("n", {})
        assert await waiting.state() == "waiting"
        worker.resume()
        await waiting.result(WITHIN)
    assert len(ran) == 2


async def test_a_global_pause_holds_all_until_resumed(queue: Queue) -> None:
    async def note(job: Job[Any]) -> str:
        return "ran"

    async with working(queue, note):
        await queue.pause()
        job = await queue.add("n", {})
        assert await job.state() == "paused"
        await queue.resume()
        assert await job.result(WITHIN) == "ran"


async def test_local_events_tell_what_happens(queue: Queue) -> None:
    seen: list[tuple[str, Any]] = []

    async def work(job: Job[Any]) -> str:
        if job.attempts_made == 0:
            raise ValueError("once")
        return "done"

    queue.on("active", lambda job: seen.append(("active", job.id)))
    queue.on("failed", lambda job, error: seen.append(("failed", str(error))))
    queue.on("completed", lambda job, value: seen.append(("completed", value)))
    queue.on("drained", lambda: seen.append(("drained", None)))
    queue.on("completed", lambda job, value: 1 / 0)  # a listener that fails harms nobody
    job = await queue.add("n", {}, attempts=2)
    async with working(queue, work, concurrency=1):
        await job.result(WITHIN)

        async def drained() -> bool:
            return ("drained", None) in seen

        await until(drained)
    assert [entry for entry in seen if entry[0] != "drained"] == [
        ("active", job.id),
        ("failed", "once"),
        ("active", job.id),
        ("completed", "done"),
    ]


async def test_a_lost_lock_stops_the_job_and_drops_its_result(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    lost = asyncio.Event()
    started = asyncio.Event()

    async def hang(job: Job[Any]) -> None:
        started.set()
        await asyncio.Event().wait()

    queue.on("lock_lost", lambda job: lost.set())
    job = await queue.add("n", {})
    async with working(queue, hang, lock_duration=0.4):
        await started.wait()
        await redis.set(queue.keys.lock(job.id), "somebody else")
        async with asyncio.timeout(WITHIN):
            await lost.wait()
    assert await redis.get(queue.keys.lock(job.id)) == "somebody else"
    assert await job.state() == "active"


async def test_removing_the_hash_of_a_running_job_leaves_no_ghost(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    async def work(job: Job[Any]) -> str:
        started.set()
        await finish.wait()
        return "late"

    lost = asyncio.Event()
    queue.on("lock_lost", lambda job: lost.set())
    job = await queue.add("n", {})
    async with working(queue, work):
        await started.wait()
        await redis.delete(queue.keys.job(job.id))
        finish.set()
        async with asyncio.timeout(WITHIN):
            await lost.wait()
    assert not await redis.exists(queue.keys.job(job.id))


async def test_renewal_keeps_long_jobs_from_stalling(queue: Queue, redis: redis_asyncio.Redis) -> None:
    lock, renewals = 2.0, 0
    finish = asyncio.Event()

    async def work(job: Job[Any]) -> str:
        await finish.wait()
        return "alive"

    stalled: list[str] = []
    queue.on("stalled", stalled.append)
    job = await queue.add("n", {})
    async with (
        working(queue, work, lock_duration=lock, lock_renew=0.3),
        working(queue, work, stalled_interval=0.1, lock_duration=lock) as checker,
    ):
        await reaches(job, "active")
        check = next(service for service in checker._services if service.name == "stalled")
        began, left = time.monotonic(), await redis.pttl(queue.keys.lock(job.id))
        while renewals < 3 or time.monotonic() - began < 1.2 * lock:
            await check.run_once()
            await asyncio.sleep(0.05)
            before, left = left, await redis.pttl(queue.keys.lock(job.id))
            renewals += left > before
        finish.set()
        assert await job.result(WITHIN) == "alive"
    assert stalled == []


async def test_jobs_of_a_dead_worker_are_run_again_and_fail_in_the_end(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    once = await queue.add("n", {}, attempts=1)
    twice = await queue.add("n", {})
    await redis.hset(queue.keys.job(twice.id), "stalledCounter", 1)
    for _ in range(2):  # what a killed worker leaves: ids in active without a lock
        await redis.lmove(queue.keys.of("wait"), queue.keys.of("active"), "RIGHT", "LEFT")

    async def work(job: Job[Any]) -> int:
        return job.attempts_made

    async with working(queue, work, stalled_interval=0.1, lock_duration=0.5):
        assert await once.result(WITHIN) == 0
        with pytest.raises(JobFailedError, match="job stalled more than allowable limit"):
            await twice.result(WITHIN)
    assert (await reread(queue, once)).stalled_counter == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 1.5}, "concurrency"),
        ({"lock_duration": 0}, "lock_duration"),
        ({"lock_duration": 1, "lock_renew": 2}, "lock_renew"),
        ({"limiter": {"max": 1}}, "Limiter requires `max` and `duration` options"),
        ({"limiter": {"duration": 1}}, "Limiter requires"),
        ({"limiter": {"max": 1, "duration": 1, "bounce_back": True}}, "bounce_back"),
        ({"url": "redis://x"}, "url belongs to the Queue"),
    ],
)
async def test_bad_worker_options_are_refused(queue: Queue, options: dict[str, Any], says: str) -> None:
    async def work(job: Job[Any]) -> None: ...

    with pytest.raises(OptionError, match=says):
        Worker(queue, work, **options)


async def test_a_worker_needs_a_processor(queue: Queue) -> None:
    with pytest.raises(OptionError, match="has no processor"):
        Worker(queue)


async def test_keep_policies_trim_while_working(queue: Queue, redis: redis_asyncio.Redis) -> None:
    async def work(job: Job[Any]) -> None:
        await job.log("a row")

    # Ids of equal length: of jobs that finish within the same ms the one with the greater text counts as newer.
    jobs = await queue.add_bulk(
        [("n", {}, {"remove_on_complete": 3, "job_id": f"j{n:02}"}) for n in range(15)]
    )
    async with working(queue, work, concurrency=1):
        await until_empty(queue)
    assert await redis.zcard(queue.keys.of("completed")) == 3
    kept = [job.id for job in jobs if await redis.exists(queue.keys.job(job.id))]
    assert kept == [job.id for job in jobs[-3:]]
    assert await redis.exists(*(queue.keys.logs(job.id) for job in jobs)) == 3


async def test_the_limiter_spreads_starts_over_workers(queue: Queue) -> None:
    async def work(job: Job[Any]) -> None: ...

    jobs = await queue.add_bulk([("n", {}) for _ in range(6)])
    limiter = {"max": 2, "duration": 0.2}
    async with working(queue, work, limiter=limiter), working(queue, work, limiter=limiter):
        await asyncio.gather(*(job.result(WITHIN) for job in jobs))
    starts = await starts_of(queue, jobs)
    assert [later - earlier >= 195 for earlier, later in itertools.pairwise(starts[::2])] == [True, True]


async def test_the_limiter_counts_each_group_for_itself(server_url: str, prefix: str) -> None:
    async def work(job: Job[Any]) -> None: ...

    limiter = {"max": 1, "duration": 0.2, "group_key": "user.id"}
    async with Queue("q", url=server_url, prefix=prefix, limiter=limiter) as queue:
        jobs = await queue.add_bulk([("n", {"user": {"id": "ab"[number % 2]}}) for number in range(6)])
        assert [job.id[-2:] for job in jobs] == [":a", ":b"] * 3
        async with working(queue, work, concurrency=4):
            await asyncio.gather(*(job.result(WITHIN) for job in jobs))
        starts = [await starts_of(queue, jobs[number::2]) for number in range(2)]
    for times in starts:
        assert [later - earlier >= 195 for earlier, later in itertools.pairwise(times)] == [True, True]
    assert max(times[0] for times in starts) < min(times[1] for times in starts), (
        "neither waits for the other"
    )


async def test_a_job_cancelled_on_its_way_to_a_worker_is_not_started(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    ran = []

    async def work(job: Job[Any]) -> None:
        ran.append(job.id)

    job = await queue.add("n", {}, attempts=3)
    stale = await queue.add("n", {}, job_id="again")
    await redis.hset(queue.keys.of("toril:cancelled"), job.id, 9_999_999_999_999)
    await redis.hset(queue.keys.of("toril:cancelled"), stale.id, 1)  # of an earlier job with this id
    async with working(queue, work):
        with pytest.raises(JobFailedError, match="cancelled"):
            await job.result(WITHIN)
        await stale.result(WITHIN)
    assert ran == [stale.id]
    assert not await redis.exists(queue.keys.of("toril:cancelled"))


async def test_a_cancelled_job_that_fails_by_itself_is_not_tried_again(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    async def work(job: Job[Any]) -> None:
        # The mark without the message: as if that had got lost.
        await redis.hset(queue.keys.of("toril:cancelled"), job.id, 9_999_999_999_999)
        raise ValueError("broken")

    job = await queue.add("n", {}, attempts=3)
    async with working(queue, work):
        with pytest.raises(JobFailedError, match="cancelled"):
            await job.result(WITHIN)
