"""What can be done with one job."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from tests.support.steps import complete, delay, fail, fence_of, run_all, take
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.options import Debounce, Keep
from toril.engine.queue import Queue
from toril.errors import (
    DataError,
    JobFailedError,
    JobLockedError,
    JobNotFoundError,
    JobStateError,
    OptionError,
)

WINDOW = 512


@asynccontextmanager
async def messages(redis: Redis, channel: str) -> AsyncIterator[asyncio.Queue[str]]:
    """What is published on a channel from now on."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with redis.pubsub() as pubsub:
        await pubsub.psubscribe(channel)
        await pubsub.get_message(timeout=5)

        async def listen() -> None:
            async for message in pubsub.listen():
                heard.put_nowait(message["data"])

        listening = asyncio.create_task(listen())
        try:
            yield heard
        finally:
            listening.cancel()
            await asyncio.wait([listening])


async def next_of(heard: asyncio.Queue[str]) -> str:
    return await asyncio.wait_for(heard.get(), 60)


async def until_awaited(queue: Queue, redis: Redis) -> None:
    """Return when somebody listens for the end of jobs."""

    async def listened_to() -> bool:
        return all(count > 0 for _, count in await redis.pubsub_numsub(queue.keys.of("completed")))

    await until(listened_to)


async def keys_of(queue: Queue, redis: Redis) -> set[str]:
    """Suffixes of all keys of the queue; what is remembered of a producer without its name."""
    base = f"{queue.keys.base}:"
    keys = {key.removeprefix(base) async for key in redis.scan_iter(f"{base}*")}
    kept = {key for key in keys if not key.startswith("toril:answers:")}
    return {"toril:producers" if key.startswith("toril:producers:") else key for key in kept}


async def failed_job(queue: Queue, **options: object) -> Job[object]:
    job = await queue.add("work", {}, **options)
    assert await take(queue) == [job.id]
    assert await fail(queue, job.id) == 0
    return job


async def overflowing(queue: Queue) -> list[str]:
    """Fill the queue so that the last of the returned ids are overflowed."""
    await queue.scripts.run("register_worker", 60_000)
    return [job.id for job in await queue.add_bulk([("work", {}, {"priority": 3})] * (WINDOW + 20))]


# progress, data, logs


async def test_progress_is_stored_published_and_told_locally(queue: Queue, redis: Redis) -> None:
    told: list[tuple[str, object]] = []
    queue.on("progress", lambda job_id, value: told.append((job_id, value)))
    job = await queue.add("work", {})
    async with messages(redis, queue.keys.of("progress")) as heard:
        await job.update_progress({"step": 2, "of": "ten ✓"})
        assert json.loads(await next_of(heard)) == {"jobId": job.id, "progress": {"step": 2, "of": "ten ✓"}}
    stored = await queue.get_job(job.id)
    assert stored is not None
    assert stored.progress == job.progress == {"step": 2, "of": "ten ✓"}
    assert told == [(job.id, {"step": 2, "of": "ten ✓"})]


async def test_progress_that_is_not_json_is_refused(queue: Queue) -> None:
    job = await queue.add("work", {})
    with pytest.raises(DataError, match=r"progress\.rate is NaN"):
        await job.update_progress({"rate": float("nan")})


@pytest.mark.parametrize(
    ("command", "act"),
    [
        ("updateProgress", lambda job: job.update_progress(42)),
        ("updateData", lambda job: job.update({"a": 1})),
        ("addLog", lambda job: job.log("row")),
    ],
)
async def test_writing_to_a_removed_job_is_an_error_and_leaves_no_ghost(
    queue: Queue, redis: Redis, command: str, act: object
) -> None:
    job = await queue.add("work", {})
    await job.remove()
    with pytest.raises(JobNotFoundError, match=f"Missing key for job {job.id} {command}") as caught:
        await act(job)  # type: ignore[operator]
    assert caught.value.job_id == job.id
    assert await redis.exists(queue.keys.job(job.id), queue.keys.logs(job.id)) == 0


async def test_data_can_be_replaced_in_any_state(queue: Queue) -> None:
    job = await queue.add("work", {"a": 1})
    await run_all(queue)
    await job.update({"a": 2})
    stored = await queue.get_job(job.id)
    assert stored is not None
    assert stored.data == job.data == {"a": 2}


