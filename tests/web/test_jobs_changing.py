"""Adding, retrying, removing and otherwise changing jobs by HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from tests.support.queue_api import DATA, Api, module_api

from toril.engine.worker import Worker
from toril.web import queue_panel
from toril.web.routes import queues_control

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api

QUEUE = "/api/queues/cleanup"
JOBS = f"{QUEUE}/jobs"


async def refusal(api: Api, status: int, method: str, path: str, **request: Any) -> dict[str, Any]:
    """The error of a request that is refused."""
    response = await api.client.request(method, path, **request)
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    return error


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def empty(queue_api: Api) -> None:
    """Nothing in the queue when a test begins."""
    await queue_api.service.queue("cleanup").obliterate(force=True)
    await queue_api.service.resume_queue("cleanup")


async def test_a_job_is_added_with_its_options(queue_api: Api) -> None:
    options = {"priority": 3, "attempts": 5, "backoff": {"type": "fixed", "delay": 1500}, "delay": 60_000}
    added = await queue_api.call("POST", JOBS, json={"data": DATA, "options": options})
    job = added["data"]
    assert job["queueName"] == "cleanup"
    assert job["data"] == DATA
    assert job["options"].items() >= options.items()
    assert job["jobId"].startswith("cleanup-")
    status = (await queue_api.call("GET", f"{JOBS}/{job['jobId']}"))["data"]
    assert status["state"] == "delayed"
    assert status["options"].items() >= options.items()


async def test_the_same_id_again_adds_no_other_job(queue_api: Api) -> None:
    body = {"data": DATA, "options": {"jobId": "mine"}}
    for _ in range(2):
        assert (await queue_api.call("POST", JOBS, json=body))["data"]["jobId"] == "mine"
    assert (await queue_api.call("GET", f"{QUEUE}/counts"))["data"]["waiting"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"data": {"type": "temp-files", "data": {"maxAgeHours": "long"}}}, "maxAgeHours"),
        ({"data": {"type": "temp-files", "data": {"maxAge": 1}}}, "maxAge"),
        ({"data": {"type": "no such type"}}, "type"),
        ({"data": {"data": {}}}, "type"),
        ({"data": DATA, "options": {"atempts": 3}}, "options"),
        ({"data": DATA, "options": {"attempts": 101}}, "options.attempts"),
        ({"data": DATA, "options": {"backoff": {"type": "fixed", "delay": 10**12}}}, "options.backoff.delay"),
        ({"data": DATA, "options": {"repeat": {"every": 10}}}, "options.repeat.every"),
        ({"data": DATA, "options": {"jobId": "wait"}}, "options"),
        ({"data": DATA, "options": {"prevMillis": 5}}, "options.prevMillis"),
    ],
)
async def test_a_job_that_does_not_fit_is_refused_with_the_field(
    queue_api: Api, body: dict[str, Any], field: str
) -> None:
    assert (await refusal(queue_api, 400, "POST", JOBS, json=body))["details"][0]["field"] == field
    error = await refusal(queue_api, 400, "POST", f"{JOBS}/bulk", json={"jobs": [{"data": DATA}, body]})
    assert error["details"][0]["field"] == f"jobs.1.{field}"
    assert sum((await queue_api.service.get_job_counts("cleanup")).values()) == 0


async def test_many_jobs_are_added_in_order(queue_api: Api) -> None:
    jobs = [{"data": DATA, "options": {"jobId": f"job-{n}"}} for n in range(1000)]
    answer = await queue_api.call("POST", f"{JOBS}/bulk", json={"jobs": jobs})
    assert answer["count"] == 1000
    assert [job["jobId"] for job in answer["data"]] == [f"job-{n}" for n in range(1000)]
    page = await queue_api.call("GET", f"{JOBS}?start=998&end=999")
    assert [job["jobId"] for job in page["data"]] == ["job-998", "job-999"]


async def test_only_a_failed_job_is_retried(queue_api: Api) -> None:
    (job_id,) = await queue_api.add()
    assert (await refusal(queue_api, 409, "POST", f"{QUEUE}/retry/{job_id}"))["code"] == "job_state"
    await queue_api.fail(job_id)
    await queue_api.call("POST", f"{QUEUE}/retry/{job_id}")
    assert (await queue_api.call("GET", f"{JOBS}/{job_id}"))["data"]["state"] == "waiting"


async def test_all_failed_jobs_are_retried(queue_api: Api) -> None:
    ids = await queue_api.add(30)
    await queue_api.fail(*ids)
    answer = await queue_api.call("POST", f"{QUEUE}/retry-all")
    assert answer["data"] == {"count": 30, "finished": True}
    counts = await queue_api.service.get_job_counts("cleanup")
    assert (counts["waiting"], counts["failed"]) == (30, 0)


async def test_a_job_that_a_worker_holds_stays_until_it_is_cancelled(queue_api: Api) -> None:
    began = asyncio.Event()

    async def wait(_: Any) -> None:
        began.set()
        await asyncio.Event().wait()

    queue = queue_api.service.queue("cleanup")
    (job_id,) = await queue_api.add()
    async with Worker("cleanup", wait, url=str(queue_api.web.settings.redis_url), prefix=queue.keys.prefix):
        await began.wait()
        assert (await refusal(queue_api, 409, "DELETE", f"{JOBS}/{job_id}"))["code"] == "job_locked"
        removed = await queue_api.call("POST", f"{JOBS}/remove", json={"ids": [job_id, "nobody"]})
        assert removed["removed"] == 0
        codes = {each["jobId"]: each["error"]["code"] for each in removed["data"]}
        assert codes == {job_id: "job_locked", "nobody": "job_not_found"}
        await queue_api.call("POST", f"{JOBS}/{job_id}/cancel")
        job = await queue.get_job(job_id)
        assert job is not None
        with pytest.raises(Exception, match="cancelled"):
            await job.result(timeout=60)
    assert (await refusal(queue_api, 409, "POST", f"{JOBS}/{job_id}/cancel"))["code"] == "job_state"
    await queue_api.call("DELETE", f"{JOBS}/{job_id}")


async def test_a_waiting_job_that_is_cancelled_fails_at_once(queue_api: Api) -> None:
    (job_id,) = await queue_api.add()
    await queue_api.call("POST", f"{JOBS}/{job_id}/cancel")
    status = (await queue_api.call("GET", f"{JOBS}/{job_id}"))["data"]
    assert (status["state"], status["failedReason"]) == ("failed", "cancelled")


async def test_many_jobs_are_removed_and_each_outcome_told(queue_api: Api) -> None:
    ids = await queue_api.add(120)
    answer = await queue_api.call("POST", f"{JOBS}/remove", json={"ids": [*ids[:100], "nobody", ids[0]]})
    assert (answer["count"], answer["removed"]) == (101, 100)
    assert answer["data"][0] == {"jobId": ids[0], "done": True}
    assert (await queue_api.service.get_job_counts("cleanup"))["waiting"] == 20


async def test_a_delayed_job_is_promoted(queue_api: Api) -> None:
    (job_id,) = await queue_api.add(delay=60_000)
    await queue_api.call("POST", f"{JOBS}/{job_id}/promote")
    assert (await queue_api.call("GET", f"{JOBS}/{job_id}"))["data"]["state"] == "waiting"
    assert (await refusal(queue_api, 409, "POST", f"{JOBS}/{job_id}/promote"))["code"] == "job_state"


async def test_data_is_replaced_if_it_fits(queue_api: Api) -> None:
    (job_id,) = await queue_api.add()
    better = {"type": "old-logs", "data": {"retentionDays": 7}}
    await queue_api.call("PUT", f"{JOBS}/{job_id}/data", json={"data": better})
    assert (await queue_api.call("GET", f"{JOBS}/{job_id}"))["data"]["data"] == better
    worse = {"type": "old-logs", "data": {"retentionDays": "x"}}
    error = await refusal(queue_api, 400, "PUT", f"{JOBS}/{job_id}/data", json={"data": worse})
    assert error["details"][0]["field"] == "retentionDays"
    assert (await queue_api.call("GET", f"{JOBS}/{job_id}"))["data"]["data"] == better


async def test_a_queue_is_cleaned_of_jobs_past_their_grace(queue_api: Api) -> None:
    ids = await queue_api.add(5)
    await queue_api.fail(*ids, state="completed")
    kept = await queue_api.call(
        "POST", f"{QUEUE}/clean", json={"gracePeriod": 86_400_000, "type": "completed"}
    )
    assert kept["data"]["count"] == 0
    ask, keys = queue_api.service.queue("cleanup").scripts.ask, queue_api.service.queue("cleanup").keys
    for job_id in ids[:3]:
        await ask("HSET", keys.job(job_id), "finishedOn", 5)
        await ask("ZADD", keys.of("completed"), 5, job_id)
    gone = await queue_api.call("POST", f"{QUEUE}/clean", json={"gracePeriod": 86_400_000, "limit": 2})
    assert (gone["data"]["count"], gone["data"]["finished"]) == (2, True)
    gone = await queue_api.call("POST", f"{QUEUE}/clean")
    assert gone["data"]["count"] == 1
    assert (await queue_api.service.get_job_counts("cleanup"))["completed"] == 2


async def test_empty_leaves_what_has_finished(queue_api: Api) -> None:
    ids = await queue_api.add(3)
    await queue_api.add(2, delay=60_000)
    await queue_api.fail(ids[0])
    answer = await queue_api.call("POST", f"{QUEUE}/empty")
    assert answer["data"] == {"count": 4, "finished": True}
    counts = await queue_api.service.get_job_counts("cleanup")
    assert counts == {"waiting": 0, "active": 0, "completed": 0, "failed": 1, "delayed": 0, "paused": 0}


async def test_obliterate_wants_the_name_and_deletes_everything(queue_api: Api) -> None:
    await queue_api.add(5)
    error = await refusal(queue_api, 400, "POST", f"{QUEUE}/obliterate", json={"confirm": "clean"})
    assert error["code"] == "not_confirmed"
    assert (await queue_api.service.get_job_counts("cleanup"))["waiting"] == 5
    answer = await queue_api.call("POST", f"{QUEUE}/obliterate", json={"confirm": "cleanup"})
    assert answer["data"] == {"count": 5, "finished": True}
    assert sum((await queue_api.service.get_job_counts("cleanup")).values()) == 0


async def test_what_takes_too_long_says_so_and_goes_on_with_the_next_call(
    queue_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await queue_api.add(40)
    await queue_api.fail(*ids[:20])
    calls: list[tuple[str, Any]] = [
        ("clean", {"gracePeriod": 0, "type": "waiting"}),
        ("empty", None),
        ("obliterate", {"confirm": "cleanup"}),
    ]
    with monkeypatch.context() as no_time:
        no_time.setattr(queue_panel, "WORKS_FOR", 0.0)
        no_time.setattr(queues_control, "WORKS_FOR", 0.0)
        for path, body in calls:
            answer = await queue_api.call("POST", f"{QUEUE}/{path}", json=body)
            assert answer["data"]["finished"] is False, path
    for path, body in (*calls[:1], ("retry-all", None)):
        answer = await queue_api.call("POST", f"{QUEUE}/{path}", json=body)
        assert answer["data"]["finished"] is True
    # What was interrupted took all waiting jobs or none; those that had failed are there in any case.
    assert sum((await queue_api.service.get_job_counts("cleanup")).values()) in (20, 40)


async def test_a_queue_that_is_empty_tells_that_it_is_paused(queue_api: Api) -> None:
    for verb, paused in (("pause", True), ("resume", False)):
        await queue_api.call("POST", f"{QUEUE}/{verb}")
        assert (await queue_api.call("GET", QUEUE))["isPaused"] is paused
