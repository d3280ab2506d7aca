"""Values at the edge of what a queue takes: the longest wait, no time at all, half a character, null and NaN."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from tests.support.steps import complete, take
from tests.support.until import until

from toril.engine import codec
from toril.engine.backoff import Backoff
from toril.engine.encoding import OptionEncoder
from toril.engine.job import Job
from toril.engine.options import JobOptions
from toril.engine.queue import Queue
from toril.engine.search import find_jobs
from toril.engine.worker import Worker
from toril.errors import DataError, JobFailedError, OptionError


@dataclass
class Point:
    x: float
    y: Any = None


@pytest.mark.parametrize(("answer", "state"), [(math.inf, "delayed"), (math.nan, "failed")])
async def test_a_backoff_that_is_no_number_of_milliseconds_counts_a_failure_once(
    queue: Queue, answer: float, state: str
) -> None:
    async def work(job: Job[Any]) -> None:
        raise ValueError("no luck")

    job = await queue.add("n", {}, attempts=3, backoff=Backoff.custom("odd"))
    async with Worker(queue, work, backoff_strategies={"odd": lambda *_: answer}, stalled_interval=0):

        async def there() -> bool:
            return await job.state() == state

        await until(there, within_s=60)
    found = await queue.get_job(job.id)
    assert found is not None
    assert (found.attempts_made, len(found.stacktrace)) == (1, 1)


async def test_no_time_to_wait_is_time_to_look(queue: Queue) -> None:
    done, waiting = await queue.add("n", {}), await queue.add("n", {})
    await take(queue)
    with pytest.raises(TimeoutError):
        await done.result(timeout=0)
    await complete(queue, done.id, {"ok": 1})
    assert await done.result(timeout=0) == {"ok": 1}
    await waiting.cancel()
    with pytest.raises(JobFailedError):
        await waiting.result(timeout=0)


async def test_half_a_character_is_looked_for_as_node_writes_it(
    queue: Queue, redis: redis_asyncio.Redis
) -> None:
    job = await queue.add("n", {})
    assert (await find_jobs(queue, "a\ud800")).jobs == []
    await redis.hset(queue.keys.job(job.id), "data", '"A\\uD800b"')
    assert [found.id for _, found in (await find_jobs(queue, "a\ud800")).jobs] == [job.id]


@pytest.mark.parametrize(
    ("value", "spot"),
    [
        (Point(math.nan), "data.x"),
        ([Point(1.0, {"z": [math.inf]})], r"data\[0\].y.z\[0\]"),
        ({"a": None, "b": -math.inf}, "data.b"),
    ],
)
def test_what_json_cannot_say_is_refused_inside_dataclasses_too(value: Any, spot: str) -> None:
    with pytest.raises(DataError, match=f"^{spot} is NaN"):
        codec.encode(value)
    assert codec.encode([Point(1.0), None, "NaN null"]) == b'[{"x":1.0,"y":null},null,"NaN null"]'


def test_a_word_or_a_none_costs_no_walk_over_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = []
    monkeypatch.setattr(codec, "_not_a_number", lambda *_: walked.append(1))
    codec.encode([{"text": "null and void", "none": None}] * 20_000)
    assert walked == []


def test_options_that_are_true_or_false_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = OptionEncoder({})
    made = encoder.encode({"remove_on_complete": True})
    checked = []
    monkeypatch.setattr(JobOptions, "from_dict", lambda raw: checked.append(raw))
    assert encoder.encode({"remove_on_complete": True}) is made
    assert checked == []
    monkeypatch.undo()
    assert encoder.encode({"remove_on_complete": 1})[1] == {"removeOnComplete": 1}
    encoder.encode({"attempts": 1})
    with pytest.raises(OptionError):
        encoder.encode({"attempts": True})