async def test_log_rows_are_kept_in_order_and_paged(queue: Queue) -> None:
    job = await queue.add("work", {})
    assert [await job.log(f"r{number}") for number in range(5)] == [1, 2, 3, 4, 5]
    assert await queue.logs(job.id) == (["r0", "r1", "r2", "r3", "r4"], 5)
    assert await queue.logs(job.id, 0, 1) == (["r0", "r1"], 5)
    assert await queue.logs(job.id, 0, 1, asc=False) == (["r4", "r3"], 5)
    assert await queue.logs(job.id, asc=False) == (["r4", "r3", "r2", "r1", "r0"], 5)


async def test_a_log_can_be_kept_short(queue: Queue) -> None:
    job = await queue.add("work", {})
    for number in range(5):
        rows = await queue.actions.add_log(job.id, f"r{number}", keep=3)
    assert rows == 3
    assert await queue.logs(job.id) == (["r2", "r3", "r4"], 3)


@pytest.mark.parametrize("keep", [0, -1, True, 1.5])
async def test_a_log_cannot_be_kept_shorter_than_a_row(queue: Queue, keep: int) -> None:
    job = await queue.add("work", {})
    with pytest.raises(OptionError, match="keep must be a number of rows"):
        await queue.actions.add_log(job.id, "row", keep=keep)


# remove


async def test_a_removed_job_leaves_nothing_behind(queue: Queue, redis: Redis) -> None:
    job = await queue.add("work", {}, priority=2, debounce=Debounce("once"))
    await job.log("row")
    told: list[str] = []
    queue.on("removed", told.append)
    await job.remove()
    assert await queue.get_job(job.id) is None
    assert told == [job.id]
    assert await keys_of(queue, redis) <= {"id", "toril:producers"}


async def test_removing_a_job_that_is_not_there_does_nothing(queue: Queue) -> None:
    await queue.actions.remove("nobody")


async def test_a_job_that_a_worker_holds_is_not_removed(queue: Queue) -> None:
    job = await queue.add("work", {})
    await take(queue)
    with pytest.raises(JobLockedError, match=f"Could not remove job {job.id}"):
        await job.remove()
    assert await job.state() == "active"


async def test_a_job_left_in_active_without_a_lock_can_be_removed(queue: Queue, redis: Redis) -> None:
    job = await queue.add("work", {})
    await take(queue)
    await redis.delete(queue.keys.lock(job.id))
    await job.remove()
    assert await redis.lrange(queue.keys.of("active"), 0, -1) == []


@pytest.mark.parametrize("state", ["completed", "failed", "delayed", "paused", "waiting"])
async def test_a_job_in_any_other_state_can_be_removed(queue: Queue, redis: Redis, state: str) -> None:
    job = await queue.add("work", {}, delay=60 if state == "delayed" else 0)
    if state in ("completed", "failed"):
        await take(queue)
        await (complete if state == "completed" else fail)(queue, job.id)
    if state == "paused":
        await queue.pause()
    assert await job.state() == state
    await job.remove()
    assert await queue.count() == 0
    assert await keys_of(queue, redis) <= {"id", "toril:producers", "meta", "meta-paused"}


async def test_an_overflowed_job_can_be_removed(queue: Queue, redis: Redis) -> None:
    ids = await overflowing(queue)
    assert await queue.state(ids[-1]) == "waiting"
    await queue.actions.remove(ids[-1])
    assert await redis.zscore(queue.keys.of("toril:overflow"), ids[-1]) is None
    assert await queue.state(ids[-1]) == "stuck"


async def test_a_job_parked_by_the_limiter_is_removed_from_its_sets(queue: Queue, redis: Redis) -> None:
    jobs = [await queue.add("work", {}, job_id=f"{number}:group") for number in range(2)]
    await queue.scripts.run("advance", 60_000, 2, "1 60000 1", 0, 0, 0)
    parked = jobs[1]
    assert await parked.state() == "delayed"
    assert await redis.smembers(queue.keys.of("limiter:group:limited")) == {parked.id}
    await parked.remove()
    assert await redis.exists(queue.keys.of("limiter:group:limited"), queue.keys.of("limiter:index")) == 0


