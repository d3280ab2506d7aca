"""Schedules of a queue: added once, one run after the other, and not lost."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.steps import fence_of
from tests.support.until import until

from toril.engine.job import Job
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat, repeat_key
from toril.engine.schedule_store import Run, ScheduleStore
from toril.engine.schedules import Schedule
from toril.errors import DataError, OptionError

HOUR = 3_600


async def now_ms(redis: redis_asyncio.Redis) -> int:
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def keys_of(queue: Queue, redis: redis_asyncio.Redis) -> list[str]:
    """Keys of the queue, apart from what remembers calls."""
    keys = await redis.keys(f"{queue.keys.base}:*")
    return [key for key in keys if not key.startswith(queue.keys.of("toril:answers:"))]


async def take(queue: Queue) -> Job[Any] | None:
    """Take the job that is next, as a worker would; it is not told the schedule yet."""
    reply = await queue.scripts.run("advance", 30_000, 1, "", 0, 0, 0)
    return Job.from_taken(queue.actions, reply[1][0]) if reply[1] else None


async def take_early(queue: Queue, job_id: str) -> Job[Any]:
    """Take a run before its time."""
    await queue.actions.promote(job_id)
    job = await take(queue)
    assert job is not None
    assert job.id == job_id
    return job


async def complete(queue: Queue, job: Job[Any], *, keep: int = -1) -> None:
    outcome = ("complete", job.id, await fence_of(queue, job.id), "null", "", "", keep, -1, "")
    reply = await queue.scripts.run("advance", 30_000, 0, "", 0, 0, 0, *outcome)
    assert reply[0] == [0]


async def pending(queue: Queue) -> list[Job[Any]]:
    return await queue.get_delayed()


async def only(queue: Queue) -> Schedule:
    (schedule,) = await queue.schedules()
    return schedule


async def test_the_first_run_is_the_next_moment_of_the_schedule(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    before = await now_ms(redis)
    job = await queue.add("report", {"n": 1}, repeat=Repeat(every=HOUR), attempts=3)
    (stored,) = await pending(queue)
    due = (before // 3_600_000 + 1) * 3_600_000
    assert stored.id == job.id
    assert stored.id.startswith("repeat:")
    assert stored.id.endswith(f":{due}")
    assert (stored.name, stored.data) == ("report", {"n": 1})
    assert stored.opts == job.opts
    assert stored.opts == {
        "attempts": 3,
        "repeat": {"every": 3_600_000, "count": 1, "key": "report:::3600000"},
        "jobId": job.id,
        "prevMillis": due,
        "delay": due - int(stored.timestamp or 0),
        "timestamp": stored.timestamp,
    }
    assert await redis.zscore(queue.keys.of("repeat"), "report:::3600000") == due


async def test_an_unnamed_job_repeats_under_bulls_name_for_it(queue: Queue) -> None:
    job = await queue.add({"type": "sessions", "data": {}}, repeat=Repeat(cron="0 2 * * *", tz="Asia/Riyadh"))
    assert job.name == "__default__"
    assert job.opts["repeat"]["key"] == "__default__:::Asia/Riyadh:0 2 * * *"


@pytest.mark.parametrize(
    ("repeat", "stored", "key"),
    [
        pytest.param(
            Repeat(cron="0 0 1 1 *", start_date=datetime(2020, 1, 1, tzinfo=UTC)),
            {"cron": "0 0 1 1 *", "startDate": "2020-01-01T00:00:00.000Z"},
            "report::::0 0 1 1 *",
            id="start",
        ),
        pytest.param(
            Repeat(cron="0 0 1 1 *", start_date="2020-01-01", end_date=4_102_444_800_000),
            {"cron": "0 0 1 1 *", "startDate": "2020-01-01", "endDate": 4_102_444_800_000},
            "report::4102444800000::0 0 1 1 *",
            id="start and end",
        ),
        pytest.param(
            Repeat(every=timedelta(hours=1), job_id="mine"),
            {"every": 3_600_000, "jobId": "mine"},
            "report:mine::3600000",
            id="id",
        ),
    ],
)
async def test_the_job_carries_the_schedule_and_its_key(
    queue: Queue, repeat: Repeat, stored: dict[str, Any], key: str
) -> None:
    job = await queue.add("report", {}, repeat=repeat)
    assert job.opts["repeat"] == {**stored, "count": 1, "key": key}
    assert (await only(queue)).key == key


async def test_a_start_in_the_future_is_waited_for(queue: Queue) -> None:
    start = datetime.now(UTC) + timedelta(days=400)
    await queue.add("report", {}, repeat=Repeat(cron="0 * * * *", start_date=start))
    due = (await only(queue)).next
    assert 0 < due - start.timestamp() * 1000 <= 3_600_000


async def test_a_schedule_whose_end_has_passed_is_refused(queue: Queue) -> None:
    with pytest.raises(OptionError, match="'report::1:3600000' has no run left"):
        await queue.add("report", {}, repeat=Repeat(every=HOUR, end_date=1))
    with pytest.raises(OptionError, match="has no run left"):
        await queue.add("report", {}, repeat=Repeat(every=HOUR, limit=3, count=3))
    assert await queue.schedule_count() == 0


@pytest.mark.parametrize(
    "option", [{"delay": 5}, {"lifo": True}, {"timestamp": datetime(2030, 1, 1, tzinfo=UTC)}]
)
async def test_options_that_have_no_meaning_for_a_schedule_are_refused(
    queue: Queue, option: dict[str, Any]
) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(option))} has no effect on a repeated job"):
        await queue.add("report", {}, repeat=Repeat(every=HOUR), **option)


async def test_bad_data_and_names_are_refused_before_anything_is_stored(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    with pytest.raises(DataError, match="data"):
        await queue.add("report", {"at": object()}, repeat=Repeat(every=HOUR))
    with pytest.raises(OptionError, match="name"):
        await queue.add_repeatable("", {}, {"repeat": Repeat(every=HOUR)})
    with pytest.raises(OptionError, match="did you mean 'attempts'"):
        await queue.add("report", {}, repeat=Repeat(every=HOUR), atempts=2)
    assert await keys_of(queue, redis) == []


async def test_the_same_schedule_added_twice_is_one(queue: Queue) -> None:
    first = await queue.add("report", {}, repeat=Repeat(cron="0 0 1 1 *"))
    second = await queue.add("report", {}, repeat=Repeat(cron="0 0 1 1 *"))
    assert first.id == second.id
    assert first.opts["prevMillis"] == second.opts["prevMillis"]
    assert len(await pending(queue)) == await queue.schedule_count() == 1


async def test_a_schedule_that_many_processes_add_at_once_has_one_run(
    queue: Queue, server_url: str, prefix: str
) -> None:
    others = [Queue(queue.name, url=server_url, prefix=prefix) for _ in range(8)]
    jobs = await asyncio.gather(*(q.add("report", {}, repeat=Repeat(cron="0 0 1 1 *")) for q in others))
    assert len({job.id for job in jobs}) == 1
    assert len(await pending(queue)) == 1
    await asyncio.gather(*(q.close() for q in others))


async def test_job_ids_tell_equal_schedules_apart(queue: Queue) -> None:
    for job_id in ("first", "second"):
        await queue.add("report", {}, repeat=Repeat(cron="0 0 1 1 *"), job_id=job_id)
    assert len(await pending(queue)) == 2
    assert {schedule.id for schedule in await queue.schedules()} == {"first", "second"}


async def test_schedules_are_listed_by_their_next_run(queue: Queue) -> None:
    await queue.add("yearly", {"y": 1}, repeat=Repeat(cron="0 0 1 1 *", tz="Asia/Riyadh"), priority=2)
    end = datetime(2090, 1, 1, tzinfo=UTC)
    hourly = Repeat(every=HOUR, end_date=end, limit=9)
    await queue.add("hourly", None, repeat=hourly, job_id="mine")
    yearly, soonest = await queue.schedules()
    assert (yearly.key, yearly.name) == ("yearly:::Asia/Riyadh:0 0 1 1 *", "yearly")
    assert (yearly.cron, yearly.tz, yearly.every, yearly.id) == ("0 0 1 1 *", "Asia/Riyadh", None, None)
    assert (yearly.data, yearly.opts, yearly.limit) == ({"y": 1}, {"priority": 2}, None)
    local = datetime.fromtimestamp(yearly.next / 1000, UTC) + timedelta(hours=3)
    assert (local.month, local.day, local.hour) == (1, 1, 0)
    end_ms = int(end.timestamp() * 1000)
    assert soonest == Schedule(
        key=f"hourly:mine:{end_ms}:3600000",
        name="hourly",
        id="mine",
        cron=None,
        tz=None,
        every=3600.0,
        end_date=end_ms,
        next=soonest.next,
        limit=9,
        count=1,
        data=None,
        opts={},
    )
    assert await queue.schedules(0, 0) == [yearly]
    assert await queue.schedules(asc=True) == [soonest, yearly]
    assert await queue.schedule_count() == 2


async def test_a_schedule_of_which_only_the_key_is_known_is_listed_too(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    await redis.zadd(queue.keys.of("repeat"), {"fourth:::Africa/Accra:2 * * 4 * *": 259_202_000})
    assert await only(queue) == Schedule(
        key="fourth:::Africa/Accra:2 * * 4 * *",
        name="fourth",
        id=None,
        cron="2 * * 4 * *",
        tz="Africa/Accra",
        every=None,
        end_date=None,
        next=259_202_000,
    )


@pytest.mark.parametrize("job_id", [None, "mine"])
@pytest.mark.parametrize("by_key", [True, False])
async def test_a_removed_schedule_takes_its_run_along(
    queue: Queue, redis: redis_asyncio.Redis, job_id: str | None, by_key: bool
) -> None:
    options = {} if job_id is None else {"job_id": job_id}
    for _ in range(2):  # and can be added again
        job = await queue.add("report", {}, repeat=Repeat(every=HOUR), **options)
        assert [found.id for found in await pending(queue)] == [job.id]
        if by_key:
            assert await queue.remove_schedule(job.opts["repeat"]["key"])
        else:
            assert await queue.remove_schedule("report", Repeat(every=HOUR, job_id=job_id))
        assert await keys_of(queue, redis) == [queue.keys.of("id")]
    assert not await queue.remove_schedule(job.opts["repeat"]["key"])


@pytest.mark.parametrize("name", ["a:b", "a:b:c:d:e", "::"])
async def test_names_with_colons_do_no_harm(queue: Queue, redis: redis_asyncio.Redis, name: str) -> None:
    job = await queue.add(name, {}, repeat=Repeat(cron="0 0 1 1 *"), job_id="x:y")
    schedule = await only(queue)
    assert (schedule.name, schedule.id) == (name, "x:y")
    assert await queue.heal_schedules() == []
    assert await queue.remove_schedule(job.opts["repeat"]["key"])
    assert await keys_of(queue, redis) == [queue.keys.of("id")]


async def test_a_run_that_is_taken_is_followed_by_the_next(queue: Queue) -> None:
    first = await queue.add("report", {"n": 1}, repeat=Repeat(every=HOUR), attempts=2, remove_on_fail=True)
    taken = await take_early(queue, first.id)
    await queue.schedule_next(taken)
    (second,) = await pending(queue)
    assert second.opts["prevMillis"] == first.opts["prevMillis"] + 3_600_000
    assert second.opts["repeat"] == {**first.opts["repeat"], "count": 2}
    assert (second.name, second.data) == ("report", {"n": 1})
    assert (second.opts["attempts"], second.opts["removeOnFail"]) == (2, True)
    assert second.opts["jobId"] == second.id
    assert (await only(queue)).next == second.opts["prevMillis"]
    assert (await only(queue)).count == 2


async def test_a_run_that_is_tried_again_adds_no_second_one(queue: Queue) -> None:
    first = await queue.add("report", {}, repeat=Repeat(every=HOUR))
    taken = await take_early(queue, first.id)
    await asyncio.gather(*(queue.schedule_next(taken) for _ in range(5)))
    (second,) = await pending(queue)
    await queue.schedule_next(await take_early(queue, second.id))
    await queue.schedule_next(taken)
    (third,) = await pending(queue)
    assert third.opts["repeat"]["count"] == 3
    assert (await only(queue)).next == third.opts["prevMillis"]


async def test_a_limit_holds_also_when_early_runs_are_tried_again(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    job = await queue.add("report", {}, repeat=Repeat(every=HOUR, limit=3))
    taken = [await take_early(queue, job.id)]
    for _ in range(2):
        await queue.schedule_next(taken[-1])
        await complete(queue, taken[-1], keep=0)
        (following,) = await pending(queue)
        taken.append(await take_early(queue, following.id))
    await complete(queue, taken[-1], keep=0)
    with caplog.at_level(logging.INFO, "toril.queue"):
        for again in (taken[-1], *taken):
            await queue.schedule_next(again)
    assert await pending(queue) == []
    assert [row.msg for row in caplog.records] == ["schedule_ended"] * 2
    assert await queue.heal_schedules() == await queue.heal_schedules() == []
    assert await pending(queue) == []
    assert await queue.schedule_count() == 1  # as in Bull, it stays on the list


async def test_no_run_is_added_to_a_schedule_that_was_removed_meanwhile(queue: Queue) -> None:
    job = await queue.add("report", {}, repeat=Repeat(every=HOUR))
    taken = await take_early(queue, job.id)
    await queue.remove_schedule(job.opts["repeat"]["key"])
    await queue.schedule_next(taken)
    assert await pending(queue) == []
    assert await queue.schedule_count() == 0


async def test_runs_come_every_so_often_until_the_end(queue: Queue, redis: redis_asyncio.Redis) -> None:
    end = await now_ms(redis) + 1_000
    await queue.add("report", {}, repeat=Repeat(every=0.1, end_date=end))
    runs: list[Job[Any]] = []

    async def worked_off() -> bool:
        job = await take(queue)
        if job is not None:
            await queue.schedule_next(job)
            await complete(queue, job)
            runs.append(job)
        return not await pending(queue) and not await queue.get_waiting()

    await until(worked_off)
    times = [job.opts["prevMillis"] for job in runs]
    # Ten or eleven, unless this machine was too slow: what is missed is left out.
    assert 2 <= len(runs) <= 11
    assert all(before < after and after % 100 == 0 for before, after in pairwise(times))
    assert times[-1] <= end + 100
    assert all((job.processed_on or 0) >= due for job, due in zip(runs, times, strict=True))
    assert [job.opts["repeat"]["count"] for job in runs] == list(range(1, len(runs) + 1))


async def test_runs_that_nobody_worked_on_are_not_made_up_for(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    hours_ago = await now_ms(redis) // 3_600_000 * 3_600_000 - 7_200_000
    repeat = {"every": 3_600_000}
    overdue = Run(
        key="report:::3600000", name="report", data=b"{}", opts={}, repeat=repeat, count=1, due=hours_ago
    )
    await ScheduleStore(queue.scripts).arm("add", overdue)
    taken = await take(queue)
    assert taken is not None
    assert taken.opts["prevMillis"] == hours_ago
    await queue.schedule_next(taken)
    (following,) = await pending(queue)
    assert 0 < following.opts["prevMillis"] - (taken.processed_on or 0) <= 3_600_000
    assert following.opts["repeat"]["count"] == 2


async def test_a_run_coming_due_is_told(queue: Queue) -> None:
    told = asyncio.Event()
    queue.on("waiting", lambda job_id: told.set())
    await queue.subscriber.ready()
    await queue.add("report", {}, repeat=Repeat(every=0.05))

    async def came() -> bool:
        await queue.scripts.run("promote_delayed")
        return told.is_set()

    await until(came)


async def test_the_run_on_its_way_keeps_its_data_and_later_ones_get_the_new(queue: Queue) -> None:
    first = await queue.add("report", {"v": 1}, repeat=Repeat(every=HOUR, limit=5), attempts=2)
    await queue.add("report", {"v": 2}, repeat=Repeat(every=HOUR, limit=7), attempts=4)
    taken = await take_early(queue, first.id)
    assert (taken.data, taken.opts["attempts"]) == ({"v": 1}, 2)
    await queue.schedule_next(taken)
    (second,) = await pending(queue)
    assert (second.data, second.opts["attempts"]) == ({"v": 2}, 4)
    assert (second.opts["repeat"]["limit"], second.opts["repeat"]["count"]) == (7, 2)
    # A change by hand to the run on its way is carried on, as Bull does.
    await queue.actions.update_data(second.id, {"v": 3})
    await queue.schedule_next(await take_early(queue, second.id))
    (third,) = await pending(queue)
    assert third.data == {"v": 3}


async def test_each_run_expires_in_its_own_time(queue: Queue) -> None:
    first = await queue.add("report", {}, repeat=Repeat(every=HOUR), expires=60)
    assert first.opts["expiresAt"] == first.opts["prevMillis"] + 60_000
    await queue.schedule_next(await take_early(queue, first.id))
    (second,) = await pending(queue)
    assert second.opts["expiresAt"] == second.opts["prevMillis"] + 60_000


async def test_the_queues_default_options_count(server_url: str, prefix: str, queue_name: str) -> None:
    defaults = {"attempts": 3, "remove_on_complete": 10}
    async with Queue(queue_name, url=server_url, prefix=prefix, default_job_options=defaults) as queue:
        job = await queue.add("report", {}, repeat=Repeat(every=HOUR), attempts=7)
        assert (job.opts["attempts"], job.opts["removeOnComplete"]) == (7, 10)


async def test_a_deleted_run_is_replaced_at_the_second_look(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    job = await queue.add("report", {"v": 1}, repeat=Repeat(every=HOUR), attempts=2)
    await job.remove()
    assert await queue.heal_schedules() == []
    assert await queue.heal_schedules() == ["report:::3600000"]
    (again,) = await pending(queue)
    assert again.id == job.id
    assert (again.data, again.opts["attempts"], again.opts["repeat"]["count"]) == ({"v": 1}, 2, 2)
    assert await queue.heal_schedules() == []
    assert [row.msg.partition(":")[0] for row in caplog.records if row.levelno == logging.WARNING] == [
        "schedule_healed"
    ]


async def test_many_processes_that_heal_replace_a_run_once(
    queue: Queue, server_url: str, prefix: str
) -> None:
    others = [Queue(queue.name, url=server_url, prefix=prefix) for _ in range(5)]
    jobs = [await queue.add("report", {}, repeat=Repeat(every=HOUR), job_id=f"s{n}") for n in range(3)]
    await asyncio.gather(*(job.remove() for job in jobs))
    await asyncio.gather(*(q.heal_schedules() for q in others))
    healed = await asyncio.gather(*(q.heal_schedules() for q in others))
    assert sorted(key for keys in healed for key in keys) == sorted(job.opts["repeat"]["key"] for job in jobs)
    assert {job.id for job in await pending(queue)} == {job.id for job in jobs}
    await asyncio.gather(*(q.close() for q in others))


async def test_a_run_deleted_when_it_was_overdue_is_followed_by_a_later_one(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job = await queue.add("report", {}, repeat=Repeat(every=HOUR))
    await job.remove()
    key = job.opts["repeat"]["key"]
    await redis.zadd(queue.keys.of("repeat"), {key: job.opts["prevMillis"] - 7_200_000})
    await queue.heal_schedules()
    assert await queue.heal_schedules() == [key]
    (following,) = await pending(queue)
    assert following.opts["prevMillis"] == job.opts["prevMillis"]
    assert following.opts["repeat"]["count"] == 2


async def test_a_run_cancelled_before_its_time_is_skipped(queue: Queue) -> None:
    job = await queue.add("report", {}, repeat=Repeat(every=HOUR))
    await job.cancel()
    await queue.heal_schedules()
    assert await queue.heal_schedules() == ["report:::3600000"]
    (following,) = await pending(queue)
    assert following.opts["prevMillis"] == job.opts["prevMillis"] + 3_600_000
    assert following.opts["repeat"]["count"] == 2


async def test_nodes_schedule_is_healed_once_a_worker_of_ours_has_seen_it(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    repeat = {"every": 3_600_000, "count": 4}
    key = repeat_key("report", repeat)
    job = await queue.add("report", {"v": 1}, repeat=Repeat(every=HOUR, count=3))
    await redis.delete(queue.keys.of("toril:schedules"))  # what remains is as Node writes it
    await queue.heal_schedules()
    await job.remove()
    await queue.heal_schedules()
    assert await queue.heal_schedules() == [key]
    (again,) = await pending(queue)
    assert (again.id, again.data) == (job.id, {"v": 1})
    assert again.opts["repeat"] == {**job.opts["repeat"], "count": 5}


async def test_a_schedule_nothing_is_known_of_is_left_alone(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await redis.zadd(queue.keys.of("repeat"), {"report:::3600000": 1, "not a key at all": 2})
    for _ in range(3):
        assert await queue.heal_schedules() == []
    assert await pending(queue) == []


async def test_a_job_that_does_not_repeat_adds_nothing(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await queue.add("report", {})
    job = await take(queue)
    assert job is not None
    await queue.schedule_next(job)
    assert not await redis.exists(queue.keys.of("repeat"), queue.keys.of("delayed"))


@pytest.mark.parametrize(
    "repeat",
    [
        {"cron": "60 * * * *", "key": "report::::60 * * * *"},
        {"cron": "* * * * *", "every": 5, "key": "k"},
        {"key": "k"},
        {},
        {"every": 60_000, "endDate": "some day", "key": "k"},
    ],
)
async def test_options_of_nodes_that_cannot_be_read_are_reported_and_do_not_stop_the_job(
    queue: Queue, redis: redis_asyncio.Redis, caplog: pytest.LogCaptureFixture, repeat: dict[str, Any]
) -> None:
    errors: list[Exception] = []
    queue.on("error", errors.append)
    added = await queue.add("report", {})
    opts = json.dumps({"repeat": repeat, "prevMillis": 5, "timestamp": 1})
    await redis.hset(queue.keys.job(added.id), "opts", opts)
    job = await take(queue)
    assert job is not None
    await queue.schedule_next(job)
    assert [type(error) for error in errors] == [OptionError]
    assert any(row.msg.startswith("schedule_not_advanced") for row in caplog.records)
