"""Adding what is there already: said so, and not taken for a new job; in the engine, the service and over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_schema import ApiSchema
from tests.support.queue_api import DATA, Api, client_of, module_api
from tests.web.endpoints import QUEUE, SCHEDULE

from toril.db.ids import new_id
from toril.db.models import Firm, Role, Session, User
from toril.db.types import utc_now
from toril.engine.queue import Queue

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api

JOBS = f"/api/queues/{QUEUE}/jobs"
OTHER = {"type": "sessions", "data": {}}


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def empty(queue_api: Api) -> None:
    await queue_api.service.queue(QUEUE).obliterate(force=True)
    await queue_api.service.resume_queue(QUEUE)


def queue_of(api: Api) -> Queue:
    return api.service.queue(QUEUE)


async def add(api: Api, body: Any, path: str = JOBS) -> tuple[int, Any]:
    response = await api.client.post(path, json=body)
    ApiSchema(api.app.openapi()).check("POST", path.replace(QUEUE, "{name}"), response)
    return response.status_code, response.json()["data"]


async def test_a_job_whose_id_is_there_is_told_as_it_is(queue_api: Api) -> None:
    body = {"data": DATA, "options": {"jobId": "mine", "attempts": 7}}
    status, new = await add(queue_api, body)
    assert (status, "existed" in new) == (201, False)
    status, again = await add(queue_api, {"data": OTHER, "options": {"jobId": "mine"}})
    assert (status, again["existed"], again["jobId"]) == (200, True, "mine")
    assert again["data"] == DATA, "what is there, and not what was sent"
    assert again["options"]["attempts"] == 7
    assert (await queue_api.service.get_job_counts(QUEUE))["waiting"] == 1


async def test_a_job_that_has_ended_is_there_until_it_is_trimmed(queue_api: Api) -> None:
    body = {"data": DATA, "options": {"jobId": "mine"}}
    await add(queue_api, body)
    await queue_api.fail("mine", state="completed")
    assert (await add(queue_api, body))[0] == 200
    await queue_of(queue_api).actions.remove("mine")
    assert (await add(queue_api, body))[0] == 201


async def test_of_many_adds_of_one_id_one_adds_it(queue_api: Api) -> None:
    body = {"data": DATA, "options": {"jobId": "one"}}
    answers = await asyncio.gather(*(add(queue_api, body) for _ in range(20)))
    assert sorted(status for status, _ in answers) == [*[200] * 19, 201]
    assert sum("existed" in told for _, told in answers) == 19


async def test_of_a_bulk_each_is_told_for_itself(queue_api: Api) -> None:
    await add(queue_api, {"data": DATA, "options": {"jobId": "a"}})
    jobs = [{"data": OTHER, "options": {"jobId": each}} for each in ("b", "a", "c", "b")]
    status, told = await add(queue_api, {"jobs": jobs}, f"{JOBS}/bulk")
    assert status == 201, "some are new"
    assert [each["jobId"] for each in told] == ["b", "a", "c", "b"]
    assert ["existed" in each for each in told] == [False, True, False, True]
    assert [each["data"] for each in told] == [OTHER, DATA, OTHER, OTHER]
    status, told = await add(queue_api, {"jobs": jobs}, f"{JOBS}/bulk")
    assert (status, ["existed" in each for each in told]) == (200, [True] * 4)


async def test_a_job_that_is_debounced_is_told_as_the_one_that_waits(queue_api: Api) -> None:
    options = {"debounce": {"id": "d", "ttl": 60_000}}
    _, first = await add(queue_api, {"data": DATA, "options": options})
    status, second = await add(queue_api, {"data": OTHER, "options": options})
    assert (status, second["existed"], second["jobId"], second["data"]) == (200, True, first["jobId"], DATA)


async def test_a_schedule_that_is_there_is_a_200_with_its_new_data(queue_api: Api) -> None:
    path = f"/api/queues/{QUEUE}/schedules"
    status, new = await add(queue_api, SCHEDULE, path)
    assert (status, "existed" in new) == (201, False)
    status, again = await add(queue_api, {**SCHEDULE, "data": OTHER}, path)
    assert (status, again["existed"], again["data"]) == (200, True, OTHER)
    [schedule] = (await queue_api.call("GET", path))["data"]
    assert schedule["data"] == OTHER


async def test_a_firm_learns_nothing_of_another_firms_job_that_was_quicker(
    queue_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    firms = [Firm(id=new_id(), name_ar="م", name_en="F") for _ in range(2)]
    user = User(id=new_id(), email=f"{new_id()}@f.example", name="S", role=Role.ADMIN, firm_id=firms[0].id)
    begun = Session(
        id=new_id(), user_id=user.id, token_hash=new_id(), expires_at=utc_now().replace(year=2100)
    )
    async with queue_api.web.installation.database.session() as session:
        for row in (*firms, user, begun):
            session.add(row)
            await session.flush()
    theirs = {"type": "custom", "data": {"html": "<p>theirs</p>", "firmId": firms[1].id}}
    pdf, looked = queue_api.service.queue("pdf"), Queue.read_jobs
    job_id = f"race-{new_id()}"

    async def looks_before(queue: Queue, ids: list[str]) -> list[Any]:
        found = await looked(queue, ids)
        if found == [None] and ids == [job_id]:
            await pdf.add("__default__", theirs, job_id=job_id)  # between the look and the add
        return found

    monkeypatch.setattr(Queue, "read_jobs", looks_before)
    body = {"data": {"type": "custom", "data": {"html": "<p>own</p>"}}, "options": {"jobId": job_id}}
    async with client_of(queue_api.app, queue_api.web.access.tokens.issue(user.id, begun.id)) as client:
        for path, sent in (("jobs", body), ("jobs/bulk", {"jobs": [body]})):
            response = await client.post(f"/api/queues/pdf/{path}", json=sent)
            assert (response.status_code, response.json()["error"]["code"]) == (409, "job_id_taken")
            assert "theirs" not in response.text
            await pdf.actions.remove(job_id)


async def test_the_engine_tells_which_jobs_were_there(queue_api: Api) -> None:
    queue = queue_of(queue_api)
    jobs = await asyncio.gather(
        queue.add("__default__", DATA),
        queue.add("__default__", DATA, job_id="a"),
        queue.add_bulk([("__default__", DATA), ("__default__", DATA, {"job_id": "a"})]),
        queue.add("__default__", DATA, job_id="a"),
        queue.add_bulk([("__default__", DATA, {"job_id": f"n{n % 900}"}) for n in range(1800)]),
    )
    plain, first, (other, second), third, many = jobs
    assert [job.existed for job in (plain, first, other, second, third)] == [False, False, False, True, True]
    assert [job.existed for job in many] == [False] * 900 + [True] * 900
    assert not (await queue.get_job("a") or plain).existed