async def test_a_debounce_marker_of_another_job_stays(queue: Queue, redis: Redis) -> None:
    job = await queue.add("work", {}, debounce=Debounce("once"))
    await redis.set(queue.keys.of("de:once"), "another")
    await job.remove()
    assert await redis.get(queue.keys.of("de:once")) == "another"


# retry


async def test_a_failed_job_runs_again_and_its_attempts_stay_counted(queue: Queue, redis: Redis) -> None:
    job = await failed_job(queue)
    async with messages(redis, queue.keys.of("waiting@*")) as heard:
        await job.retry()
        assert await next_of(heard) == job.id
    stored = await queue.get_job(job.id)
    assert stored is not None
    assert stored.attempts_made == 1
    assert stored.retried_on is not None
    assert (stored.failed_reason, stored.finished_on, stored.processed_on) == (None, None, None)
    assert await run_all(queue) == [job.id]


async def test_a_local_listener_hears_of_a_retry_once(queue: Queue) -> None:
    job = await failed_job(queue)
    told: list[str] = []
    queue.on("waiting", told.append)
    await queue.subscriber.ready()
    await job.retry()
    other = await queue.add("work", {})

    async def all_told() -> bool:
        return len(told) >= 2

    await until(all_told)
    assert told == [job.id, other.id]


async def test_a_retried_job_keeps_its_priority(queue: Queue) -> None:
    job = await failed_job(queue, priority=2)
    later = await queue.add("work", {}, priority=9)
    sooner = await queue.add("work", {}, priority=1)
    await job.retry()
    assert await run_all(queue) == [sooner.id, job.id, later.id]


async def test_a_retried_lifo_job_comes_first(queue: Queue) -> None:
    job = await failed_job(queue, lifo=True)
    other = await queue.add("work", {})
    await job.retry()
    assert await run_all(queue) == [job.id, other.id]


async def test_a_job_retried_on_a_paused_queue_waits_there(queue: Queue) -> None:
    job = await failed_job(queue)
    await queue.pause()
    await job.retry()
    assert await job.state() == "paused"


async def test_retrying_twice_is_an_error(queue: Queue) -> None:
    job = await failed_job(queue)
    await job.retry()
    with pytest.raises(JobStateError, match="has been already retried or has not failed"):
        await job.retry()


async def test_retrying_a_completed_job_changes_nothing(queue: Queue, redis: Redis) -> None:
    job = await queue.add("work", {})
    await take(queue)
    await complete(queue, job.id, "done")
    before = await redis.hgetall(queue.keys.job(job.id))
    with pytest.raises(JobStateError, match="has not failed"):
        await job.retry()
    assert await redis.hgetall(queue.keys.job(job.id)) == before
    assert await job.state() == "completed"


async def test_a_job_that_is_gone_or_held_cannot_be_retried(queue: Queue) -> None:
    job = await queue.add("work", {})
    await take(queue)
    with pytest.raises(JobLockedError, match="Couldn't retry job: The job is locked"):
        await job.retry()
    with pytest.raises(JobNotFoundError, match="Couldn't retry job: The job doesn't exist"):
        await queue.actions.retry("nobody")


# promote


async def test_a_promoted_job_runs_by_its_priority(queue: Queue, redis: Redis) -> None:
    urgent = await queue.add("work", {}, priority=1)
    idle = await queue.add("work", {}, priority=9)
    job = await queue.add("work", {}, delay=60, priority=3)
    async with messages(redis, queue.keys.of("waiting@*")) as heard:
        await job.promote()
        assert await next_of(heard) == job.id
    assert await redis.hget(queue.keys.job(job.id), "delay") == "0"
    assert await run_all(queue) == [urgent.id, job.id, idle.id]


async def test_a_job_promoted_on_a_paused_queue_waits_there(queue: Queue) -> None:
    job = await queue.add("work", {}, delay=60)
    await queue.pause()
    await job.promote()
    assert await queue.counts("paused", "waiting", "delayed") == {"paused": 1, "waiting": 0, "delayed": 0}


