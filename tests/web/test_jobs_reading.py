"""Reading jobs by HTTP: pages, single jobs, any id, logs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.queue_api import DATA, Api, client_of, escaped, module_api

from toril.db.models import Role
from toril.web.owners import note_owner

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api

JOBS = "/api/queues/sync/jobs"
RATES = {"type": "currency-rates", "data": {"baseCurrency": "SAR"}}


async def fill(api: Api, count: int, **options: Any) -> list[str]:
    """Empty the queue ``sync`` and add some jobs."""
    await api.service.queue("sync").obliterate(force=True)
    await api.service.resume_queue("sync")
    jobs = [{"data": RATES, "options": options} for _ in range(count)]
    return [job["jobId"] for job in await api.service.add_bulk_jobs("sync", jobs)]


async def test_all_queues_are_listed_with_their_counts(queue_api: Api) -> None:
    await fill(queue_api, 3)
    answer = await queue_api.call("GET", "/api/queues")
    assert answer["count"] == 6
    names = {stats["name"] for stats in answer["data"]}
    assert names == {"email", "pdf", "notification", "report", "cleanup", "sync"}
    sync = next(stats for stats in answer["data"] if stats["name"] == "sync")
    assert sync == {
        "name": "sync", "waiting": 3, "active": 0, "completed": 0, "failed": 0, "delayed": 0, "paused": 0,
    }  # fmt: skip
    assert (await queue_api.call("GET", "/api/queues/sync"))["data"] == sync
    counts = (await queue_api.call("GET", "/api/queues/sync/counts"))["data"]
    assert counts == {name: count for name, count in sync.items() if name != "name"}


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("", 0, 20),
        ("?start=2&end=4", 2, 4),
        ("?start=-3&end=-1", 22, 24),
        ("?start=20&end=99", 20, 24),
        ("?start=4&end=2", 0, -1),
        ("?start=99&end=120", 0, -1),
    ],
)
async def test_a_page_holds_both_its_ends(queue_api: Api, query: str, first: int, last: int) -> None:
    ids = await fill(queue_api, 25)
    answer = await queue_api.call("GET", JOBS + query)
    assert [job["jobId"] for job in answer["data"]] == ids[first : last + 1]
    assert answer["count"] == len(answer["data"])
    assert answer["total"] == 25


async def test_a_page_is_never_larger_than_200_jobs(queue_api: Api) -> None:
    ids = await fill(queue_api, 230)
    for query in ("?end=1000000", "?start=0&end=-1"):
        answer = await queue_api.call("GET", JOBS + query)
        assert [job["jobId"] for job in answer["data"]] == ids[:200]
        assert (answer["start"], answer["end"], answer["total"]) == (0, 199, 230)


async def test_each_state_has_its_jobs(queue_api: Api) -> None:
    a, b, c = await fill(queue_api, 3)
    (later,) = [job["jobId"] for job in [await queue_api.service.add_job("sync", RATES, {"delay": 60_000})]]
    await queue_api.fail(a, queue="sync")
    await queue_api.fail(b, queue="sync", state="completed")

    async def ids(status: str) -> list[str]:
        answer = await queue_api.call("GET", f"{JOBS}?status={status}")
        assert all(job["state"] == status for job in answer["data"])
        return [job["jobId"] for job in answer["data"]]

    assert await ids("failed") == [a]
    assert await ids("completed") == [b]
    assert await ids("waiting") == [c]
    assert await ids("delayed") == [later]
    assert await ids("active") == []
    await queue_api.call("POST", "/api/queues/sync/pause")
    assert await ids("paused") == [c]
    await queue_api.call("POST", "/api/queues/sync/resume")
    assert await ids("waiting") == [c]


async def test_the_status_of_a_job_has_all_that_is_known_of_it(queue_api: Api) -> None:
    (job_id,) = await fill(queue_api, 1)
    await queue_api.fail(job_id, queue="sync")
    status = (await queue_api.call("GET", f"{JOBS}/{job_id}"))["data"]
    assert status.keys() == {
        "jobId", "queueName", "state", "progress", "data", "options", "timestamp", "processedOn", "finishedOn",
        "failedReason", "returnValue", "attemptsMade", "stacktrace",
    }  # fmt: skip
    assert (status["jobId"], status["queueName"], status["state"]) == (job_id, "sync", "failed")
    assert status["data"] == RATES
    assert status["failedReason"] == "no luck"
    assert status["finishedOn"] - status["processedOn"] == 7


@pytest.mark.parametrize(
    "job_id",
    [
        *("a/b", "a:b:c", "a%2Fb", "/", "//a//", "%", "%2F/%2f", "a b+c?d#e"),
        *("وظيفة/٤١", "x/logs", "..", ".", "a&b=c;d", "q'\"<>"),
    ],
)
async def test_an_id_may_hold_any_characters(queue_api: Api, job_id: str) -> None:
    at = f"/api/queues/cleanup/jobs/{escaped(job_id).replace('.', '%2E')}"
    added = await queue_api.call(
        "POST", "/api/queues/cleanup/jobs", json={"data": DATA, "options": {"jobId": job_id}}
    )
    assert added["data"]["jobId"] == job_id
    assert (await queue_api.call("GET", at))["data"]["jobId"] == job_id
    assert (await queue_api.call("GET", f"{at}/logs"))["data"] == {"logs": [], "count": 0}
    await queue_api.fail(job_id)
    retried = await queue_api.call("POST", f"/api/queues/cleanup/retry/{escaped(job_id).replace('.', '%2E')}")
    assert retried["data"]["jobId"] == job_id
    assert (await queue_api.call("DELETE", at))["data"]["jobId"] == job_id
    assert (await queue_api.client.get(at)).status_code == 404


async def test_whom_a_job_was_added_for_may_read_it_without_being_an_administrator(queue_api: Api) -> None:
    mine, other = await fill(queue_api, 2)
    token = await queue_api.token(Role.STAFF)
    async with client_of(queue_api.app, token) as client:
        user = await queue_api.web.access.authenticate(token)
        await note_owner(queue_api.web.installation.database, user, "sync", mine)
        assert (await client.get(f"{JOBS}/{mine}")).json()["data"]["jobId"] == mine
        for job_id in (other, "nobody"):
            assert (await client.get(f"{JOBS}/{job_id}")).status_code == 403
        assert (await client.delete(f"{JOBS}/{mine}")).status_code == 403


async def test_a_log_is_read_in_pages(queue_api: Api) -> None:
    (job_id,) = await fill(queue_api, 1)
    job = await queue_api.service.queue("sync").get_job(job_id)
    assert job is not None
    for number in range(5):
        await job.log(f"row {number}")
    at = f"{JOBS}/{job_id}/logs"
    assert (await queue_api.call("GET", at))["data"] == {"logs": [f"row {n}" for n in range(5)], "count": 5}
    assert (await queue_api.call("GET", f"{at}?start=1&end=2"))["data"]["logs"] == ["row 1", "row 2"]
    assert (await queue_api.call("GET", f"{at}?start=-2"))["data"]["logs"] == ["row 3", "row 4"]


async def test_workers_are_listed(queue_api: Api) -> None:
    from toril.queues.registry import make_worker

    assert (await queue_api.call("GET", "/api/queues/cleanup/workers"))["data"] == []
    async with make_worker(queue_api.service.definitions["cleanup"], queue_api.service.queue("cleanup")):
        answer = await queue_api.call("GET", "/api/queues/cleanup/workers")
    assert answer["count"] == len(answer["data"]) >= 1
    assert answer["data"][0]["name"] == "cleanup"
