"""arm_schedule, check_schedules and remove_schedule against a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.until import until

from toril.engine.connection import Connection
from toril.engine.keys import QueueKeys
from toril.engine.scripts.runner import ScriptRunner
from toril.engine.server import Server

KEY = "report:::60000"
PREFIX = "repeat:0123456789abcdef0123456789abcdef:"
#: A data text that no JSON library would write like this.
DATA = '{"b" : 1.0, "a":[1e3,"\\u00e9"] , "n":123456789012345678901234567890}'


class Scripts:
    """The three scripts with arguments by name."""

    def __init__(self, runner: ScriptRunner) -> None:
        self.runner, self.keys = runner, runner.keys

    async def arm(
        self,
        why: str,
        due: int,
        *,
        since: int | str = "",
        source: str = "",
        data: str = '{"v":1}',
        priority: str = "0",
        count: int = 1,
        template: str = '{"repeat":{"every":60000}}',
    ) -> tuple[int, str, int, int]:
        opts = {
            "attempts": 1,
            "repeat": {"every": 60000, "count": count, "key": KEY},
            "jobId": f"{PREFIX}{due}",
            "prevMillis": due,
        }
        head = json.dumps(opts)[:-1]
        code, job_id, armed, delay, _ = await self.runner.run(
            "arm_schedule",
            why,
            KEY,
            PREFIX,
            due,
            since,
            source,
            "report",
            data,
            head,
            priority,
            count,
            template,
        )
        return int(code), job_id.decode(), int(armed or 0), int(delay)

    async def check(self, key: str = KEY, prefix: str = PREFIX, tidy: int = 1) -> list[str]:
        reply = await self.runner.run("check_schedules", tidy, key, prefix)
        return [part.decode() for part in reply]

    async def remove(self, key: str = KEY, prefix: str = PREFIX) -> tuple[int, str]:
        removed, job_id = await self.runner.run("remove_schedule", key, prefix)
        return int(removed), job_id.decode()


class Look:
    """What lies in the queue's keys."""

    def __init__(self, redis: redis_asyncio.Redis, keys: QueueKeys) -> None:
        self.redis, self.keys = redis, keys

    async def all_keys(self) -> list[str]:
        """Keys of the queue, apart from what remembers calls."""
        keys = await self.redis.keys(f"{self.keys.base}:*")
        return [key for key in keys if not key.startswith(self.keys.of("toril:answers:"))]

    async def job(self, job_id: str) -> dict[str, str]:
        return dict(await self.redis.hgetall(self.keys.job(job_id)))

    async def opts(self, job_id: str) -> dict[str, Any]:
        return dict(json.loads((await self.job(job_id))["opts"]))

    async def delayed(self) -> list[str]:
        return list(await self.redis.zrange(self.keys.of("delayed"), 0, -1))

    async def waiting(self, where: str = "wait") -> list[str]:
        return list(await self.redis.lrange(self.keys.of(where), 0, -1))

    async def next_run(self) -> float | None:
        score = await self.redis.zscore(self.keys.of("repeat"), KEY)
        return None if score is None else float(score)

    async def template(self, key: str = KEY) -> dict[str, Any] | None:
        text = await self.redis.hget(self.keys.of("toril:schedules"), key)
        return None if text is None else dict(json.loads(text))

    async def take(self, job_id: str) -> None:
        """Make a run active, as if a worker had it."""
        await self.redis.zrem(self.keys.of("delayed"), job_id)
        await self.redis.lpush(self.keys.of("active"), job_id)
        await self.redis.hset(self.keys.job(job_id), mapping={"delay": "0", "processedOn": "1"})
        await self.redis.set(self.keys.lock(job_id), "w")

    async def finish(self, job_id: str) -> None:
        await self.redis.lrem(self.keys.of("active"), 0, job_id)
        await self.redis.delete(self.keys.lock(job_id))
        await self.redis.hset(self.keys.job(job_id), "finishedOn", "2")
        await self.redis.zadd(self.keys.of("completed"), {job_id: 2})