async def test_only_delayed_jobs_can_be_promoted(queue: Queue) -> None:
    job = await queue.add("work", {})
    with pytest.raises(JobStateError, match=f"Job {job.id} is not in a delayed state"):
        await job.promote()
    with pytest.raises(JobNotFoundError, match="Missing key for job nobody promote"):
        await queue.actions.promote("nobody")


async def test_a_delayed_id_without_a_job_does_not_come_back_as_a_ghost(queue: Queue, redis: Redis) -> None:
    job = await queue.add("work", {}, delay=60)
    await redis.delete(queue.keys.job(job.id))
    with pytest.raises(JobNotFoundError):
        await job.promote()
    assert await queue.count() == 0
    assert await redis.exists(queue.keys.job(job.id)) == 0


# state


async def test_state_follows_a_job_through_its_life(queue: Queue, redis: Redis) -> None:
    job = await queue.add("work", {}, delay=60)
    states = [await job.state()]
    await job.promote()
    states.append(await job.state())
    await queue.pause()
    states.append(await job.state())
    await queue.resume()
    await take(queue)
    states.append(await job.state())
    await delay(queue, job.id, 60_000)
    states.append(await job.state())
    await job.promote()
    await take(queue)
    await fail(queue, job.id)
    states.append(await job.state())
    await job.retry()
    await run_all(queue)
    states.append(await job.state())
    await redis.zrem(queue.keys.of("completed"), job.id)
    states.append(await job.state())
    assert states == [
        "delayed", "waiting", "paused", "active", "delayed", "failed", "completed", "stuck",
    ]  # fmt: skip


async def test_an_overflowed_job_is_waiting_or_paused(queue: Queue) -> None:
    ids = await overflowing(queue)
    assert await queue.state(ids[-1]) == "waiting"
    await queue.pause()
    assert await queue.state(ids[-1]) == await queue.state(ids[0]) == "paused"


# cancel


@pytest.mark.parametrize("state", ["waiting", "prioritised", "paused", "delayed"])
async def test_a_cancelled_job_that_waits_fails_at_once(queue: Queue, redis: Redis, state: str) -> None:
    options = {"prioritised": {"priority": 4}, "delayed": {"delay": 60}}.get(state, {})
    job = await queue.add("work", {}, **options)
    other = await queue.add("work", {})
    if state == "paused":
        await queue.pause()
    async with messages(redis, queue.keys.of("failed")) as heard:
        await job.cancel()
        assert json.loads(await next_of(heard)) == {"jobId": job.id, "val": "cancelled"}
    stored = await queue.get_job(job.id)
    assert stored is not None
    assert stored.failed_reason == "cancelled"
    assert await redis.zscore(queue.keys.of("failed"), job.id) == stored.finished_on
    assert await job.state() == "failed"
    await queue.resume()
    assert await run_all(queue) == [other.id]
    assert await redis.exists(queue.keys.of("priority"), queue.keys.of("delayed")) == 0


async def test_a_cancelled_overflowed_job_fails_at_once(queue: Queue) -> None:
    ids = await overflowing(queue)
    await queue.actions.cancel(ids[-1])
    assert await queue.state(ids[-1]) == "failed"
    assert await run_all(queue) == ids[:-1]


async def test_a_cancelled_job_frees_its_debounce_marker(queue: Queue) -> None:
    job = await queue.add("work", {}, debounce=Debounce("once"))
    await job.cancel()
    assert (await queue.add("work", {}, debounce=Debounce("once"))).id != job.id


@pytest.mark.parametrize(
    ("keep", "left"), [(None, ["1", "2", "3"]), (True, []), (0, []), (2, ["2", "3"]), (Keep(count=1), ["3"])]
)
async def test_a_cancelled_job_is_kept_as_its_policy_says(
    queue: Queue, keep: object, left: list[str]
) -> None:
    jobs = [await queue.add("work", {}, remove_on_fail=keep) for _ in range(3)]
    for job in jobs:
        await job.cancel()
    assert [job.id for job in await queue.get_failed()] == left[::-1]
    assert [job.id for job in jobs if await queue.get_job(job.id)] == left


