"""Adding: what is accepted, what is refused and that nothing is added then, and how adds go together."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.servers import RedisServer

from toril.engine.backoff import Backoff
from toril.engine.options import Debounce, JobOptions, Keep
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.errors import DataError, OptionError, QueueStateError, QueueUnavailableError


async def test_a_job_reads_back_as_it_was_added(queue: Queue) -> None:
    data = {"text": "مرحبا 🐂", "big": 2**53, "small": 0.1, "none": None, "list": [True, [{}]]}
    job = await queue.add("greet", data, attempts=3, backoff=Backoff.fixed(1), priority=2)
    read = await queue.get_job(job.id)
    assert read is not None
    assert (read.name, read.data, read.opts, read.timestamp) == ("greet", data, job.opts, job.timestamp)
    assert read.options == JobOptions(
        attempts=3,
        backoff=Backoff.fixed(1.0),
        priority=2,
        delay=0.0,
        timestamp=datetime.fromtimestamp((job.timestamp or 0) / 1000, UTC),
    )
    assert read.to_dict() == job.to_dict()


@pytest.mark.parametrize(
    ("arguments", "name", "data"),
    [
        (({"a": 1},), "__default__", {"a": 1}),
        (([1],), "__default__", [1]),
        (("greet",), "greet", {}),
        (("greet", None), "greet", None),
        (("greet", 0), "greet", 0),
        (("greet", "text"), "greet", "text"),
    ],
)
async def test_the_name_may_be_left_out(queue: Queue, arguments: Any, name: str, data: Any) -> None:
    job = await queue.add(*arguments)
    read = await queue.get_job(job.id)
    assert read is not None
    assert (read.name, read.data) == (name, data)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (("n", object()), {}, DataError, "data is not JSON"),
        (("n", {"a": float("nan")}), {}, DataError, r"data\.a is NaN"),
        (("n", "x" * 2000), {}, DataError, "more than the 1,000 allowed"),
        (("n", {}), {"delay": -1}, OptionError, "delay must be at least 0"),
        (("n", {}), {"dely": 1}, OptionError, "did you mean 'delay'"),
        (("n", {}), {"job_id": "wait"}, OptionError, "reserved"),
        (("n", {}), {"job_id": "x:lock"}, OptionError, "ends like"),
        (("n", {}), {"priority": "high"}, OptionError, "priority must be a whole number"),
        (("", {}), {}, OptionError, "name must be a text"),
        ((7, {}), {}, OptionError, "name must be a text"),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_added(
    server_url: str, prefix: str, arguments: Any, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    async with Queue("q", url=server_url, prefix=prefix, max_data_bytes=1000) as queue:
        with pytest.raises(error, match=says):
            await queue.add(*arguments, **options)
        with pytest.raises(error, match=says):
            await queue.add_bulk([("good", {}), (*arguments, options)])
        assert await queue.count() == 0


async def test_defaults_are_merged_under_a_jobs_own_options(server_url: str, prefix: str) -> None:
    defaults = {"remove_on_complete": True, "remove_on_fail": False, "attempts": 4, "backoff": 2}
    async with Queue("q", url=server_url, prefix=prefix, default_job_options=defaults) as queue:
        job = await queue.add("n", {}, remove_on_fail=True, attempts=1)
        assert job.opts == {
            "attempts": 1, "delay": 0, "timestamp": job.timestamp, "removeOnComplete": True, "removeOnFail": True,
            "backoff": {"type": "fixed", "delay": 2000},
        }  # fmt: skip
        (bulk,) = await queue.add_bulk([("n", {}, {"remove_on_complete": Keep(count=5)})])
        assert (bulk.opts["removeOnComplete"], bulk.opts["removeOnFail"]) == ({"count": 5}, False)


@pytest.mark.parametrize("name", ["job_id", "repeat", "debounce"])
def test_defaults_cannot_hold_what_belongs_to_one_job(name: str) -> None:
    value = {"job_id": "a", "repeat": Repeat(every=1), "debounce": Debounce("a")}[name]
    with pytest.raises(OptionError, match="belongs to one job"):
        Queue("q", url="redis://x", default_job_options={name: value})


async def test_concurrent_adds_share_calls_and_keep_their_order(
    start_server: Any, prefix: str, queue_name: str
) -> None:
    with RedisServer() as server:
        async with Queue(queue_name, url=server.url, prefix=prefix) as queue:
            await queue.add("first", {})
            with server.client() as client:
                client.config_resetstat()
                jobs = await asyncio.gather(*(queue.add("n", number) for number in range(500)))
                calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
            assert calls <= 5
            assert [job.id for job in jobs] == [str(number) for number in range(2, 502)]
            waiting = await queue.get_jobs("waiting", asc=True)
            assert [job.data for job in waiting[1:]] == list(range(500))


async def test_one_bad_add_does_not_harm_those_it_is_sent_with(queue: Queue) -> None:
    results = await asyncio.gather(
        queue.add("n", 1), queue.add("n", object()), queue.add("n", 2), return_exceptions=True
    )
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    assert await queue.count() == 2


async def test_a_duplicate_changes_nothing_and_is_told(queue: Queue) -> None:
    told: list[str] = []
    queue.on("duplicated", told.append)
    await queue.subscriber.ready()
    first = await queue.add("n", {"first": True}, job_id="only")
    second = await queue.add("n", {"second": True}, job_id="only")
    assert first.id == second.id == "only"
    read = await queue.get_job("only")
    assert read is not None
    assert read.data == {"first": True}
    assert await queue.count() == 1
    async with asyncio.timeout(60):
        while not told:  # noqa: ASYNC110 - the message is on its way
            await asyncio.sleep(0.005)
    assert told == ["only"]


async def test_a_closed_queue_takes_nothing(server_url: str, prefix: str) -> None:
    queue = Queue("q", url=server_url, prefix=prefix)
    await queue.add("n", {})
    await queue.close()
    await queue.close()
    with pytest.raises(QueueUnavailableError, match="closed"):
        await queue.add("n", {})


async def test_foreign_keys_are_named_in_the_error(queue: Queue, redis: redis_asyncio.Redis) -> None:
    await redis.set(queue.keys.of("wait"), "not a list")
    with pytest.raises(QueueStateError, match="holds another type"):
        await queue.add("n", {})


async def test_a_million_characters_and_a_large_bulk_go_through(queue: Queue) -> None:
    job = await queue.add("n", "ض" * 1_000_000)
    read = await queue.get_job(job.id)
    assert read is not None
    assert read.data == "ض" * 1_000_000
    jobs = await queue.add_bulk(("n", {"number": number}) for number in range(12_345))
    assert len({job.id for job in jobs}) == 12_345
    assert await queue.count() == 12_346


async def test_a_prefix_in_braces_keeps_all_keys_in_one_slot(
    server_url: str, redis: redis_asyncio.Redis, prefix: str
) -> None:
    tag = f"{{{prefix}}}"
    async with Queue("q", url=server_url, prefix=tag) as queue:
        await queue.add("n", {}, priority=1)
        await queue.add("n", {}, delay=60)
        await queue.add("n", {}, debounce=Debounce("d"))
    keys = [key async for key in redis.scan_iter(match=f"*{prefix}*")]
    assert len(keys) >= 6
    assert all(key.startswith(tag) for key in keys)
