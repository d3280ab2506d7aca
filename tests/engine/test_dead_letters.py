"""Dead letters with real workers: one for each job that fails for good, and the way back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.faults.test_lost_answers import Cutter
from tests.support.processes import worker_process
from tests.support.servers import RedisServer
from tests.support.until import until

from toril.engine.dead_letters import DEAD_LETTER, DeadLetters
from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.engine.stalled import StalledCheck
from toril.engine.worker import Worker
from toril.errors import (
    JobFailedError,
    JobLockedError,
    JobNotFoundError,
    JobStateError,
    OptionError,
    QueueStateError,
    UnrecoverableError,
)
from toril.queues.base import QueueDefinition
from toril.queues.registry import open_queue

WITHIN = 60.0


@pytest.fixture
async def queue(server_url: str, prefix: str, queue_name: str) -> AsyncIterator[Queue]:
    """The test's queue, with dead letters."""
    async with Queue(queue_name, url=server_url, prefix=prefix, dead_letter=DEAD_LETTER) as opened:
        yield opened


@pytest.fixture
async def letters(server_url: str, prefix: str) -> AsyncIterator[DeadLetters]:
    async with DeadLetters(url=server_url, prefix=prefix) as opened:
        yield opened


async def broken(job: Job[Any]) -> None:
    raise RuntimeError(f"no luck {job.attempts_made + 1}")


async def let_fail(queue: Queue, *jobs: Job[Any]) -> None:
    """Run these jobs until each has failed for good."""

    async def all_ended() -> bool:
        states = await asyncio.gather(*(job.state() for job in jobs))
        return set(states) <= {"failed", "stuck"}  # the latter: gone

    async with Worker(queue, broken):
        await until(all_ended, within_s=WITHIN)


async def test_a_job_whose_attempts_are_used_up_becomes_a_letter(queue: Queue, letters: DeadLetters) -> None:
    job = await queue.add("pay", {"to": "سلمى"}, attempts=2, remove_on_fail=True)
    await let_fail(queue, job)
    assert await queue.get_job(job.id) is None
    [letter], total = await letters.list()
    assert (total, letter) == (1, await letters.get(letter.id))
    assert (letter.queue, letter.job_id, letter.name, letter.data) == (
        queue.name,
        job.id,
        "pay",
        {"to": "سلمى"},
    )
    assert (letter.failed_reason, letter.attempts_made, letter.timestamp) == ("no luck 2", 2, job.timestamp)
    assert [trace.splitlines()[-1] for trace in letter.stacktrace] == [
        "RuntimeError: no luck 1",
        "RuntimeError: no luck 2",
    ]
    assert letter.opts["removeOnFail"] is True
    assert letter.processed_on is not None
    assert letter.processed_on <= letter.failed_at
    waiting = await letters.queue.get_job(letter.id)
    assert waiting is not None
    assert letter.to_dict() == {"id": letter.id, **waiting.data}


async def test_an_error_that_no_attempt_helps_makes_a_letter_at_once(
    queue: Queue, letters: DeadLetters
) -> None:
    async def refuse(job: Job[Any]) -> None:
        raise UnrecoverableError("no such firm")

    job = await queue.add("pay", {}, attempts=5)
    async with Worker(queue, refuse):
        with pytest.raises(JobFailedError):
            await job.result(WITHIN)
    [letter], _ = await letters.list()
    assert (letter.failed_reason, letter.attempts_made) == ("no such firm", 1)


async def test_an_expired_job_becomes_a_letter_and_is_run_when_retried(
    queue: Queue, letters: DeadLetters, redis: redis_asyncio.Redis
) -> None:
    kept = await queue.add("pay", {}, expires=0.001)
    gone = await queue.add("pay", {}, expires=0.001, remove_on_fail=True)

    async def is_late() -> bool:
        seconds, micros = await redis.time()
        return seconds * 1000 + micros // 1000 > (kept.timestamp or 0) + 5

    await until(is_late)
    await let_fail(queue, kept, gone)
    assert {letter.failed_reason for letter in (await letters.list())[0]} == {"expired"}
    assert sorted((await letters.retry_all()).done) == [
        f"1:{queue.name}:{kept.id}",
        f"2:{queue.name}:{gone.id}",
    ]

    async def work(job: Job[Any]) -> str:
        return "paid"

    async with Worker(queue, work):
        assert [await job.result(WITHIN) for job in (kept, gone)] == ["paid", "paid"]