@pytest.fixture
async def scripts(server_url: str, prefix: str, queue_name: str) -> AsyncIterator[Scripts]:
    connection = Connection(Server(server_url))
    yield Scripts(ScriptRunner(connection, QueueKeys(queue_name, prefix), "me"))
    await connection.close()


@pytest.fixture
def look(redis: redis_asyncio.Redis, scripts: Scripts) -> Look:
    return Look(redis, scripts.keys)


@pytest.fixture
async def soon(redis: redis_asyncio.Redis) -> int:
    """A time a minute from now by the server's clock, ms."""
    seconds, _ = await redis.time()
    return int(seconds) * 1000 + 60_000


@pytest.fixture
async def messages(redis: redis_asyncio.Redis, scripts: Scripts) -> AsyncIterator[list[tuple[str, str]]]:
    """(channel without the queue's part, payload) of all that is published."""
    heard: list[tuple[str, str]] = []
    async with redis.pubsub() as pubsub:
        await pubsub.psubscribe(f"{scripts.keys.base}:*")
        assert (await pubsub.get_message(timeout=5))["type"] == "psubscribe"

        async def read() -> None:
            async for message in pubsub.listen():
                channel = message["channel"].removeprefix(f"{scripts.keys.base}:")
                heard.append((channel, message["data"]))

        task = asyncio.create_task(read())
        yield heard
        task.cancel()
        await asyncio.wait([task])


async def arrived(messages: list[tuple[str, str]], *expected: tuple[str, str]) -> None:
    async def all_there() -> bool:
        return len(messages) >= len(expected)

    await until(all_there)
    assert messages == list(expected)


async def test_the_first_run_is_a_delayed_job_as_bull_stores_it(
    scripts: Scripts, look: Look, soon: int, messages: list[tuple[str, str]]
) -> None:
    code, job_id, due, delay = await scripts.arm("add", soon, data=DATA)
    assert (code, job_id, due) == (1, f"{PREFIX}{soon}", soon)
    assert 50_000 < delay <= 60_000
    job = await look.job(job_id)
    stamp = int(job["timestamp"])
    assert stamp + delay == soon
    assert job == {
        "name": "report",
        "data": DATA,
        "timestamp": str(stamp),
        "delay": str(delay),
        "priority": "0",
        "opts": job["opts"],
    }
    assert await look.opts(job_id) == {
        "attempts": 1,
        "repeat": {"every": 60000, "count": 1, "key": KEY},
        "jobId": job_id,
        "prevMillis": soon,
        "delay": delay,
        "timestamp": stamp,
    }
    assert await look.redis.zscore(look.keys.of("delayed"), job_id) == soon * 4096 + 1
    assert await look.next_run() == soon
    assert await look.redis.get(look.keys.of("id")) == "1"
    await arrived(messages, ("delayed", str(soon)))


async def test_what_later_runs_are_made_from_is_remembered(scripts: Scripts, look: Look, soon: int) -> None:
    _, job_id, _, _ = await scripts.arm("add", soon, data=DATA, count=3)
    assert await look.template() == {
        "at": int((await look.job(job_id))["timestamp"]),
        "count": 3,
        "prefix": PREFIX,
        "name": "report",
        "data": DATA,
        "opts": '{"repeat":{"every":60000}}',
    }


async def test_a_schedule_added_again_keeps_its_run_and_remembers_the_new_data(
    scripts: Scripts, look: Look, soon: int, messages: list[tuple[str, str]]
) -> None:
    await scripts.arm("add", soon, data='{"v":1}', count=4)
    before = await look.job(f"{PREFIX}{soon}")
    for due in (soon, soon + 60_000):
        assert await scripts.arm("add", due, data='{"v":2}', count=1) == (0, f"{PREFIX}{soon}", soon, 0)
    assert await look.job(f"{PREFIX}{soon}") == before
    assert await look.delayed() == [f"{PREFIX}{soon}"]
    assert await look.next_run() == soon
    template = await look.template() or {}
    assert (template["data"], template["count"]) == ('{"v":2}', 4)
    assert await look.redis.get(look.keys.of("id")) == "3"
    await arrived(messages, ("delayed", str(soon)), *[("duplicated@me", f"{PREFIX}{soon}")] * 2)


