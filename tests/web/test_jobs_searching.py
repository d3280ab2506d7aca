"""Searching jobs by HTTP, and taking them away as a file."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import time
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from tests.support.queue_api import DATA, Api, client_of, escaped, module_api, served
from tests.web.endpoints import QUEUE

from toril.engine.search import ids_of
from toril.web.routes import jobs_export, queues_control

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api

JOBS = f"/api/queues/{QUEUE}/jobs"
RATES = {"type": "currency-rates", "data": {"baseCurrency": "SAR"}}


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def empty(queue_api: Api) -> None:
    """Nothing in the queue when a test begins."""
    await queue_api.service.queue(QUEUE).obliterate(force=True)
    await queue_api.service.resume_queue(QUEUE)


async def find(api: Api, q: str, **query: Any) -> tuple[list[str], int]:
    """Ids of all jobs that a search finds, going on until there is no more; and how many calls that took."""
    ids: list[str] = []
    calls, cursor = 0, ""
    while True:
        answer = await api.call("GET", f"{JOBS}/search", params={"q": q, "cursor": cursor, **query})
        calls += 1
        assert answer["count"] == len(answer["data"]) <= query.get("limit", 20)
        assert answer["lookedAt"] <= 10_000
        ids += [job["jobId"] for job in answer["data"]]
        cursor = answer["cursor"]
        if not cursor:
            return ids, calls


async def add(api: Api, job_id: str, data: Any = DATA, name: str = "__default__", **options: Any) -> None:
    await api.service.queue(QUEUE).add(name, data, job_id=job_id, **options)


async def test_a_job_is_found_by_id_name_and_data(queue_api: Api) -> None:
    await add(queue_api, "invoice/0041")
    await add(queue_api, "b", name="Send Welcome Mail")
    await add(queue_api, "c", {"client": "مكتب الميزان", "path": 'C:\\files "new"', "price": 100.5})
    await add(queue_api, "d", {"CLIENT": "Mizan"})
    for q, expected in [
        ("0041", ["invoice/0041"]),
        ("INVOICE/", ["invoice/0041"]),
        ("welcome m", ["b"]),
        ("الميزان", ["c"]),
        ('\\files "new', ["c"]),
        ("100.5", ["c"]),
        ("client", ["d", "c"]),
        ("%", []),
        (".", ["c"]),
    ]:
        assert (await find(queue_api, q))[0] == expected, q


async def test_a_search_can_be_bound_to_a_state(queue_api: Api) -> None:
    for job_id in ("a", "b", "c"):
        await add(queue_api, job_id)
    await add(queue_api, "d", delay=60)
    await queue_api.fail("a")
    assert (await find(queue_api, "temp-files"))[0] == ["c", "b", "a", "d"]
    for status, expected in [("failed", ["a"]), ("waiting", ["c", "b"]), ("delayed", ["d"]), ("active", [])]:
        answer = await queue_api.call("GET", f"{JOBS}/search?q=temp&status={status}")
        assert [job["jobId"] for job in answer["data"]] == expected
        assert all(job["state"] == status for job in answer["data"])


@pytest.mark.parametrize("status", ["completed", "waiting"])
async def test_a_hundred_thousand_jobs_are_searched_without_holding_the_server_up(
    queue_api: Api, status: str
) -> None:
    total, step = 100_000, 5_000
    queue = queue_api.service.queue(QUEUE)
    for first in range(0, total, step):
        items = [
            ("__default__", {"number": n, "needle": n % 10_000 == 7}, {"job_id": f"job-{n}"})
            for n in range(first, first + step)
        ]
        await queue.add_bulk(items)
    if status == "completed":
        # As a worker would leave them, many with the same time.
        rows = [part for n in range(total) for part in (n // 100, f"job-{n}")]
        for at in range(0, len(rows), 20_000):
            await queue.scripts.ask("ZADD", queue.keys.of("completed"), *rows[at : at + 20_000])
        await queue.scripts.ask("DEL", queue.keys.of("wait"))

    longest = 0.0
    done = asyncio.Event()

    async def others() -> None:
        nonlocal longest
        while not done.is_set():
            began = time.perf_counter()
            await queue_api.service.queue("pdf").scripts.ask("PING")
            longest = max(longest, time.perf_counter() - began)
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(others())
    ids, calls = await find(queue_api, "job-4217", limit=7, status=status)
    assert ids == [*(f"job-4217{n}" for n in reversed(range(10))), "job-4217"]
    assert calls >= 10
    ids, _ = await find(queue_api, "true", limit=3, status=status)
    assert ids == [f"job-{n}" for n in reversed(range(7, total, 10_000))]
    done.set()
    await watching
    # Not what it takes, which depends on the machine, but far less than a search of all would.
    assert longest < 0.5


async def test_jobs_that_come_meanwhile_make_no_other_be_missed(queue_api: Api) -> None:
    for n in range(40):
        await add(queue_api, f"old-{n}")
    await queue_api.fail(*(f"old-{n}" for n in range(0, 40, 2)))
    for status in ("waiting", "failed"):
        found: list[str] = []
        cursor = ""
        number = 0
        while True:
            query = {"q": "old-", "limit": 3, "status": status, "cursor": cursor}
            answer = await queue_api.call("GET", f"{JOBS}/search", params=query)
            found += [job["jobId"] for job in answer["data"]]
            cursor = answer["cursor"]
            if not cursor:
                break
            number += 1
            await add(queue_api, f"new-{status}-{number}")
            if status == "failed":
                await queue_api.fail(f"new-{status}-{number}")
                await queue_api.call("DELETE", f"{JOBS}/{found[-1]}")  # the very one that the cursor names
        expected = range(1, 40, 2) if status == "waiting" else range(0, 40, 2)
        assert set(found) == {f"old-{n}" for n in expected}


@pytest.mark.parametrize(
    "place",
    [
        ["failed", 0, "nan", "a"],
        ["failed", 0, "-nan", "a"],
        ["failed", 0, "inf", "a"],
        ["failed", 0, "-Infinity", "a"],
        ["failed", 0, "1e999999", "a"],
        ["failed", 0, "1_0", "a"],
        ["failed", 0, " 1", "a"],
        ["failed", 0, "٣", "a"],
        ["failed", 0, "0x10", "a"],
        ["failed", 0, "(1", "a"],
        ["failed", 0, "1", None],
        ["failed", 0, None, "a"],
        ["failed", 2**63, None, None],
        ["failed", 1e300, None, None],
        ["failed", -1, None, None],
        ["failed", True, None, None],
        ["gone", 0, None, None],
        [["failed"], 0, None, None],
        ["failed"] * 9,
        {"state": "failed"},
    ],
    ids=str,
)
async def test_a_cursor_that_no_search_has_given_is_refused_as_such(queue_api: Api, place: Any) -> None:
    await queue_api.fail(*await queue_api.add(2))
    cursor = base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")
    response = await queue_api.client.get(f"{JOBS}/search", params={"q": "temp", "cursor": cursor})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_cursor"), response.text


async def test_a_search_goes_on_behind_a_job_with_a_score_past_all_numbers(queue_api: Api) -> None:
    ids = await queue_api.add(3)
    await queue_api.fail(*ids)
    queue = queue_api.service.queue(QUEUE)
    await queue.scripts.ask("ZADD", queue.keys.of("failed"), "inf", ids[1])
    found, calls = await find(queue_api, "temp", status="failed", limit=1)
    assert (sorted(found), calls > 2) == (sorted(ids), True)


async def test_a_list_is_exported_as_csv_that_no_spreadsheet_runs(queue_api: Api) -> None:
    await add(queue_api, "=1+1")
    await add(queue_api, "plain, with a comma", {"html": 'a "quoted"\nline', "text": "مكتب"})
    for job_id, reason in (("=1+1", "@SUM(A1)"), ("plain, with a comma", "-2+3")):
        await queue_api.fail(job_id)
        key = queue_api.service.queue(QUEUE).keys.job(job_id)
        await queue_api.service.queue(QUEUE).scripts.ask("HSET", key, "failedReason", reason)
    response = await queue_api.client.get(f"{JOBS}/export?status=failed")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="jobs-failed.csv"'
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))
    by_id = {row["jobId"]: row for row in rows}
    assert by_id.keys() == {"'=1+1", "plain, with a comma"}
    assert by_id["'=1+1"]["failedReason"] == "'@SUM(A1)"
    plain = by_id["plain, with a comma"]
    assert plain["failedReason"] == "'-2+3"
    assert orjson.loads(plain["data"]) == {"html": 'a "quoted"\nline', "text": "مكتب"}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


async def test_a_list_is_exported_as_json_up_to_a_limit(queue_api: Api) -> None:
    ids = await queue_api.add(450)
    for limit, expected in [(450, ids), (1000, ids), (200, ids[:200]), (201, ids[:201]), (1, ids[:1])]:
        response = await queue_api.client.get(f"{JOBS}/export?status=waiting&format=json&limit={limit}")
        body = response.json()
        assert body["success"] is True
        assert [job["jobId"] for job in body["data"]] == expected
    assert body["data"][0] == (await queue_api.call("GET", f"{JOBS}/{escaped(ids[0])}"))["data"]
    assert (await queue_api.client.get(f"{JOBS}/export?status=failed&format=json")).json()["data"] == []


async def test_no_job_is_exported_twice_or_left_out_though_others_come_and_go(queue_api: Api) -> None:
    ids = await queue_api.add(1200)
    await queue_api.fail(*ids)
    queue, exported = queue_api.service.queue(QUEUE), ""
    newest = (await queue_api.service.get_jobs(QUEUE, "failed", 0, 99))[:100]
    gone = [job["jobId"] for job in newest]
    async with (
        served(queue_api.app) as address,
        httpx.AsyncClient(headers=queue_api.client.headers, timeout=20) as client,
        client.stream("GET", f"{address}{JOBS}/export?status=failed") as answer,
    ):
        changed = False
        async for part in answer.aiter_text():
            exported += part
            if not changed:
                await queue.actions.remove(gone[0])
                await asyncio.gather(*map(queue.actions.remove, gone[1:]))
                await queue_api.fail(*await queue_api.add(30))  # they come first, and push the others on
                changed = True
        assert answer.headers["x-complete"] == "true"
    rows = [row["jobId"] for row in csv.DictReader(io.StringIO(exported.lstrip("\ufeff"), newline=""))]
    assert len(rows) == len(set(rows))
    assert set(ids) - set(gone) <= set(rows)


async def test_pages_of_an_export_go_on_behind_jobs_that_have_left(queue_api: Api) -> None:
    for state in ("failed", "waiting", "delayed"):
        await queue_api.service.queue(QUEUE).obliterate(force=True)
        await queue_api.service.resume_queue(QUEUE)
        ids = await queue_api.add(450, **({"delay": 60_000} if state == "delayed" else {}))
        if state == "failed":
            await queue_api.fail(*ids)
        queue = queue_api.service.queue(QUEUE)
        listed, complete = await ids_of(queue, state, asc=state != "failed", most=10_000)
        assert complete
        exported: list[str] = []
        async for page in jobs_export.read_pages(queue, state, listed):
            exported += [job["jobId"] for job in page]
            for job in page[:100]:
                await queue.actions.remove(job["jobId"])
        assert exported == listed
        assert set(listed) == set(ids)


async def test_an_export_says_that_there_is_more(queue_api: Api) -> None:
    await queue_api.fail(*await queue_api.add(3))
    for limit, complete in ((2, "false"), (3, "true")):
        answer = await queue_api.client.get(f"{JOBS}/export?status=failed&format=json&limit={limit}")
        assert (len(answer.json()["data"]), answer.headers["x-complete"]) == (limit, complete)


async def test_of_many_that_delete_a_job_one_succeeds(queue_api: Api) -> None:
    (job_id,) = await queue_api.add()
    answers = await asyncio.gather(*(queue_api.client.delete(f"{JOBS}/{job_id}") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, *[404] * 9]
    (job_id,) = await queue_api.add()
    asked = {"ids": [job_id]}
    many = await asyncio.gather(*(queue_api.call("POST", f"{JOBS}/remove", json=asked) for _ in range(5)))
    assert sum(answer["removed"] for answer in many) == 1


async def test_two_that_retry_all_count_each_job_once(
    queue_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue_api.fail(*await queue_api.add(2500))
    monkeypatch.setattr(queues_control, "WORKS_FOR", 0.0)  # the time is up after each step
    paths = [f"/api/queues/{QUEUE}/retry-all"] * 2
    counted, rounds, finished = 0, 0, False
    while not finished:
        rounds += 1
        answers = await asyncio.gather(*(queue_api.call("POST", path) for path in paths))
        counted += sum(answer["data"]["count"] for answer in answers)
        finished = all(answer["data"]["finished"] for answer in answers)
    assert counted == 2500
    assert rounds > 1, "what takes longer than one call says so"


async def test_an_export_needs_a_token_like_everything_else(queue_api: Api) -> None:
    async with client_of(queue_api.app) as client:
        assert (await client.get(f"{JOBS}/export")).status_code == 401
