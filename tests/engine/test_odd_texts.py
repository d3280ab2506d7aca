"""Texts that cannot be sent, and others that look as if: an error for the caller, and harm for nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from toril.engine.job import Job
from toril.engine.options import Debounce
from toril.engine.queue import Queue
from toril.engine.repeat import Repeat
from toril.engine.worker import Worker
from toril.errors import OptionError, UnrecoverableError

HALF = "half \ud800 a pair"
WITHIN = 60.0


async def test_a_text_that_cannot_be_sent_does_not_mix_up_the_answers(queue: Queue) -> None:
    job = await queue.add("n", {})
    calls: list[Any] = [
        lambda: job.log(HALF),
        lambda: queue.state(HALF),
        lambda: queue.remove_schedule(HALF),
        lambda: queue.remove_debounce_key(HALF),
        lambda: queue.remove_jobs(HALF),
        lambda: queue.logs(HALF),
    ]
    assert await queue.get_job(HALF) is None
    for call in calls:
        with pytest.raises(OptionError, match="surrogate"):
            await asyncio.wait_for(call(), WITHIN)
        assert await asyncio.wait_for(queue.count(), WITHIN) == 1


@pytest.mark.parametrize(
    ("name", "data", "options"),
    [
        pytest.param(HALF, {}, {}, id="name"),
        pytest.param("n", {HALF: 1}, {}, id="data"),
        pytest.param("n", HALF, {}, id="data as text"),
        pytest.param("n", {}, {"debounce": Debounce(HALF)}, id="debounce id"),
        pytest.param("n", {}, {"job_id": HALF}, id="job id"),
        pytest.param(HALF, {}, {"repeat": Repeat(every=60)}, id="name of a schedule"),
        pytest.param("n", {}, {"repeat": Repeat(every=60), "job_id": HALF}, id="id of a schedule"),
    ],
)
async def test_a_bad_job_does_not_spoil_those_added_with_it(
    queue: Queue, name: str, data: Any, options: Any
) -> None:
    before, bad, after = await asyncio.wait_for(
        asyncio.gather(
            queue.add("n", "before"),
            queue.add(name, data, **options),
            queue.add("n", "after"),
            return_exceptions=True,
        ),
        WITHIN,
    )
    assert isinstance(bad, OptionError)
    assert isinstance(before, Job)
    assert isinstance(after, Job)
    assert [job.data for job in await queue.get_waiting()] == ["before", "after"]


@pytest.mark.parametrize(
    "text",
    ["\x00", "a\nb", "*?[a]", "{x}:y", "日本語 🐂", "\u202e", "a" * 100_000],
    ids=lambda text: ascii(text)[:20],
)
async def test_names_data_and_reasons_of_any_text_come_back(queue: Queue, text: str) -> None:
    async def work(job: Job[Any]) -> Any:
        if job.attempts_made == 0:
            raise ValueError(job.name)
        return {"data": job.data, "name": job.name}

    async with Worker(queue, work, stalled_interval=0, grace=0.1):
        job = await queue.add(text, text, attempts=2)
        assert await job.result(WITHIN) == {"data": text, "name": text}
        await job.log(text)
    assert await queue.logs(job.id) == ([text], 1)
    again = await queue.get_job(job.id)
    assert again is not None
    assert again.failed_reason == text[:4_000]


@pytest.mark.parametrize("reason", [HALF, "\x00", ""], ids=ascii)
async def test_any_reason_can_be_stored(queue: Queue, reason: str) -> None:
    async def work(job: Job[Any]) -> None:
        raise UnrecoverableError(reason)

    async with Worker(queue, work, stalled_interval=0, grace=0.1):
        job = await queue.add("n", {})
        good = await queue.add("n", {})
        for each in (job, good):
            with pytest.raises(Exception, match=r"^"):
                await each.result(WITHIN)
    failed = await queue.get_failed()
    assert len(failed) == 2


@pytest.mark.parametrize("value", [HALF, {"a": float("nan")}, float("inf"), {1}, b"bytes", 10**30], ids=ascii)
async def test_a_result_that_is_not_json_fails_its_job_alone(queue: Queue, value: Any) -> None:
    async def work(job: Job[Any]) -> Any:
        return value if job.data == "bad" else "good"

    async with Worker(queue, work, concurrency=2, stalled_interval=0, grace=0.1):
        bad, good = await queue.add_bulk([("n", "bad"), ("n", "good")])
        assert await good.result(WITHIN) == "good"
        with pytest.raises(Exception, match="the result"):
            await bad.result(WITHIN)