async def test_a_schedule_added_while_its_run_is_overdue_gets_no_second_one(
    scripts: Scripts, look: Look, soon: int
) -> None:
    late = soon - 120_000
    assert (await scripts.arm("add", late))[0] == 1
    assert (await scripts.arm("add", soon))[:2] == (0, f"{PREFIX}{late}")
    await look.redis.rpop(look.keys.of("wait"))
    await look.take(f"{PREFIX}{late}")
    assert (await scripts.arm("add", soon))[:2] == (0, f"{PREFIX}{late}")


async def test_a_schedule_that_had_ended_starts_again_when_added(
    scripts: Scripts, look: Look, soon: int
) -> None:
    await scripts.arm("add", soon)
    await look.take(f"{PREFIX}{soon}")
    await look.finish(f"{PREFIX}{soon}")
    assert (await scripts.arm("add", soon + 60_000))[:2] == (1, f"{PREFIX}{soon + 60_000}")
    assert (await look.opts(f"{PREFIX}{soon + 60_000}"))["repeat"]["count"] == 1


async def test_an_id_that_is_taken_is_not_written_over(
    scripts: Scripts, look: Look, soon: int, messages: list[tuple[str, str]]
) -> None:
    await look.redis.hset(look.keys.job(f"{PREFIX}{soon}"), mapping={"opts": "{}", "finishedOn": "5"})
    assert (await scripts.arm("add", soon))[0] == 0
    assert await look.job(f"{PREFIX}{soon}") == {"opts": "{}", "finishedOn": "5"}
    assert await look.delayed() == []
    await arrived(messages, ("duplicated@me", f"{PREFIX}{soon}"))


@pytest.mark.parametrize(("paused", "where"), [(False, "wait"), (True, "paused")])
async def test_a_run_whose_time_has_come_waits_at_once(
    scripts: Scripts, look: Look, soon: int, messages: list[tuple[str, str]], paused: bool, where: str
) -> None:
    if paused:
        await look.redis.set(look.keys.of("meta-paused"), 1)
    late = soon - 60_001
    code, job_id, _, delay = await scripts.arm("add", late)
    assert (code, delay) == (1, 0)
    assert await look.waiting(where) == [job_id]
    assert (await look.opts(job_id))["delay"] == 0
    assert await look.delayed() == []
    await arrived(messages, ("waiting@me", job_id))


async def test_a_run_whose_time_has_come_waits_by_its_priority(
    scripts: Scripts, look: Look, soon: int
) -> None:
    await look.redis.lpush(look.keys.of("wait"), "plain")
    _, job_id, _, _ = await scripts.arm("add", soon - 61_000, priority="3")
    assert await look.waiting() == ["plain", job_id]
    assert await look.redis.zscore(look.keys.of("priority"), job_id) == 3


async def test_the_run_after_one_that_was_taken_has_its_data_to_the_byte(
    scripts: Scripts, look: Look, soon: int
) -> None:
    _, first, _, _ = await scripts.arm("add", soon, data=DATA)
    await look.take(first)
    after = soon + 60_000
    code, second, _, _ = await scripts.arm("next", after, since=soon, source=first, data="", count=2)
    assert (code, second) == (1, f"{PREFIX}{after}")
    assert (await look.job(second))["data"] == DATA
    assert await look.next_run() == after
    assert (await look.template() or {})["count"] == 2


async def test_a_run_taken_twice_adds_one_run(scripts: Scripts, look: Look, soon: int) -> None:
    _, first, _, _ = await scripts.arm("add", soon)
    await look.take(first)
    after = soon + 60_000
    replies = [await scripts.arm("next", after, since=soon, source=first, data="") for _ in range(3)]
    assert [reply[:2] for reply in replies] == [(1, f"{PREFIX}{after}")] + [(0, f"{PREFIX}{after}")] * 2
    # Nor does one that is taken again much later, when its schedule has a later run on its way.
    later = soon + 600_000
    assert (await scripts.arm("next", later, since=soon, source=first, data=""))[:2] == (
        0,
        f"{PREFIX}{after}",
    )
    assert await look.delayed() == [f"{PREFIX}{after}"]