@pytest.mark.parametrize("where", ["waiting", "running", "on its way"])
async def test_a_cancelled_job_becomes_no_letter(
    queue: Queue, letters: DeadLetters, redis: redis_asyncio.Redis, where: str
) -> None:
    started = asyncio.Event()

    async def endless(job: Job[Any]) -> None:
        started.set()
        await asyncio.Event().wait()

    job = await queue.add("pay", {})
    if where == "waiting":
        await job.cancel()
    if where == "on its way":  # between the blocking call that moves it and the lock
        await redis.lmove(queue.keys.of("wait"), queue.keys.of("active"), "RIGHT", "LEFT")
        await job.cancel()
        await redis.lmove(queue.keys.of("active"), queue.keys.of("wait"), "RIGHT", "RIGHT")
    async with Worker(queue, endless):
        if where == "running":
            await asyncio.wait_for(started.wait(), WITHIN)
            await job.cancel()
        with pytest.raises(JobFailedError, match="cancelled"):
            await job.result(WITHIN)
    assert await letters.list() == ([], 0)


async def test_without_the_option_there_are_no_letters(
    server_url: str, prefix: str, letters: DeadLetters
) -> None:
    async with Queue("plain", url=server_url, prefix=prefix) as plain:
        await let_fail(plain, await plain.add("pay", {}))
    assert await letters.list() == ([], 0)


async def test_ready_made_queues_have_letters(server_url: str, prefix: str) -> None:
    definition = QueueDefinition(name="email", types={})
    async with open_queue(definition, url=server_url, prefix=prefix) as opened:
        assert opened.letter_box is not None
        assert opened.letter_box.keys.name == "dead-letter"
    async with open_queue(definition, url=server_url, prefix=prefix, dead_letter=None) as opened:
        assert opened.letter_box is None


async def test_a_job_that_lost_its_worker_too_often_becomes_a_letter(
    queue: Queue, letters: DeadLetters, redis: redis_asyncio.Redis, server_url: str, prefix: str
) -> None:
    job = await queue.add("endless", {"n": 1}, remove_on_fail=True)
    options = {"lock_duration": 0.5, "stalled_interval": 0}

    async def runs() -> bool:
        return bool(await redis.llen(f"{prefix}:ran"))

    async with worker_process(server_url, prefix, queue.name, **options) as process:
        await until(runs, within_s=WITHIN)
        process.kill()
        await process.wait()

    async def work(job: Job[Any]) -> None:
        raise AssertionError("it must not be run again")

    # Another worker finds it.
    async with Worker(queue, work, stalled_interval=0.2, max_stalled_count=0, lock_duration=0.5):
        with pytest.raises(JobFailedError, match="stalled"):
            await job.result(WITHIN)
    [letter], total = await letters.list()
    assert (total, letter.job_id, letter.data) == (1, job.id, {"n": 1})
    assert (letter.failed_reason, letter.attempts_made) == ("job stalled more than allowable limit", 0)


