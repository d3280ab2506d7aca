"""What can be done with a whole queue."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from tests.support.steps import complete, fail, run_all, take

from toril.engine.job import Job
from toril.engine.options import Debounce
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.errors import OptionError, QueueStateError

WINDOW = 512
HOUR = 3_600


def ids(jobs: list[Job[object]]) -> list[str]:
    return [job.id for job in jobs]


async def numbered(queue: Queue, count: int, **options: object) -> list[str]:
    return ids(await queue.add_bulk([("work", {"n": number}, options) for number in range(count)]))


async def overflowing(queue: Queue, count: int = WINDOW + 100) -> list[str]:
    """Prioritised jobs, many of them in the overflow."""
    await queue.scripts.run("register_worker", 60_000)
    return await numbered(queue, count, priority=2)


async def keys_of(queue: Queue, redis: Redis) -> set[str]:
    """Suffixes of all keys of the queue; what is remembered of a producer without its name."""
    base = f"{queue.keys.base}:"
    keys = {key.removeprefix(base) async for key in redis.scan_iter(f"{base}*", count=5000)}
    kept = {key for key in keys if not key.startswith("toril:answers:")}
    return {"toril:producers" if key.startswith("toril:producers:") else key for key in kept}


async def age(queue: Queue, redis: Redis, job_id: str, seconds: float) -> None:
    """Let a job be older than it is."""
    key = queue.keys.job(job_id)
    for field in ("timestamp", "processedOn", "finishedOn"):
        if (value := await redis.hget(key, field)) is not None:
            await redis.hset(key, field, int(value) - int(seconds * 1000))
    for state in ("completed", "failed"):
        if await redis.zscore(queue.keys.of(state), job_id):
            await redis.zincrby(queue.keys.of(state), -seconds * 1000, job_id)


async def failed_jobs(queue: Queue, redis: Redis, count: int, **options: object) -> list[str]:
    """Jobs that failed one after the other."""
    added = await numbered(queue, count, **options)
    taken = []
    while len(taken) < count:
        taken += await take(queue, 1000)
    for place, job_id in enumerate(taken):
        await fail(queue, job_id)
        await redis.zadd(queue.keys.of("failed"), {job_id: 1_000_000 + place})
    assert sorted(taken) == sorted(added)
    return taken


# pause, resume


async def test_a_paused_queue_gives_no_jobs_until_it_is_resumed(queue: Queue) -> None:
    told: list[str] = []
    queue.on("paused", lambda: told.append("paused"))
    queue.on("resumed", lambda: told.append("resumed"))
    added = await numbered(queue, 2)
    await queue.pause()
    assert await queue.is_paused()
    added += await numbered(queue, 2)
    assert await take(queue, 10) == []
    assert await queue.counts("waiting", "paused") == {"waiting": 0, "paused": 4}
    await queue.resume()
    assert not await queue.is_paused()
    assert await run_all(queue) == added
    assert told == ["paused", "resumed"]


async def test_pausing_sets_both_of_bulls_flags_and_publishes(queue: Queue, redis: Redis) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(queue.keys.of("paused"), queue.keys.of("resumed"))
        heard = []
        await queue.pause()
        assert await redis.get(queue.keys.of("meta-paused")) == "1"
        assert await redis.hget(queue.keys.of("meta"), "paused") == "1"
        await queue.resume()
        assert await redis.exists(queue.keys.of("meta-paused"), queue.keys.of("meta")) == 0
        while len(heard) < 2:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5)
            if message:
                heard.append((message["channel"], message["data"]))
    assert heard == [(queue.keys.of("paused"), "paused"), (queue.keys.of("resumed"), "resumed")]


async def test_pausing_twice_or_resuming_twice_changes_nothing_more(queue: Queue) -> None:
    added = await numbered(queue, 3)
    await queue.pause()
    await queue.pause()
    assert (await queue.counts("paused"))["paused"] == 3
    await queue.resume()
    await queue.resume()
    assert await run_all(queue) == added


async def test_ids_in_the_wrong_list_are_not_lost(queue: Queue, redis: Redis) -> None:
    added = await numbered(queue, 3)
    await queue.pause()
    stray = await numbered(queue, 2, delay=60)
    # A careless producer pushes to wait without a look at the flag.
    await redis.zrem(queue.keys.of("delayed"), *stray)
    await redis.lpush(queue.keys.of("wait"), *stray)
    await queue.resume()
    assert await run_all(queue) == added + stray


async def test_stray_prioritised_ids_find_their_place(queue: Queue, redis: Redis) -> None:
    added = await numbered(queue, 2, priority=1) + await numbered(queue, 2)
    await queue.pause()
    (stray,) = await numbered(queue, 1, delay=60)
    await redis.zrem(queue.keys.of("delayed"), stray)
    await redis.lpush(queue.keys.of("wait"), stray)
    await redis.zadd(queue.keys.of("priority"), {stray: 3})
    await queue.resume()
    assert await run_all(queue) == [*added[:2], stray, *added[2:]]


async def test_overflowed_jobs_are_paused_and_resumed_too(queue: Queue) -> None:
    added = await overflowing(queue)
    await queue.pause()
    added += await numbered(queue, 5, priority=2)
    assert await take(queue, 1000) == []
    await queue.resume()
    assert await run_all(queue) == added


# empty


async def test_emptying_deletes_all_that_waits_and_nothing_else(queue: Queue, redis: Redis) -> None:
    await numbered(queue, 3)
    taken = await take(queue, 3)
    await complete(queue, taken[0])
    await fail(queue, taken[1])
    await overflowing(queue)
    waiting = await numbered(queue, 5, debounce=Debounce("once"))
    await numbered(queue, 3, delay=60)
    await queue.actions.add_log(waiting[0], "row")
    await queue.empty()
    assert await queue.counts() == {
        "waiting": 0, "active": 1, "completed": 1, "failed": 1, "delayed": 0, "paused": 0,
    }  # fmt: skip
    assert await keys_of(queue, redis) == {
        "id", "active", "completed", "failed", "toril:producers", "toril:workers", *taken, f"{taken[2]}:lock",
    }  # fmt: skip


async def test_emptying_a_paused_queue_leaves_it_paused(queue: Queue) -> None:
    await numbered(queue, 3)
    await queue.pause()
    await queue.empty()
    assert await queue.is_paused()
    assert await queue.count() == 0


async def test_emptying_many_jobs_takes_several_steps(queue: Queue, redis: Redis) -> None:
    await numbered(queue, 1700)
    await numbered(queue, 700, delay=60)
    await queue.empty()
    assert await keys_of(queue, redis) == {"id", "toril:producers"}


@pytest.mark.parametrize("where", ["delayed", "waiting"])
async def test_emptying_and_cleaning_leave_the_next_run_of_a_schedule(
    queue: Queue, redis: Redis, where: str
) -> None:
    job = await queue.add("tick", {}, repeat=Repeat(every=HOUR))
    if where == "waiting":
        await job.promote()
    others = await numbered(queue, 3, delay=60 if where == "delayed" else 0)
    for job_id in (job.id, *others):
        await age(queue, redis, job_id, 5)
    assert sorted(await queue.clean(0, where)) == others
    await numbered(queue, 3)
    await queue.empty()
    assert await job.state() == where
    assert await queue.count() == 1


# clean


async def test_cleaning_wants_a_grace_and_a_known_state(queue: Queue) -> None:
    with pytest.raises(OptionError, match="You must define a grace period"):
        await queue.clean(None)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="Cannot clean unknown queue type stuck"):
        await queue.clean(0, "stuck")
    with pytest.raises(OptionError, match="grace must be at least 0 seconds"):
        await queue.clean(-1)
    with pytest.raises(OptionError, match="limit must be a whole number"):
        await queue.clean(0, limit=-1)


async def test_cleaning_an_empty_queue_tells_of_nothing(queue: Queue) -> None:
    told: list[tuple[list[str], str]] = []
    queue.on("cleaned", lambda cleaned, state: told.append((cleaned, state)))
    assert await queue.clean(0) == []
    assert told == [([], "completed")]


async def prepare(queue: Queue, redis: Redis, state: str, count: int) -> list[str]:
    """Jobs in a state, the first to be cleaned first; an hour old."""
    added = await numbered(queue, count, delay=60 if state == "delayed" else 0)
    if state in ("completed", "failed", "active"):
        await take(queue, count)
    if state in ("completed", "failed"):
        for job_id in added:
            await (complete if state == "completed" else fail)(queue, job_id)
    if state == "active":
        await redis.delete(*(queue.keys.lock(job_id) for job_id in added))
    if state == "paused":
        await queue.pause()
    for place, job_id in enumerate(added):
        await age(queue, redis, job_id, HOUR - place)
    return added


STATES = ["completed", "failed", "delayed", "wait", "waiting", "paused", "active"]


@pytest.mark.parametrize("state", STATES)
async def test_old_jobs_of_a_state_are_cleaned_and_young_ones_stay(
    queue: Queue, redis: Redis, state: str
) -> None:
    added = await prepare(queue, redis, state, 5)
    await age(queue, redis, added[2], -2 * HOUR)
    told: list[tuple[list[str], str]] = []
    queue.on("cleaned", lambda cleaned, kind: told.append((cleaned, kind)))
    assert await queue.clean(2 * HOUR, state) == []
    expected = [added[0], added[1], added[3], added[4]]
    assert await queue.clean(timedelta(minutes=30), state) == expected
    assert told == [([], state), (expected, state)]
    assert [job_id for job_id in added if await queue.get_job(job_id)] == [added[2]]
    assert await queue.state(added[2]) == ("waiting" if state == "wait" else state)
    assert added[0] not in await keys_of(queue, redis)


@pytest.mark.parametrize("state", STATES)
async def test_no_more_than_the_limit_is_cleaned_the_oldest_first(
    queue: Queue, redis: Redis, state: str
) -> None:
    added = await prepare(queue, redis, state, 4)
    assert await queue.clean(0, state, limit=3) == added[:3]
    assert await queue.clean(0, state, limit=99) == added[3:]


@pytest.mark.parametrize("state", STATES)
async def test_with_a_limit_only_old_jobs_are_cleaned_wherever_they_are(
    queue: Queue, redis: Redis, state: str
) -> None:
    added = await prepare(queue, redis, state, 3)
    for young in (added[0], added[2]):
        await age(queue, redis, young, -2 * HOUR)
    assert await queue.clean(60, state, limit=1) == [added[1]]
    assert await queue.clean(60, state, limit=1) == []


@pytest.mark.parametrize("state", ["completed", "delayed", "wait"])
async def test_cleaning_goes_through_many_jobs_in_steps(queue: Queue, redis: Redis, state: str) -> None:
    added = await numbered(queue, 1300, delay=60 if state == "delayed" else 0)
    young = added[3:1300:9]
    if state == "completed":
        await redis.zadd(queue.keys.of("completed"), dict.fromkeys(added, 1_000))
        await redis.zadd(queue.keys.of("completed"), dict.fromkeys(young, 10**14))
        await redis.delete(queue.keys.of("wait"))
    else:
        async with redis.pipeline(transaction=False) as pipe:
            for job_id in set(added) - set(young):
                pipe.hset(queue.keys.job(job_id), "timestamp", 1_000)
            await pipe.execute()
    assert set(await queue.clean(60, state)) == set(added) - set(young)
    state = "waiting" if state == "wait" else state
    assert set(ids(await queue.get_jobs(state))) == set(young)


async def test_finish_time_decides_not_creation(queue: Queue, redis: Redis) -> None:
    (added,) = await numbered(queue, 1)
    await redis.hset(queue.keys.job(added), "timestamp", 1)
    await run_all(queue)
    assert await queue.clean(60) == []


async def test_times_are_compared_as_numbers(queue: Queue, redis: Redis) -> None:
    (added,) = await numbered(queue, 1)
    await redis.hset(queue.keys.job(added), "timestamp", "999")
    assert await queue.clean(60, "wait") == [added]


async def test_a_job_without_any_time_is_cleaned(queue: Queue, redis: Redis) -> None:
    first, second = await numbered(queue, 2)
    await redis.hdel(queue.keys.job(second), "timestamp")
    assert await queue.clean(60, "wait") == [second]
    assert await run_all(queue) == [first]


async def test_cleaning_leaves_jobs_that_a_worker_holds(queue: Queue, redis: Redis) -> None:
    added = await prepare(queue, redis, "active", 2)
    await redis.set(queue.keys.lock(added[0]), "a worker")
    assert await queue.clean(0, "active") == [added[1]]
    assert await queue.state(added[0]) == "active"


async def test_a_cleaned_prioritised_job_leaves_no_priority_entry(queue: Queue, redis: Redis) -> None:
    first, second = await numbered(queue, 2, priority=5)
    await age(queue, redis, first, 5)
    await age(queue, redis, second, 5)
    assert await queue.clean(0, "wait", limit=1) == [first]
    assert await redis.zrange(queue.keys.of("priority"), 0, -1) == [second]


@pytest.mark.parametrize("paused", [False, True])
async def test_overflowed_jobs_are_cleaned_with_the_others(queue: Queue, redis: Redis, paused: bool) -> None:
    added = await overflowing(queue)
    state, other = ("paused", "waiting") if paused else ("waiting", "paused")
    if paused:
        await queue.pause()
    for job_id in (added[0], added[-1]):
        await age(queue, redis, job_id, HOUR)
    assert await queue.clean(60, other) == []
    assert await queue.clean(60, state) == [added[0], added[-1]]
    await queue.resume()
    assert await run_all(queue) == added[1:-1]


async def test_cleaning_a_waiting_job_frees_its_debounce_marker(queue: Queue, redis: Redis) -> None:
    job = await queue.add("work", {}, debounce=Debounce("once", ttl=HOUR))
    await age(queue, redis, job.id, HOUR)
    await queue.clean(60, "wait")
    assert await redis.exists(queue.keys.of("de:once")) == 0


# remove_jobs


async def test_jobs_are_removed_by_pattern(queue: Queue) -> None:
    names = ["foo", "foo1", "foo2", "foo:3", "bar", "baz", "Foo"]
    for name in names:
        await queue.add("work", {}, job_id=name)
    told: list[str] = []
    queue.on("removed", told.append)
    assert sorted(await queue.remove_jobs("foo*")) == ["foo", "foo1", "foo2", "foo:3"]
    assert sorted(told) == ["foo", "foo1", "foo2", "foo:3"]
    assert sorted(await queue.remove_jobs("ba[rx]")) == ["bar"]
    assert ids(await queue.get_waiting()) == ["baz", "Foo"]
    with pytest.raises(OptionError, match="pattern must be a text"):
        await queue.remove_jobs("")


async def test_removing_everything_leaves_held_jobs_and_the_queues_own_keys(
    queue: Queue, redis: Redis
) -> None:
    added = await numbered(queue, 3)
    held, done, failed = await take(queue, 3)
    await complete(queue, done, metrics=10)
    await fail(queue, failed)
    await overflowing(queue)
    await numbered(queue, 4)
    await numbered(queue, 4, delay=60)
    await queue.pause()
    before = await queue.counts("paused", "delayed")
    removed = await queue.remove_jobs("*")
    assert len(removed) == len(set(removed)) == sum(before.values()) + 2
    assert set(added) & set(removed) == {done, failed}
    assert await keys_of(queue, redis) == {
        "id", "active", "meta", "meta-paused", "metrics:completed", "toril:producers", "toril:workers",
        held, f"{held}:lock",
    }  # fmt: skip


async def test_removing_by_pattern_works_in_steps(queue: Queue) -> None:
    names = [f"{'even' if number % 2 == 0 else 'odd'}-{number}" for number in range(1600)]
    for start in range(0, 1600, 400):
        await asyncio.gather(*(queue.add("work", {}, job_id=name) for name in names[start : start + 400]))
    removed = await queue.remove_jobs("even-*")
    assert removed == names[::2]
    assert await run_all(queue) == names[1::2]


async def test_jobs_of_a_queue_with_a_longer_name_are_left_alone(queue: Queue, server_url: str) -> None:
    async with Queue(f"{queue.name}:more", url=server_url, prefix=queue.keys.prefix) as other:
        theirs = await other.add("work", {}, debounce=Debounce("once"))
        ours = await queue.add("work", {}, job_id="more:1x")
        await queue.remove_jobs("*")
        await queue.obliterate()
        assert await queue.get_job(ours.id) is None
        assert await other.state(theirs.id) == "waiting"
        assert (await other.add("work", {}, debounce=Debounce("once"))).id == theirs.id
        assert await other.add("work", {})
        assert await other.count() == 2


# retry_jobs, promote_jobs


@pytest.mark.parametrize("step", [1000, 3])
async def test_all_failed_jobs_run_again_in_the_order_they_failed(
    queue: Queue, redis: Redis, step: int
) -> None:
    failed = await failed_jobs(queue, redis, 8)
    assert await queue.retry_jobs(step) == 8
    assert await queue.counts("failed", "waiting") == {"failed": 0, "waiting": 8}
    job = await queue.get_job(failed[0])
    assert job is not None
    assert (job.failed_reason, job.finished_on, job.processed_on, job.attempts_made) == (None, None, None, 1)
    assert await run_all(queue) == failed


async def test_retried_jobs_keep_their_priorities(queue: Queue, redis: Redis) -> None:
    low = await failed_jobs(queue, redis, 2, priority=7)
    high = await failed_jobs(queue, redis, 2, priority=1)
    plain = await failed_jobs(queue, redis, 2)
    await queue.retry_jobs()
    assert await run_all(queue) == high + low + plain


async def test_many_prioritised_jobs_are_retried_past_the_window(queue: Queue, redis: Redis) -> None:
    await queue.scripts.run("register_worker", 60_000)
    failed = await failed_jobs(queue, redis, WINDOW + 50, priority=1)
    await queue.retry_jobs(100)
    assert await redis.zcard(queue.keys.of("toril:overflow")) == 50
    assert await run_all(queue) == failed


async def test_retrying_all_on_a_paused_queue_lets_them_wait_there(queue: Queue, redis: Redis) -> None:
    await failed_jobs(queue, redis, 3)
    await queue.pause()
    await queue.retry_jobs()
    assert await queue.counts("paused", "waiting") == {"paused": 3, "waiting": 0}


async def test_a_failed_id_without_a_job_just_leaves(queue: Queue, redis: Redis) -> None:
    failed = await failed_jobs(queue, redis, 2)
    await redis.delete(queue.keys.job(failed[0]))
    assert await queue.retry_jobs() == 1
    assert await run_all(queue) == failed[1:]
    assert await redis.exists(queue.keys.job(failed[0])) == 0


async def test_all_delayed_jobs_can_be_promoted(queue: Queue) -> None:
    added = await numbered(queue, 7, delay=60)
    urgent = await numbered(queue, 1, delay=90, priority=1)
    assert await queue.promote_jobs(3) == 8
    assert await run_all(queue) == urgent + added
    assert await queue.promote_jobs() == 0


@pytest.mark.parametrize("count", [0, -1, True, "many"])
async def test_a_step_has_at_least_one_job(queue: Queue, count: int) -> None:
    for act in (queue.retry_jobs, queue.promote_jobs):
        with pytest.raises(OptionError, match="count must be a whole number of at least 1"):
            await act(count)


# debounce


async def test_a_debounce_marker_can_be_taken_away(queue: Queue) -> None:
    first = await queue.add("work", {}, debounce=Debounce("once"))
    assert (await queue.add("work", {}, debounce=Debounce("once"))).id == first.id
    assert await queue.remove_debounce_key("once")
    assert (await queue.add("work", {}, debounce=Debounce("once"))).id != first.id
    assert not await queue.remove_debounce_key("never")


# obliterate


async def fill(queue: Queue, redis: Redis) -> str:
    """Put something into every place a queue has; returns the id of a running job."""
    await queue.add("tick", {}, repeat=Repeat(every=HOUR))
    await numbered(queue, 6)
    held, done, failed, *_ = await take(queue, 3)
    await complete(queue, done, metrics=10)
    await redis.hincrby(queue.keys.of("metrics:completed"), "prevTS", -200_000)
    await fail(queue, failed)
    await queue.actions.cancel(held)
    await queue.scripts.run("move_stalled", 1, 60_000)
    await overflowing(queue)
    await queue.add("work", {}, debounce=Debounce("kept", ttl=HOUR))
    await queue.add("work", {}, delay=60, job_id="77")
    await queue.actions.add_log("77", "row")
    await redis.set(queue.keys.of("de:left-over"), "gone")
    await redis.set(queue.keys.of("limiter"), 1)
    await redis.set(queue.keys.of("limiter:group"), 1)
    await redis.sadd(queue.keys.of("limiter:group:limited"), "77")
    await redis.hset(queue.keys.of("limiter:index"), "77", queue.keys.of("limiter:group:limited"))
    await redis.hset(queue.keys.job("in-no-list"), "name", "lost")
    await redis.set(queue.keys.lock("in-no-list"), "token")
    return held


async def test_nothing_remains_of_an_obliterated_queue(queue: Queue, redis: Redis) -> None:
    held = await fill(queue, redis)
    await complete(queue, held)
    await queue.obliterate()
    assert await keys_of(queue, redis) == set()
    assert not await queue.is_paused()
    assert (await queue.add("work", {})).id == "1"


async def test_an_empty_queue_can_be_obliterated(queue: Queue, redis: Redis) -> None:
    await queue.obliterate()
    assert await keys_of(queue, redis) == set()


async def test_a_queue_with_active_jobs_is_not_obliterated(queue: Queue, redis: Redis) -> None:
    await numbered(queue, 3)
    await take(queue)
    with pytest.raises(QueueStateError, match="Cannot obliterate queue with active jobs"):
        await queue.obliterate()
    assert await queue.is_paused()
    assert await queue.counts("active", "paused") == {"active": 1, "paused": 2}


async def test_force_obliterates_active_jobs_too(queue: Queue, redis: Redis) -> None:
    held = await fill(queue, redis)
    await queue.obliterate(force=True)
    assert await keys_of(queue, redis) == set()
    assert await complete(queue, held) == -1
    assert await keys_of(queue, redis) == set()


async def test_a_large_queue_is_obliterated_in_steps(queue: Queue, redis: Redis) -> None:
    await numbered(queue, 1200)
    await numbered(queue, 1100, delay=60)
    await take(queue, 300)
    await queue.obliterate(force=True, count=200)
    assert await keys_of(queue, redis) == set()
