"""Schedules, dead letters and metrics by HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.queue_api import DATA, Api, escaped, module_api
from tests.support.until import until
from tests.web.endpoints import dead

from toril.engine.worker import Worker
from toril.errors import UnrecoverableError

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api

QUEUE = "/api/queues/cleanup"
SCHEDULES = f"{QUEUE}/schedules"
NIGHTLY = {"repeat": {"cron": "0 2 * * *", "tz": "Asia/Riyadh"}, "jobId": "nightly"}


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def empty(queue_api: Api) -> AsyncIterator[None]:
    """Nothing in the queue, and no letters, when a test begins."""
    for queue in (queue_api.service.queue("cleanup"), queue_api.service.dead_letters.queue):
        await queue.obliterate(force=True)
        await queue.resume()
    yield


async def schedules(api: Api) -> list[dict[str, Any]]:
    answer = await api.call("GET", SCHEDULES)
    assert answer["count"] == answer["total"] == len(answer["data"])
    found: list[dict[str, Any]] = answer["data"]
    return found


async def test_a_schedule_is_added_and_listed(queue_api: Api) -> None:
    added = await queue_api.call("POST", SCHEDULES, json={"data": DATA, "options": NIGHTLY})
    (schedule,) = await schedules(queue_api)
    assert schedule["cron"] == "0 2 * * *"
    assert schedule["tz"] == "Asia/Riyadh"
    assert schedule["id"] == "nightly"
    assert schedule["data"] == DATA
    assert schedule["every"] is None
    run = (await queue_api.call("GET", f"{QUEUE}/jobs/{escaped(added['data']['jobId'])}"))["data"]
    assert run["state"] == "delayed"
    assert run["options"]["prevMillis"] == schedule["next"]


async def test_a_schedule_is_replaced(queue_api: Api) -> None:
    await queue_api.call("POST", SCHEDULES, json={"data": DATA, "options": NIGHTLY})
    (before,) = await schedules(queue_api)
    changed = {"data": {**DATA, "data": {"maxAgeHours": 48}}, "options": NIGHTLY}
    await queue_api.call("PUT", f"{SCHEDULES}/{escaped(before['key'])}", json=changed)
    (after,) = await schedules(queue_api)
    assert after["key"] == before["key"]
    assert after["data"]["data"] == {"maxAgeHours": 48}

    hourly = {"data": DATA, "options": {"repeat": {"every": 3_600_000}, "jobId": "hourly"}}
    await queue_api.call("PUT", f"{SCHEDULES}/{escaped(before['key'])}", json=hourly)
    (after,) = await schedules(queue_api)
    assert (after["every"], after["cron"], after["id"]) == (3_600_000, None, "hourly")
    assert (await queue_api.service.get_job_counts("cleanup"))["delayed"] == 1


async def test_a_schedule_ends_with_its_next_run(queue_api: Api) -> None:
    await queue_api.call("POST", SCHEDULES, json={"data": DATA, "options": NIGHTLY})
    (schedule,) = await schedules(queue_api)
    await queue_api.call("DELETE", f"{SCHEDULES}/{escaped(schedule['key'])}")
    assert await schedules(queue_api) == []
    assert (await queue_api.service.get_job_counts("cleanup"))["delayed"] == 0


async def test_dead_letters_are_read_retried_and_thrown_away(queue_api: Api) -> None:
    letters = "/api/queues/dead-letters"
    first, second, third = [(await dead(queue_api))["letter_id"] for _ in range(3)]
    answer = await queue_api.call("GET", f"{letters}?start=0&end=1")
    assert (answer["count"], answer["total"]) == (2, 3)
    assert [escaped(letter["id"]) for letter in answer["data"]] == [third, second]
    letter = (await queue_api.call("GET", f"{letters}/{first}"))["data"]
    assert (letter["queue"], letter["failedReason"], letter["data"]) == ("cleanup", "no luck", DATA)

    retried = await queue_api.call("POST", f"{letters}/{first}/retry")
    status = await queue_api.call("GET", f"{QUEUE}/jobs/{retried['data']['jobId']}")
    assert status["data"]["state"] == "waiting"
    await queue_api.call("DELETE", f"{letters}/{second}")
    answer = await queue_api.call("POST", f"{letters}/retry-all")
    assert answer["data"] == {"count": 1, "finished": True}
    assert answer["refused"] == []
    assert (await queue_api.call("GET", letters))["total"] == 0
    assert (await queue_api.service.get_job_counts("cleanup"))["waiting"] == 2


async def test_metrics_tell_how_many_jobs_and_how_long_they_took(queue_api: Api) -> None:
    async def work(job: Any) -> None:
        if job.data.get("fails"):
            raise UnrecoverableError("no luck")

    queue = queue_api.service.queue("cleanup")
    url, prefix = str(queue_api.web.settings.redis_url), queue.keys.prefix
    await queue.add_bulk([("__default__", {"fails": n % 10 == 0}) for n in range(40)])
    async with Worker("cleanup", work, url=url, prefix=prefix, metrics=60):
        await until(lambda: _ended(queue_api, 40), within_s=60)
    metrics = (await queue_api.call("GET", f"{QUEUE}/metrics?minutes=5"))["data"]
    assert (metrics["completedInAll"], metrics["failedInAll"]) == (36, 4)
    assert len(metrics["perMinute"]["completed"]) <= 5
    for part in ("latency", "runTime"):
        times = metrics[part]
        assert times["jobs"] == 40
        assert 0 <= times["p50"] <= times["p95"] <= times["p99"]


async def test_percentiles_are_of_the_times_that_jobs_keep(queue_api: Api) -> None:
    ids = await queue_api.add(100)
    await queue_api.fail(*ids, state="completed")
    queue = queue_api.service.queue("cleanup")
    for number, job_id in enumerate(ids, 1):
        times = ("timestamp", 1000, "processedOn", 1000 + number, "finishedOn", 1000 + number + 10 * number)
        await queue.scripts.ask("HSET", queue.keys.job(job_id), *times)
    metrics = (await queue_api.call("GET", f"{QUEUE}/metrics"))["data"]
    assert metrics["latency"] == {"p50": 50, "p95": 95, "p99": 99, "jobs": 100}
    assert metrics["runTime"] == {"p50": 500, "p95": 950, "p99": 990, "jobs": 100}


async def _ended(api: Api, count: int) -> bool:
    counts = await api.service.get_job_counts("cleanup")
    return counts["completed"] + counts["failed"] == count