async def test_lost_answers_neither_lose_nor_double_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    total = 400

    async def work(job: Job[Any]) -> None:
        if job.data % 2:
            raise ValueError("always")

    with RedisServer() as server:
        async with Queue("q", url=server.url, dead_letter=DEAD_LETTER) as queue:
            letters = DeadLetters(url=server.url)
            options = [{"remove_on_fail": True}, {"attempts": 2}, {}]
            await queue.add_bulk([("n", number, options[number % 3]) for number in range(total)])
            cutter = Cutter(monkeypatch, every=5)
            async with Worker(queue, work, concurrency=5, stalled_interval=0, lock_duration=120):

                async def all_done() -> bool:
                    return (await letters.list())[1] >= total // 2 and await queue.count() == 0

                await until(all_done, within_s=60)
            assert cutter.cuts > 20
            found, number = await letters.list()
            assert number == total // 2
            assert Counter(letter.job_id for letter in found) == Counter(
                str(n + 1) for n in range(1, total, 2)
            )
            # And on the way back.
            retried = await letters.retry_all()
            assert (len(retried.done), retried.refused) == (total // 2, [])
            assert (await letters.list())[1] == 0
            assert (await queue.counts("waiting", "failed")) == {"waiting": total // 2, "failed": 0}
            await letters.close()


async def test_a_retried_job_runs_with_all_its_attempts(queue: Queue, letters: DeadLetters) -> None:
    kept = await queue.add("pay", 1, attempts=2, priority=3)
    gone = await queue.add("pay", 2, attempts=2, job_id="order-7", remove_on_fail=True, lifo=True)
    await let_fail(queue, kept, gone)
    made: Counter[str] = Counter()
    for letter in (await letters.list())[0]:
        assert await letters.retry(letter.id) == letter.job_id

    async def work(job: Job[Any]) -> int:
        made[job.id] += 1
        if job.attempts_made < 1:
            raise RuntimeError("once")
        return int(job.data)

    async with Worker(queue, work):
        assert [await job.result(WITHIN) for job in (kept, gone)] == [1, 2]
    assert made == {kept.id: 2, gone.id: 2}
    assert await letters.list() == ([], 0)
    again = await queue.get_job(gone.id)
    assert again is not None
    assert (again.timestamp, again.opts["lifo"], again.opts["attempts"]) == (gone.timestamp, True, 2)


async def test_of_many_who_retry_a_letter_one_succeeds(
    queue: Queue, letters: DeadLetters, server_url: str, prefix: str
) -> None:
    jobs = await queue.add_bulk([("pay", n, {"remove_on_fail": n % 2 == 0}) for n in range(20)])
    await let_fail(queue, *jobs)
    others = [DeadLetters(url=server_url, prefix=prefix) for _ in range(4)]
    ids = [letter.id for letter in (await letters.list())[0]]
    told = await asyncio.gather(
        *(one.retry(letter_id) for one in others for letter_id in ids), return_exceptions=True
    )
    for one in others:
        await one.close()
    assert sorted(answer for answer in told if isinstance(answer, str)) == sorted(job.id for job in jobs)
    assert {type(answer) for answer in told if not isinstance(answer, str)} == {JobNotFoundError}
    assert await queue.counts("waiting", "failed") == {"waiting": 20, "failed": 0}


async def test_a_second_failure_makes_a_second_letter_and_the_first_waits_for_its_turn(
    queue: Queue, letters: DeadLetters
) -> None:
    job = await queue.add("pay", {})
    await let_fail(queue, job)
    await job.retry()
    first = f"1:{queue.name}:{job.id}"
    with pytest.raises(JobStateError, match="retried already"):
        await letters.retry(first)
    await let_fail(queue, job)
    assert [letter.id for letter in (await letters.list())[0]] == [f"2:{queue.name}:{job.id}", first]
    assert await letters.retry(first) == job.id
    retried = await letters.retry_all()
    assert [error.job_id for error in retried.refused] == [f"2:{queue.name}:{job.id}"]


async def test_refusals_say_what_is_in_the_way(
    queue: Queue, letters: DeadLetters, redis: redis_asyncio.Redis
) -> None:
    job = await queue.add("pay", {}, job_id="order-7", remove_on_fail=True)
    await let_fail(queue, job)
    letter = f"1:{queue.name}:order-7"
    await redis.set(letters.queue.keys.lock(letter), "somebody")
    with pytest.raises(JobLockedError, match="'dead-letter' holds it"):
        await letters.retry(letter)
    await redis.delete(letters.queue.keys.lock(letter))
    await queue.add("pay", {}, job_id="order-7", timestamp=datetime.now(UTC) - timedelta(days=1))
    with pytest.raises(JobStateError, match="another job has this id"):
        await letters.retry(letter)
    assert (await letters.list())[1] == 1
    with pytest.raises(JobNotFoundError, match="no dead letter '9:x:y'"):
        await letters.retry("9:x:y")


async def test_letters_of_one_queue_are_retried_in_their_order(
    queue: Queue, letters: DeadLetters, server_url: str, prefix: str
) -> None:
    async with Queue("other", url=server_url, prefix=prefix, dead_letter=DEAD_LETTER) as other:
        await let_fail(other, await other.add("pay", {}))
    jobs = await queue.add_bulk([("pay", n) for n in range(5)])
    for job in jobs:
        await let_fail(queue, job)
    assert len((await letters.retry_all(queue.name)).done) == 5
    assert [job.id for job in await queue.get_waiting()] == [job.id for job in jobs]
    [left], total = await letters.list()
    assert (total, left.queue) == (1, "other")


async def test_letters_are_listed_in_pages_removed_and_cleaned(
    queue: Queue, letters: DeadLetters, redis: redis_asyncio.Redis
) -> None:
    jobs = await queue.add_bulk([("pay", n) for n in range(5)])
    for job in jobs:
        await let_fail(queue, job)
    page, total = await letters.list(1, 2)
    assert ([letter.data for letter in page], total) == ([3, 2], 5)
    await letters.remove(page[0].id)
    assert await letters.get(page[0].id) is None
    assert await jobs[3].state() == "failed"
    await redis.hset(letters.queue.keys.job(page[1].id), "timestamp", 1)
    await letters.queue.pause()
    assert await letters.clean(3600) == [page[1].id]
    page, total = await letters.list()
    assert ([letter.data for letter in page], total) == ([4, 1, 0], 3)


async def test_what_somebody_added_to_the_queue_is_no_letter(queue: Queue, letters: DeadLetters) -> None:
    await let_fail(queue, await queue.add("pay", {}))
    [waiting] = await letters.queue.get_waiting()
    job = await letters.queue.add("note", {"queue": "payments"})
    await letters.queue.add("note", waiting.data | {"queue": 5})
    odd = await letters.queue.add("note", waiting.data | {"queue": "a*"})
    assert [letter.id for letter in (await letters.list())[0]] == [odd.id, waiting.id]
    assert (await letters.list())[1] == 4
    with pytest.raises(JobStateError, match="has '\\*'"):
        await letters.retry(odd.id)
    assert await letters.get(job.id) is None
    with pytest.raises(JobNotFoundError):
        await letters.retry(job.id)


async def test_data_that_no_json_reader_takes_comes_back_as_it_was(
    queue: Queue, letters: DeadLetters, redis: redis_asyncio.Redis
) -> None:
    texts = ["{n: 1}", '{"big":123456789012345678901234567890}', '{"a":[],"b":{},"c":1.5,"d":null}']
    jobs = [await queue.add("pay", {}, remove_on_fail=True) for _ in texts]
    for job, text in zip(jobs, texts, strict=True):
        await redis.hset(queue.keys.job(job.id), "data", text)
    await let_fail(queue, *jobs)
    assert len((await letters.retry_all()).done) == 3
    assert [await redis.hget(queue.keys.job(job.id), "data") for job in jobs] == texts


@pytest.mark.parametrize("tagged", [True, False])
async def test_in_a_cluster_both_queues_must_share_a_slot(tagged: bool) -> None:
    args = ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]
    with RedisServer(args=args, tcp=True) as server:
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            await until(lambda: _is_ok(client), within_s=WITHIN)
        prefix = "{bull}" if tagged else "bull"
        async with Queue("{pay}", url=server.url, prefix=prefix, dead_letter=DEAD_LETTER) as queue:
            if not tagged:
                worker = Worker(queue, broken)
                with pytest.raises(OptionError, match="same text in braces"):
                    await worker.start()
                await worker.close()
                return
            await let_fail(queue, await queue.add("pay", {}))
        async with DeadLetters(url=server.url, prefix=prefix) as letters:
            assert len((await letters.retry_all()).done) == 1


async def _is_ok(client: Any) -> bool:
    return "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO"))