async def test_a_run_taken_again_replaces_a_later_one_that_got_lost(
    scripts: Scripts, look: Look, soon: int
) -> None:
    _, first, _, _ = await scripts.arm("add", soon)
    await look.take(first)
    after = soon + 60_000
    await scripts.arm("next", after, since=soon, source=first, data="")
    await look.redis.delete(look.keys.of("delayed"), look.keys.job(f"{PREFIX}{after}"))
    assert (await scripts.arm("next", after, since=soon, source=first, data=""))[0] == 1
    assert await look.delayed() == [f"{PREFIX}{after}"]


async def test_a_schedule_removed_meanwhile_gets_no_further_run(
    scripts: Scripts, look: Look, soon: int
) -> None:
    _, first, _, _ = await scripts.arm("add", soon)
    await look.take(first)
    await scripts.remove()
    assert (await scripts.arm("next", soon + 60_000, since=soon, source=first, data=""))[0] == -1
    assert (await scripts.arm("heal", soon + 60_000, since=soon))[0] == -1
    assert await look.next_run() is None
    assert await look.delayed() == []
    assert await look.template() is None


async def test_a_run_deleted_after_it_was_taken_leaves_its_schedule_to_be_healed(
    scripts: Scripts, look: Look, soon: int
) -> None:
    _, first, _, _ = await scripts.arm("add", soon)
    await look.take(first)
    await look.redis.delete(look.keys.job(first))
    assert (await scripts.arm("next", soon + 60_000, since=soon, source=first, data=""))[0] == -2
    assert await look.next_run() == soon
    assert await scripts.check() == [KEY, str(soon), PREFIX, "none"]


async def test_a_deleted_run_is_replaced_once_however_many_try(
    scripts: Scripts, look: Look, soon: int
) -> None:
    await scripts.arm("add", soon)
    await look.redis.delete(look.keys.of("delayed"), look.keys.job(f"{PREFIX}{soon}"))
    after = soon + 60_000
    replies = await asyncio.gather(*(scripts.arm("heal", after, since=soon, count=2) for _ in range(8)))
    assert sorted(reply[0] for reply in replies) == [0] * 7 + [1]
    assert await look.delayed() == [f"{PREFIX}{after}"]
    assert await look.next_run() == after


async def test_a_schedule_that_went_on_is_not_healed(scripts: Scripts, look: Look, soon: int) -> None:
    await scripts.arm("add", soon)
    assert (await scripts.arm("heal", soon + 60_000, since=soon))[0] == 0  # its run is there
    await look.redis.zadd(look.keys.of("repeat"), {KEY: soon + 1})
    assert (await scripts.arm("heal", soon + 60_000, since=soon))[0] == 0  # somebody moved it
    assert await look.delayed() == [f"{PREFIX}{soon}"]


@pytest.mark.parametrize("why", ["heal", "add"])
async def test_what_nodes_empty_leaves_of_a_run_does_not_block_the_schedule(
    scripts: Scripts, look: Look, soon: int, why: str
) -> None:
    await scripts.arm("add", soon)
    await look.redis.delete(look.keys.of("delayed"))
    assert await scripts.check() == [KEY, str(soon), PREFIX, "lost"]
    assert (await scripts.arm(why, soon, since=soon, data='{"v":2}'))[0] == 1
    assert await look.delayed() == [f"{PREFIX}{soon}"]
    assert (await look.job(f"{PREFIX}{soon}"))["data"] == '{"v":2}'


async def test_a_run_on_its_way_is_no_loss_in_whatever_place(scripts: Scripts, look: Look, soon: int) -> None:
    job_id = f"{PREFIX}{soon}"
    await scripts.arm("add", soon)
    assert await scripts.check() == []  # delayed
    await look.redis.zrem(look.keys.of("delayed"), job_id)
    await look.redis.hset(look.keys.job(job_id), "delay", 0)
    await look.redis.lpush(look.keys.of("wait"), job_id)
    assert await scripts.check() == []  # promoted
    await look.redis.delete(look.keys.of("wait"))
    await look.take(job_id)
    assert await scripts.check() == []  # running
    await look.finish(job_id)
    assert await scripts.check() == [KEY, str(soon), PREFIX, "over"]  # over, and nothing follows


