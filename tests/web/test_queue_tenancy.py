"""Queues that several firms share: an administrator of one firm sees, adds and changes that firm's jobs only."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.support.queue_api import DATA, client_of, end_job, escaped, open_api, served
from tests.support.web_people import Office, open_office
from tests.web.endpoints import ENDPOINTS, Endpoint

from toril.engine.repeat import Repeat
from toril.queues.registry import make_worker

#: In the data and the results of the other firm's jobs, and nowhere else.
SECRET = "Cedar4711"
QUEUE = "report"
JOBS = f"/api/queues/{QUEUE}/jobs"
EVERY_HOUR = {"every": 3_600_000}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    start_server: Any, tmp_path_factory: pytest.TempPathFactory, firm_home: Path
) -> AsyncIterator[Office]:
    home = tmp_path_factory.mktemp("tenancy") / "home"
    shutil.copytree(firm_home, home)
    url = start_server("valkey").url
    async with open_api(url, "tenancy", home) as api, open_office(api) as opened:
        yield opened


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def empty(office: Office) -> None:
    """Nothing in the queues when a test begins."""
    service = office.api.service
    for queue in (service.queue(QUEUE), service.queue("pdf"), service.dead_letters.queue):
        await queue.obliterate(force=True)
        await queue.resume()


def aging(firm_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "client-aging", "data": {"firmId": firm_id, **more}}


async def a_job_in_each_state(office: Office, firm_id: str) -> list[str]:
    """Jobs of a firm, with the secret in their data; their ids, which begin with their state."""
    queue = office.api.service.queue(QUEUE)
    ids = []
    for state in ("waiting", "delayed", "failed", "completed"):
        job_id = f"{state}-{firm_id}"
        delay = 3600 if state == "delayed" else 0
        await queue.add("__default__", aging(firm_id, note=SECRET), job_id=job_id, delay=delay)
        await queue.actions.add_log(job_id, SECRET)
        if state in ("failed", "completed"):
            await end_job(office.api.service, QUEUE, job_id, state)
        ids.append(job_id)
    return ids


async def a_schedule(office: Office, firm_id: str) -> str:
    queue = office.api.service.queue(QUEUE)
    data = aging(firm_id, note=SECRET)
    await queue.add("__default__", data, repeat=Repeat(every=3600), job_id=f"hourly-{firm_id}")
    return f"__default__:hourly-{firm_id}::3600000"


async def a_letter(office: Office, firm_id: str) -> str:
    letter = {
        "queue": QUEUE, "jobId": f"dead-{firm_id}", "name": "__default__", "data": aging(firm_id, note=SECRET),
        "opts": {"attempts": 1}, "failedReason": SECRET, "stacktrace": [], "attemptsMade": 1, "stalledCounter": 0,
        "timestamp": 1, "processedOn": 2, "failedAt": 3, "unreadable": [],
    }  # fmt: skip
    queue = office.api.service.dead_letters.queue
    return (await queue.add("__default__", letter, job_id=f"1:{QUEUE}:dead-{firm_id}")).id


async def kept(office: Office) -> dict[str, Any]:
    """All that the server has of the queues."""
    queue = office.api.service.queue(QUEUE)
    ask, found = queue.scripts.ask, {}
    for key in await ask("KEYS", "tenancy:*"):
        kind = await ask("TYPE", key)
        if kind == b"hash":
            found[key] = sorted((await ask("HGETALL", key))[::1])
        elif kind == b"zset":
            found[key] = await ask("ZRANGE", key, 0, -1, "WITHSCORES")
        elif kind == b"list":
            found[key] = await ask("LRANGE", key, 0, -1)
    return found


#: The stream has a test of its own, as it has no end.
WITH_AN_END = [endpoint for endpoint in ENDPOINTS if not endpoint.path.endswith("/events")]


@pytest.mark.parametrize("endpoint", WITH_AN_END, ids=str)
async def test_no_endpoint_shows_or_changes_another_firms_jobs(office: Office, endpoint: Endpoint) -> None:
    ids = await a_job_in_each_state(office, office.firm_id)
    key, letter = await a_schedule(office, office.firm_id), await a_letter(office, office.firm_id)
    before = await kept(office)
    foreign = aging(office.firm_id)
    repeat = {"repeat": EVERY_HOUR, "jobId": f"hourly-{office.firm_id}"}
    bodies: list[Any] = [
        endpoint.body,
        {"data": foreign},
        {"jobs": [{"data": foreign}]},
        {"data": foreign, "options": repeat},
        {"ids": ids},
        {"queue": QUEUE},
        {"confirm": QUEUE, "force": True},
        {"gracePeriod": 0, "type": "failed"},
    ]
    queries = [
        "",
        f"q={SECRET}",
        *(f"status={state}" for state in ("waiting", "delayed", "failed", "completed")),
    ]
    for job_id in ids:
        url = endpoint.url(
            name=QUEUE, job_id=escaped(job_id), key=escaped(key), letter_id=escaped(letter)
        ).partition("?")[0]
        for sent in [{"json": body} for body in bodies if body is not None] if endpoint.changes else [{}]:
            for query in queries if not endpoint.changes else [""]:
                params = f"{endpoint.query}&{query}".strip("&")
                answer = await office.manager.request(endpoint.method, f"{url}?{params}", **sent)
                assert answer.status_code < 500, answer.text
                assert SECRET not in answer.text, f"{url}?{params}"
                if "{job_id}" in endpoint.path or "{key}" in endpoint.path or "{letter_id}" in endpoint.path:
                    assert answer.status_code in (400, 403, 404), answer.text
                elif "jobs/remove" not in url:
                    assert job_id not in answer.text
    assert await kept(office) == before


async def test_a_firms_administrator_works_with_the_firms_own_jobs(office: Office) -> None:
    own, other = (
        await a_job_in_each_state(office, office.other_firm_id),
        await a_job_in_each_state(office, office.firm_id),
    )
    waiting, delayed, failed, completed = own
    for state, job_id in zip(("waiting", "delayed", "failed", "completed"), own, strict=True):
        page = (await office.manager.get(f"{JOBS}?status={state}")).json()
        assert ([job["jobId"] for job in page["data"]], page["total"], page["complete"]) == (
            [job_id],
            1,
            True,
        )
        last = (await office.manager.get(f"{JOBS}?status={state}&start=-1&end=-1")).json()
        assert [job["jobId"] for job in last["data"]] == [job_id]
        assert (await office.manager.get(f"{JOBS}/{job_id}")).json()["data"]["state"] == state
        assert (await office.manager.get(f"{JOBS}/{job_id}/logs")).json()["data"]["logs"] == [SECRET]
        file = (await office.manager.get(f"{JOBS}/export?status={state}&format=json")).json()
        assert [job["jobId"] for job in file["data"]] == [job_id]
    found = (await office.manager.get(f"{JOBS}/search?q={SECRET}")).json()
    assert {job["jobId"] for job in found["data"]} == set(own)
    assert (await office.manager.post(f"/api/queues/{QUEUE}/retry-all")).json()["data"]["count"] == 1
    counts = (await office.root.get(f"/api/queues/{QUEUE}/counts")).json()["data"]
    assert (counts["failed"], counts["waiting"]) == (1, 3), "the other firm's has stayed"
    assert (await office.manager.post(f"{JOBS}/{delayed}/promote")).status_code == 200
    assert (await office.manager.post(f"{JOBS}/{failed}/cancel")).status_code == 200
    assert (await office.manager.post(f"/api/queues/{QUEUE}/retry/{failed}")).status_code == 200
    better = {"data": aging(office.other_firm_id)}
    assert (await office.manager.put(f"{JOBS}/{waiting}/data", json=better)).status_code == 200
    gone = (await office.manager.post(f"{JOBS}/remove", json={"ids": [completed, *other]})).json()
    assert gone["removed"] == 1
    assert (await office.manager.delete(f"{JOBS}/{waiting}")).status_code == 200
    key = await a_schedule(office, office.other_firm_id)
    await a_schedule(office, office.firm_id)
    listed = (await office.manager.get(f"/api/queues/{QUEUE}/schedules")).json()
    assert ([each["key"] for each in listed["data"]], listed["total"]) == ([key], 1)
    assert (await office.manager.delete(f"/api/queues/{QUEUE}/schedules/{escaped(key)}")).status_code == 200
    letter = await a_letter(office, office.other_firm_id)
    await a_letter(office, office.firm_id)
    letters = (await office.manager.get("/api/queues/dead-letters")).json()
    assert ([each["id"] for each in letters["data"]], letters["total"]) == ([letter], 1)
    assert (await office.manager.post("/api/queues/dead-letters/retry-all")).json()["data"]["count"] == 1
    assert (await office.root.get("/api/queues/dead-letters")).json()["total"] == 1


async def test_what_a_firms_administrator_adds_is_the_firms(office: Office) -> None:
    own = office.other_firm_id
    for data in (
        aging(own),
        {"type": "client-aging", "data": {}},
        {"type": "client-aging", "data": {"firm_id": own}},
    ):
        added = await office.manager.post(JOBS, json={"data": data})
        assert added.status_code == 201, added.text
        assert added.json()["data"]["data"] == aging(own)
    bulk = await office.manager.post(
        f"{JOBS}/bulk", json={"jobs": [{"data": {"type": "client-aging", "data": {}}}]}
    )
    assert bulk.json()["data"][0]["data"] == aging(own)
    for name in ("firmId", "firm_id"):
        foreign = {"type": "client-aging", "data": {name: office.firm_id}}
        both = {"type": "client-aging", "data": {"firmId": own, name: office.firm_id}}
        for data in (foreign, both):
            assert (await office.manager.post(JOBS, json={"data": data})).status_code == 404
            jobs = {"jobs": [{"data": aging(own)}, {"data": data}]}
            assert (await office.manager.post(f"{JOBS}/bulk", json=jobs)).status_code == 404
            repeat = {"data": data, "options": {"repeat": EVERY_HOUR}}
            assert (
                await office.manager.post(f"/api/queues/{QUEUE}/schedules", json=repeat)
            ).status_code == 404
    assert (await office.manager.post("/api/queues/cleanup/jobs", json={"data": DATA})).status_code == 403
    assert (await office.root.get(f"/api/queues/{QUEUE}/counts")).json()["data"]["waiting"] == 4


async def test_no_firm_takes_an_id_that_another_firms_job_has(office: Office) -> None:
    ids = await a_job_in_each_state(office, office.firm_id)
    await a_schedule(office, office.firm_id)
    before = await kept(office)
    own = aging(office.other_firm_id)
    taken = {"data": own, "options": {"jobId": ids[0]}}
    repeat = {"data": own, "options": {"repeat": EVERY_HOUR, "jobId": f"hourly-{office.firm_id}"}}
    for path, body in [
        (JOBS, taken),
        (f"{JOBS}/bulk", {"jobs": [taken]}),
        (JOBS, repeat),
        (f"/api/queues/{QUEUE}/schedules", repeat),
    ]:
        assert (await office.manager.post(path, json=body)).status_code == 409, path
    assert await kept(office) == before
    debounced = {"debounce": {"id": "monthly", "ttl": 60_000}}
    for client, data in ((office.partner, aging(office.firm_id)), (office.manager, own)):
        added = (await client.post(JOBS, json={"data": data, "options": debounced})).json()["data"]
        assert (await client.get(f"{JOBS}/{added['jobId']}")).status_code == 200, "each has a job of its own"


async def test_the_data_of_a_job_that_has_ended_stays(office: Office) -> None:
    _, _, failed, completed = await a_job_in_each_state(office, office.firm_id)
    for job_id in (failed, completed):
        for client in (office.root, office.partner):
            edited = await client.put(f"{JOBS}/{job_id}/data", json={"data": aging(office.firm_id)})
            assert edited.status_code == 409, edited.text
    foreign = {"data": aging(office.other_firm_id)}
    assert (
        await office.partner.put(f"{JOBS}/waiting-{office.firm_id}/data", json=foreign)
    ).status_code == 404


async def test_a_file_is_of_the_firm_that_it_was_stored_for_whatever_the_data_says(office: Office) -> None:
    service = office.api.service
    added = await office.partner.post(
        "/api/queues/pdf/jobs", json={"data": {"type": "custom", "data": {"html": "<p>Hello</p>"}}}
    )
    job_id = added.json()["data"]["jobId"]
    job = await service.queue("pdf").get_job(job_id)
    assert job is not None
    async with make_worker(service.definitions["pdf"], service.queue("pdf")):
        await job.result(60)
    link = f"/api/files/of-job/pdf/{job_id}"
    assert (await office.partner.get(link)).status_code == 200
    await job.update(
        {"type": "custom", "data": {"html": "", "firmId": office.other_firm_id}}
    )  # as Node could
    assert (await office.manager.get(link)).status_code == 404


async def test_a_key_that_reads_queues_fetches_no_files(office: Office) -> None:
    client = client_of(office.api.app, await office.api.key("queues:read"))
    async with client:
        assert (await client.get("/api/files/of-job/pdf/any")).status_code == 403


async def test_what_concerns_all_firms_is_for_who_runs_the_installation(office: Office) -> None:
    for path, body in [
        ("pause", None),
        ("resume", None),
        ("empty", None),
        ("clean", {"gracePeriod": 0}),
        ("obliterate", {"confirm": QUEUE, "force": True}),
    ]:
        sent = {} if body is None else {"json": body}
        assert (await office.manager.post(f"/api/queues/{QUEUE}/{path}", **sent)).status_code == 403
        assert (await office.root.post(f"/api/queues/{QUEUE}/{path}", **sent)).status_code == 200
    await office.api.service.resume_queue(QUEUE)


async def test_a_stream_of_events_tells_of_the_firms_own_jobs(office: Office) -> None:
    token = office.manager.headers["authorization"]
    read = ""
    async with (
        served(office.api.app) as address,
        httpx.AsyncClient(timeout=20) as client,
        client.stream(
            "GET", f"{address}/api/queues/{QUEUE}/events", headers={"Authorization": token}
        ) as stream,
        asyncio.timeout(60),
    ):
        chunks = stream.aiter_text()
        while "connected" not in read:
            read += await anext(chunks)
        queue = office.api.service.queue(QUEUE)
        for firm_id in (office.firm_id, office.other_firm_id):
            await queue.add("__default__", aging(firm_id), job_id=f"told-{firm_id}")
            await queue.actions.update_progress(f"told-{firm_id}", f"progress of {firm_id}")
        while f"progress of {office.other_firm_id}" not in read:
            read += await anext(chunks)
    assert office.firm_id not in read