async def test_a_running_job_is_marked_and_its_worker_told(queue: Queue, redis: Redis) -> None:
    job = await queue.add("work", {})
    await take(queue)
    async with messages(redis, queue.keys.of("toril:cancel")) as heard:
        await job.cancel()
        assert await next_of(heard) == job.id
    assert await job.state() == "active"
    _, cancelled = await queue.scripts.run("renew_locks", 60_000, job.id, await fence_of(queue, job.id))
    assert cancelled == [job.id.encode()]


async def test_finished_and_missing_jobs_cannot_be_cancelled(queue: Queue) -> None:
    job = await failed_job(queue)
    with pytest.raises(JobStateError, match=f"job {job.id} of queue .* has finished"):
        await job.cancel()
    with pytest.raises(JobNotFoundError, match="Missing key for job nobody cancel"):
        await queue.actions.cancel("nobody")


# result


@pytest.mark.parametrize("value", [{"a": [1, "ü"]}, "text", 0, None, False])
async def test_result_of_a_finished_job_is_there_at_once(queue: Queue, value: object) -> None:
    job = await queue.add("work", {})
    await take(queue)
    await complete(queue, job.id, value)
    assert await job.result(timeout=60) == value


async def test_result_arrives_when_the_job_ends(queue: Queue, redis: Redis) -> None:
    job = await queue.add("work", {})
    await take(queue)
    waiting = asyncio.create_task(job.result(timeout=60))
    await until_awaited(queue, redis)
    await complete(queue, job.id, {"pages": 3}, keep=0)
    assert await waiting == {"pages": 3}


async def test_result_of_a_failed_job_is_its_reason(queue: Queue) -> None:
    job = await failed_job(queue)
    with pytest.raises(JobFailedError, match="no luck") as caught:
        await job.result(timeout=60)
    assert (caught.value.job_id, caught.value.reason) == (job.id, "no luck")


async def test_result_tells_when_the_job_fails_later(queue: Queue, redis: Redis) -> None:
    job = await queue.add("work", {})
    await take(queue)
    waiting = asyncio.create_task(job.result(timeout=60))
    await until_awaited(queue, redis)
    await fail(queue, job.id, "out of paper", keep=0)
    with pytest.raises(JobFailedError, match="out of paper"):
        await waiting


async def test_result_of_a_removed_job_does_not_wait_for_ever(queue: Queue) -> None:
    job = await queue.add("work", {})
    await take(queue)
    await complete(queue, job.id, keep=0)
    with pytest.raises(JobNotFoundError, match="its result cannot be known"):
        await job.result()


async def test_the_message_about_a_job_that_is_gone_already_is_waited_for(queue: Queue, redis: Redis) -> None:
    waiting = asyncio.create_task(queue.actions.result("fleeting", 5))
    await until_awaited(queue, redis)
    await redis.publish(queue.keys.of("completed"), '{"jobId": "fleeting", "val": "[7]"}')
    assert await waiting == [7]


async def test_result_is_found_though_the_message_got_lost(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.engine.actions._POLL", 0.05)
    job = await queue.add("work", {})
    waiting = asyncio.create_task(job.result(timeout=60))
    await until_awaited(queue, redis)
    await redis.hset(queue.keys.job(job.id), mapping={"returnvalue": '"silent"', "finishedOn": 1})
    await redis.zadd(queue.keys.of("completed"), {job.id: 1})
    assert await waiting == "silent"


async def test_result_gives_up_in_time_and_the_job_goes_on(queue: Queue) -> None:
    job = await queue.add("work", {})
    with pytest.raises(TimeoutError, match=r"job \S+ of queue .* has not finished within 0.05 s"):
        await job.result(timeout=0.05)
    assert await run_all(queue) == [job.id]


async def test_another_queue_object_can_wait_for_the_result(queue: Queue, server_url: str) -> None:
    job_id = f"job-{uuid.uuid4().hex}"
    await queue.add("work", {}, job_id=job_id)
    async with Queue(queue.name, url=server_url, prefix=queue.keys.prefix) as other:
        waiting = asyncio.create_task(other.actions.result(job_id, 5))
        await take(queue)
        await complete(queue, job_id, 7)
        assert await waiting == 7
