"""What can be asked of a queue."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from redis.asyncio import Redis
from tests.support.steps import complete, fail, take

from toril.engine.idle import IdleWait, client_name
from toril.engine.job import Job
from toril.engine.keys import QueueKeys
from toril.engine.options import Debounce
from toril.engine.queue import Queue
from toril.errors import OptionError

WINDOW = 512


def ids(jobs: list[Job[object]]) -> list[str]:
    return [job.id for job in jobs]


async def numbered(queue: Queue, count: int) -> list[str]:
    return ids(await queue.add_bulk([("work", {"n": number}) for number in range(count)]))


async def finished(queue: Queue, count: int, how: object = complete) -> list[str]:
    """Jobs that ended one after the other, each at another time."""
    ended = await numbered(queue, count)
    for place, job_id in enumerate(await take(queue, count)):
        await how(queue, job_id)  # type: ignore[operator]
        state = "completed" if how is complete else "failed"
        # Set apart the times: several jobs can end in one ms, and then their ids decide.
        await queue.connection.execute("ZADD", queue.keys.of(state), 1000 + place, job_id)
    return ended


# one job


async def test_a_job_is_read_back_as_it_was_added(queue: Queue) -> None:
    added = await queue.add(
        "mail",
        {"to": "زيد", "n": [1.5, None, True]},
        job_id="order-7",
        attempts=4,
        priority=3,
        debounce=Debounce("d"),
    )
    job = await queue.get_job("order-7")
    assert job is not None
    assert (job.id, job.name, job.data) == ("order-7", "mail", {"to": "زيد", "n": [1.5, None, True]})
    assert job.opts == added.opts
    assert (job.options.attempts, job.priority, job.debounce_id) == (4, 3, "d")
    assert job.timestamp == added.timestamp
    assert (job.attempts_made, job.progress, job.stacktrace, job.return_value) == (0, 0, [], None)


async def test_what_happened_to_a_job_can_be_read(queue: Queue) -> None:
    (failed_id,) = await finished(queue, 1, fail)
    (done_id,) = await numbered(queue, 1)
    await take(queue)
    await complete(queue, done_id, {"ok": 1})
    failed, done = await queue.get_job(failed_id), await queue.get_job(done_id)
    assert failed is not None
    assert done is not None
    assert (failed.failed_reason, failed.stacktrace, failed.attempts_made) == ("no luck", ["no luck"], 1)
    assert (done.return_value, done.failed_reason, done.attempts_made) == ({"ok": 1}, None, 0)
    assert done.finished_on is not None
    assert done.processed_on is not None
    assert done.timestamp is not None
    assert done.timestamp <= done.processed_on <= done.finished_on


@pytest.mark.parametrize(
    "job_id", ["", "nobody", "meta", "id", "wait", "metrics:completed", "1:lock", "de:x", "\ud800"]
)
async def test_what_is_no_job_is_none(queue: Queue, job_id: str) -> None:
    await queue.add("work", {}, debounce=Debounce("x"))
    await queue.pause()
    assert await queue.get_job(job_id) is None


async def test_a_job_that_a_foreign_writer_made_is_read_with_defaults(queue: Queue, redis: Redis) -> None:
    await redis.hset(queue.keys.job("x"), mapping={"name": "n", "data": "not json", "stacktrace": "{"})
    job = await queue.get_job("x")
    assert job is not None
    assert (job.data, job.opts, job.stacktrace, job.attempts_made) == ("not json", {}, [], 0)


# many jobs


async def test_waiting_jobs_come_in_the_order_of_service(queue: Queue) -> None:
    added = await numbered(queue, 5)
    assert ids(await queue.get_waiting()) == added
    assert ids(await queue.get_waiting(1, 2)) == added[1:3]
    assert ids(await queue.get_jobs(["waiting"])) == added[::-1]
    assert ids(await queue.get_jobs("wait", 0, 1)) == added[:2:-1]
    assert ids(await queue.get_jobs("waiting", 0, 1, asc=True)) == added[:2]


async def test_jobs_of_a_paused_queue_count_as_waiting_ones(queue: Queue) -> None:
    added = await numbered(queue, 3)
    await queue.pause()
    assert ids(await queue.get_waiting()) == added
    assert await queue.get_jobs("waiting") == []
    assert ids(await queue.get_jobs("paused", asc=True)) == added


async def test_active_jobs_come_in_the_order_they_were_taken(queue: Queue) -> None:
    added = await numbered(queue, 3)
    await take(queue, 3)
    assert ids(await queue.get_active()) == added
    assert ids(await queue.get_jobs("active")) == added[::-1]


async def test_delayed_jobs_come_in_the_order_they_are_due(queue: Queue) -> None:
    late = await queue.add("work", {}, delay=90)
    soon = await queue.add("work", {}, delay=30)
    assert ids(await queue.get_delayed()) == [soon.id, late.id]
    assert ids(await queue.get_jobs("delayed")) == [late.id, soon.id]


@pytest.mark.parametrize(("how", "state"), [(complete, "completed"), (fail, "failed")])
async def test_finished_jobs_come_newest_first(queue: Queue, how: object, state: str) -> None:
    ended = await finished(queue, 4, how)
    get = queue.get_completed if state == "completed" else queue.get_failed
    assert ids(await get()) == ended[::-1]
    assert ids(await get(0, 1)) == [ended[3], ended[2]]
    assert ids(await queue.get_jobs(state, 1, 2, asc=True)) == ended[1:3]
    assert ids(await queue.get_jobs(state, -3, -1, asc=True)) == ended[1:]
    assert ids(await queue.get_jobs(state, -300, 99_999, asc=True)) == ended


async def test_states_follow_one_another_each_with_the_range(queue: Queue) -> None:
    done = await finished(queue, 3)
    waiting = await numbered(queue, 3)
    found = await queue.get_jobs(["waiting", "completed"], 0, 1, asc=True)
    assert ids(found) == waiting[:2] + done[:2]
    assert sorted(ids(await queue.get_jobs())) == sorted(waiting + done)


async def test_an_unknown_state_is_refused(queue: Queue) -> None:
    with pytest.raises(OptionError, match="no job state 'done'; the states are waiting, active"):
        await queue.get_jobs("done")
    with pytest.raises(OptionError, match="no job state 'done'"):
        await queue.counts("done")


async def test_data_can_be_left_out(queue: Queue) -> None:
    await finished(queue, 2)
    jobs = await queue.get_jobs("completed", exclude_data=True)
    assert [job.data for job in jobs] == [{}, {}]
    assert all(job.name == "work" and job.finished_on and job.opts for job in jobs)


async def test_ids_without_a_job_are_left_out(queue: Queue, redis: Redis) -> None:
    added = await numbered(queue, 3)
    await redis.delete(queue.keys.job(added[1]))
    assert ids(await queue.get_waiting()) == [added[0], added[2]]


# the overflow


@pytest.fixture
async def overflowing(queue: Queue) -> list[str]:
    """Ids in the order of service: prioritised ones, many of them overflowed, then others."""
    others = await numbered(queue, 10)
    await queue.scripts.run("register_worker", 60_000)
    prioritised = ids(await queue.add_bulk([("work", {}, {"priority": 2})] * (WINDOW + 100)))
    return prioritised + others


@pytest.mark.parametrize("paused", [False, True])
async def test_overflowed_jobs_are_listed_in_their_place(
    queue: Queue, overflowing: list[str], paused: bool
) -> None:
    state = "paused" if paused else "waiting"
    if paused:
        await queue.pause()
    assert ids(await queue.get_waiting()) == overflowing
    assert ids(await queue.get_jobs(state)) == overflowing[::-1]
    for start, end in ((WINDOW - 3, WINDOW + 3), (WINDOW + 98, WINDOW + 102), (-13, -8), (0, 0), (600, 5000)):
        expected = overflowing[start:] if end == -1 or end > 1000 else overflowing[start : end + 1]
        assert ids(await queue.get_jobs(state, start, end, asc=True)) == expected
    assert ids(await queue.get_jobs(state, 8, 12)) == overflowing[::-1][8:13]


async def test_overflowed_jobs_are_counted(queue: Queue, overflowing: list[str]) -> None:
    assert await queue.counts("waiting", "paused") == {"waiting": len(overflowing), "paused": 0}
    assert await queue.count() == len(overflowing)
    assert await queue.counts_per_priority([0, 1, 2]) == {0: 10, 1: 0, 2: WINDOW + 100}
    await queue.pause()
    assert await queue.counts("wait", "paused") == {"wait": 0, "paused": len(overflowing)}
    assert await queue.counts_per_priority([0, 1, 2]) == {0: 10, 1: 0, 2: WINDOW + 100}


# numbers


async def test_counts_tell_each_state_by_the_name_asked_for(queue: Queue) -> None:
    await finished(queue, 2)
    await finished(queue, 1, fail)
    await numbered(queue, 4)
    await take(queue)
    await queue.add("work", {}, delay=60)
    assert await queue.counts() == {
        "waiting": 3, "active": 1, "completed": 2, "failed": 1, "delayed": 1, "paused": 0,
    }  # fmt: skip
    assert await queue.counts("wait") == {"wait": 3}
    assert await queue.count() == 4


@pytest.mark.parametrize("paused", [False, True])
async def test_counts_per_priority_are_exact(queue: Queue, paused: bool) -> None:
    if paused:
        await queue.pause()
    await queue.add_bulk([("work", {}, {"priority": number % 4}) for number in range(42)])
    assert await queue.counts_per_priority([0, 1, 2, 3, 9]) == {0: 11, 1: 11, 2: 10, 3: 10, 9: 0}


async def test_a_queue_is_paused_whichever_flag_says_so(queue: Queue, redis: Redis) -> None:
    assert not await queue.is_paused()
    await redis.hset(queue.keys.of("meta"), "paused", "1")
    assert await queue.is_paused()
    await redis.delete(queue.keys.of("meta"))
    await redis.set(queue.keys.of("meta-paused"), "1")
    assert await queue.is_paused()


async def test_metrics_are_bulls(queue: Queue, redis: Redis) -> None:
    assert await queue.metrics("completed") == {
        "meta": {"count": 0, "prevTS": 0, "prevCount": 0},
        "data": [],
        "count": 0,
    }
    key = queue.keys.of("metrics:completed")
    await numbered(queue, 4)
    done = await take(queue, 4)
    for job_id in done[:3]:
        await complete(queue, job_id, metrics=100)
    # As if the first three had ended three minutes ago.
    before = int(await redis.hget(key, "prevTS")) - 180_000
    await redis.hset(key, "prevTS", before)
    await complete(queue, done[3], metrics=100)
    found = await queue.metrics("completed")
    assert (found["data"], found["count"]) == ([0, 0, 3], 3)
    assert (found["meta"]["count"], found["meta"]["prevCount"]) == (4, 3)
    pages = [await queue.metrics("completed", page, page) for page in range(3)]
    assert [number for page in pages for number in page["data"]] == [0, 0, 3]


async def test_there_are_no_metrics_of_other_states(queue: Queue) -> None:
    with pytest.raises(OptionError, match="metrics of 'completed' and 'failed', not of 'active'"):
        await queue.metrics("active")


async def test_workers_are_listed_by_the_exact_name_of_the_queue(queue: Queue, redis: Redis) -> None:
    assert await queue.workers() == []
    idle = IdleWait(queue.server, queue.keys, queue.connection, given_up=lambda _: None)
    await idle.connect()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(idle.stop)
        node = Redis(connection_pool=redis.connection_pool, single_connection_client=True)
        stack.push_async_callback(node.aclose)
        await node.client_setname(client_name(queue.keys))
        neighbour = Redis(connection_pool=redis.connection_pool, single_connection_client=True)
        stack.push_async_callback(neighbour.aclose)
        longer = QueueKeys(f"{queue.name}x", queue.keys.prefix)
        await neighbour.client_setname(client_name(longer))
        found = await queue.workers()
        assert len(found) == 2
        assert {worker["name"] for worker in found} == {queue.name}
        assert all(worker["id"].isdigit() and "addr" in worker and "age" in worker for worker in found)


async def test_many_questions_at_once_get_their_own_answers(queue: Queue) -> None:
    added = await numbered(queue, 300)
    jobs = await asyncio.gather(*(queue.get_job(job_id) for job_id in added))
    assert [job.data["n"] for job in jobs if job] == list(range(300))