async def test_the_check_learns_what_nodes_runs_are_made_from(
    scripts: Scripts, look: Look, soon: int
) -> None:
    opts = json.dumps({"repeat": {"every": 60000, "count": 7, "key": KEY}, "attempts": 2})
    for made, data in ((1_000, '{"v":1}'), (2_000, '{"v":2}')):
        run = {"name": "report", "data": data, "opts": opts, "timestamp": str(made), "delay": "5"}
        await look.redis.hset(look.keys.job(f"{PREFIX}{soon}"), mapping=run)
        await look.redis.zadd(look.keys.of("delayed"), {f"{PREFIX}{soon}": soon * 4096})
        await look.redis.zadd(look.keys.of("repeat"), {KEY: soon})
        assert await scripts.check() == []
        assert await look.template() == {
            "at": made,
            "count": 7,
            "prefix": PREFIX,
            "name": "report",
            "data": data,
            "opts": opts,
        }


@pytest.mark.parametrize("opts", ["no json", "[]", '{"repeat":5}', '{"repeat":{"count":"x"}}'])
async def test_options_that_cannot_be_read_do_not_stop_the_check(
    scripts: Scripts, look: Look, soon: int, opts: str
) -> None:
    run = {"name": "report", "data": "{}", "opts": opts, "timestamp": "1", "delay": "5"}
    await look.redis.hset(look.keys.job(f"{PREFIX}{soon}"), mapping=run)
    await look.redis.zadd(look.keys.of("delayed"), {f"{PREFIX}{soon}": soon * 4096})
    await look.redis.zadd(look.keys.of("repeat"), {KEY: soon})
    assert await scripts.check() == []
    assert (await look.template() or {})["count"] == 0


async def test_the_check_forgets_schedules_that_node_removed(scripts: Scripts, look: Look, soon: int) -> None:
    await scripts.arm("add", soon)
    await look.redis.zrem(look.keys.of("repeat"), KEY)
    assert await scripts.check(tidy=0) == []
    assert await look.template() is not None
    assert await scripts.check() == []
    assert await look.template() is None


async def test_removing_takes_the_next_run_along(scripts: Scripts, look: Look, soon: int) -> None:
    await scripts.arm("add", soon)
    await look.redis.rpush(look.keys.logs(f"{PREFIX}{soon}"), "row")
    # The remembered prefix is right where the key does not tell it.
    assert await scripts.remove(prefix="repeat:wrong:") == (1, f"{PREFIX}{soon}")
    assert await look.all_keys() == [look.keys.of("id")]
    assert await scripts.remove() == (0, "")


async def test_removing_takes_a_run_along_that_is_due_and_waits(
    scripts: Scripts, look: Look, soon: int
) -> None:
    _, job_id, _, _ = await scripts.arm("add", soon - 61_000, priority="2")
    assert await scripts.remove() == (1, job_id)
    assert await look.all_keys() == [look.keys.of("id")]


async def test_removing_leaves_a_run_alone_that_is_running_or_over(
    scripts: Scripts, look: Look, soon: int
) -> None:
    _, job_id, _, _ = await scripts.arm("add", soon)
    await look.take(job_id)
    assert await scripts.remove() == (1, "")
    assert await look.job(job_id) != {}
    await look.finish(job_id)
    await look.redis.zadd(look.keys.of("repeat"), {KEY: soon})
    assert await scripts.remove() == (1, "")
    assert await look.job(job_id) != {}


async def test_removing_frees_the_place_of_a_run_that_the_limiter_holds_back(
    scripts: Scripts, look: Look, soon: int
) -> None:
    _, job_id, _, _ = await scripts.arm("add", soon)
    parked = look.keys.of("limiter:limited")
    await look.redis.sadd(parked, job_id)
    await look.redis.hset(look.keys.of("limiter:index"), job_id, parked)
    assert await scripts.remove() == (1, job_id)
    assert await look.redis.exists(parked, look.keys.of("limiter:index")) == 0