async def test_a_worker_does_not_start_where_letters_cannot_be_kept(
    queue: Queue, redis: redis_asyncio.Redis, prefix: str
) -> None:
    await redis.set(f"{prefix}:dead-letter:wait", "x")
    worker = Worker(queue, broken)
    with pytest.raises(QueueStateError, match="dead-letter"):
        await worker.start()
    await worker.close()


async def test_a_letter_that_cannot_be_written_is_told(
    queue: Queue, redis: redis_asyncio.Redis, prefix: str
) -> None:
    told: list[Exception] = []
    queue.on("error", told.append)
    async with Worker(queue, broken):
        await redis.set(f"{prefix}:dead-letter:wait", "x")
        job = await queue.add("pay", {})
        with pytest.raises(JobFailedError):
            await job.result(WITHIN)

        async def is_told() -> bool:
            return any("is no dead letter" in str(error) for error in told)

        await until(is_told)


async def test_a_letter_of_a_stalled_job_that_cannot_be_written_is_told(
    queue: Queue, redis: redis_asyncio.Redis, prefix: str
) -> None:
    told: list[Exception] = []
    queue.on("error", told.append)
    await queue.add("pay", {})
    await redis.lmove(queue.keys.of("wait"), queue.keys.of("active"), "RIGHT", "LEFT")
    await redis.set(f"{prefix}:dead-letter:wait", "x")
    check = StalledCheck(queue, interval=0.01, max_stalled=0, renew=0.25, lock=0.5)

    async def is_told() -> bool:
        await check.run_once()
        return any("is no dead letter" in str(error) for error in told)

    await until(is_told)


def test_a_queue_cannot_be_its_own_dead_letter_queue() -> None:
    with pytest.raises(OptionError, match="the queue itself"):
        Queue("dead-letter", dead_letter="dead-letter")


def test_options_of_an_open_queue_are_refused() -> None:
    with pytest.raises(OptionError, match="an open one was given"):
        DeadLetters(Queue("dead-letter"), url="redis://localhost")


async def test_a_run_of_a_schedule_comes_back_and_the_schedule_goes_on(
    queue: Queue, letters: DeadLetters, redis: redis_asyncio.Redis
) -> None:
    first = await queue.add("tick", {}, repeat=Repeat(every=3600), remove_on_fail=True)
    await queue.promote_jobs()
    await let_fail(queue, first)
    assert await queue.counts("delayed", "waiting") == {"delayed": 1, "waiting": 0}
    [letter], _ = await letters.list()
    await letters.retry(letter.id)

    async def work(job: Job[Any]) -> str:
        return "ticked"

    async with Worker(queue, work):
        assert await first.result(WITHIN) == "ticked"
    assert await queue.counts("delayed", "waiting") == {"delayed": 1, "waiting": 0}
    assert len(await queue.schedules()) == 1
