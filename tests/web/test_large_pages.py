"""Lists of large jobs: an answer has some megabytes, however many jobs of whatever size there are."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from tests.support.queue_api import end_job, open_api
from tests.support.web_people import Office, open_office

from toril.db.ids import new_id
from toril.engine.repeat import Repeat
from toril.web import firm_jobs
from toril.web.event_feed import EventFeed

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
#: Bytes of the longest page, with what surrounds the jobs.
LONGEST = 9 * MIB
COUNT = 12  #: of a mebibyte each: two pages


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    start_server: Any, tmp_path_factory: pytest.TempPathFactory, firm_home: Path
) -> AsyncIterator[Office]:
    home = tmp_path_factory.mktemp("large") / "home"
    shutil.copytree(firm_home, home)
    async with open_api(start_server("valkey").url, f"t{new_id()}", home) as api, open_office(api) as opened:
        yield opened


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def empty(office: Office) -> AsyncIterator[None]:
    yield
    service = office.api.service
    for queue in (service.queue("pdf"), service.dead_letters.queue):
        await queue.obliterate(force=True)
        await queue.resume()


def page_of(office: Office, text: str = "") -> dict[str, Any]:
    """Data of a job of a mebibyte."""
    return {"type": "custom", "data": {"html": text + "x" * MIB, "firmId": office.firm_id}}


async def fill(office: Office, count: int = COUNT, *, state: str = "waiting") -> list[str]:
    """Large jobs in a state; of those that ended the result is large, too."""
    queue = office.api.service.queue("pdf")
    ids = []
    for number in range(count):
        job = await queue.add("__default__", page_of(office, f"page {number} "), job_id=f"large-{number}")
        ids.append(job.id)
        if state != "waiting":
            await end_job(office.api.service, "pdf", job.id, state)
            await queue.scripts.ask("HSET", queue.keys.job(job.id), "data", '{"type":"custom","data":{}}')
            told = orjson.dumps({"text": "y" * MIB, "firmId": office.firm_id})
            await queue.scripts.ask("HSET", queue.keys.job(job.id), "returnvalue", told)
    return ids


async def get(client: Any, path: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text[:500]
    assert len(answer.content) < LONGEST
    found: dict[str, Any] = orjson.loads(answer.content)
    assert found["data"], "a page has one job at least"
    return found


@pytest.mark.parametrize(("who", "state"), [("root", "waiting"), ("partner", "waiting"), ("root", "failed")])
async def test_a_list_goes_on_where_its_page_ended_early(office: Office, who: str, state: str) -> None:
    ids = await fill(office, state=state)
    met: list[str] = []
    pages, start = 0, 0
    while len(met) < COUNT:
        page = await get(
            getattr(office, who), "/api/queues/pdf/jobs", status=state, start=start, end=start + 199
        )
        assert (page["start"], page["total"]) == (start, COUNT)
        assert page["count"] == len(page["data"])
        met += [job["jobId"] for job in page["data"]]
        start, pages = page["end"] + 1, pages + 1
        assert pages <= 2
    assert sorted(met) == sorted(ids)
    assert page["end"] == start - 1, "a page that is whole ends where it was asked to"
    last = await get(getattr(office, who), "/api/queues/pdf/jobs", status=state, start=-3, end=-1)
    assert (last["count"], last["start"], last["end"]) == (3, COUNT - 3, COUNT - 1)


async def test_one_job_that_is_larger_than_a_page_is_told_alone(office: Office) -> None:
    queue = office.api.service.queue("pdf")
    huge = {"type": "custom", "data": {"html": "x" * (8 * MIB + 5), "firmId": office.firm_id}}
    for number in range(2):
        await queue.add("__default__", huge, job_id=f"huge-{number}")
    for who in ("root", "partner"):
        page = await get(getattr(office, who), "/api/queues/pdf/jobs", start=0, end=20)
        assert ([job["jobId"] for job in page["data"]], page["end"]) == (["huge-0"], 0)


@pytest.mark.parametrize("who", ["root", "partner"])
async def test_a_search_goes_on_by_its_cursor(office: Office, who: str) -> None:
    ids = await fill(office)
    met: list[str] = []
    cursor, calls = "", 0
    while cursor is not None:
        found = await getattr(office, who).get(
            "/api/queues/pdf/jobs/search", params={"q": "page", "limit": 100, "cursor": cursor}
        )
        assert len(found.content) < LONGEST
        page = found.json()
        met += [job["jobId"] for job in page["data"]]
        cursor, calls = page["cursor"], calls + 1
    assert sorted(met) == sorted(ids)
    assert calls <= 4


@pytest.mark.parametrize("who", ["root", "partner"])
async def test_dead_letters_and_schedules_go_on_behind_what_was_told(office: Office, who: str) -> None:
    service = office.api.service
    queue = service.queue("pdf")
    for number in range(COUNT):
        data = page_of(office)
        letter = {
            "queue": "pdf", "jobId": f"dead-{number}", "name": "__default__", "data": data, "opts": {},
            "failedReason": "", "stacktrace": [], "attemptsMade": 1, "stalledCounter": 0, "timestamp": 1,
            "processedOn": 2, "failedAt": 3, "unreadable": [],
        }  # fmt: skip
        await service.dead_letters.queue.add("__default__", letter, job_id=f"1:pdf:dead-{number}")
        await queue.add("__default__", data, repeat=Repeat(every=3600 + number), job_id=f"s{number}")
    for path, name in (("/api/queues/dead-letters", "id"), ("/api/queues/pdf/schedules", "key")):
        met: list[str] = []
        for _ in range(2):
            page = await get(getattr(office, who), path, start=len(met), end=len(met) + 199)
            assert page["total"] == COUNT
            met += [each[name] for each in page["data"]]
        assert len(set(met)) == len(met) == COUNT, path
        behind = await getattr(office, who).get(path, params={"start": COUNT, "end": 199})
        assert behind.json()["data"] == []


async def test_a_log_of_long_rows_goes_on_behind_what_was_told(office: Office) -> None:
    queue = office.api.service.queue("pdf")
    job = await queue.add("__default__", {"type": "custom", "data": {"firmId": office.firm_id}})
    long = [f"{number:02} " + "z" * MIB for number in range(COUNT)]
    for row in ["short"] * 25 + long:
        await job.log(row)
    told: list[str] = []
    for _ in range(2):
        answer = await office.partner.get(
            f"/api/queues/pdf/jobs/{job.id}/logs", params={"start": len(told), "end": -1}
        )
        assert len(answer.content) < LONGEST
        assert answer.json()["data"]["count"] == 25 + COUNT
        told += answer.json()["data"]["logs"]
    assert told == ["short"] * 25 + long


async def test_jobs_that_are_there_are_told_to_who_adds_them_again_within_bounds(office: Office) -> None:
    await fill(office)
    small = {"type": "custom", "data": {"html": "<p>", "firmId": office.firm_id}}
    jobs = [{"data": small, "options": {"jobId": f"large-{number % COUNT}"}} for number in range(100)]
    jobs.append({"data": small})
    for who in ("partner", "root"):
        answer = await getattr(office, who).post("/api/queues/pdf/jobs/bulk", json={"jobs": jobs})
        assert answer.status_code == 201, answer.text[:300]
        assert len(answer.content) < LONGEST
        told = answer.json()["data"]
        assert [each["jobId"] for each in told[:100]] == [job["options"]["jobId"] for job in jobs[:100]]  # type: ignore[index]
        assert all(each["existed"] for each in told[:100])
        assert told[0]["data"] == page_of(office, "page 0 ")
        assert {"cut": True, "data": {"type": "custom", "data": {"firmId": office.firm_id}}}.items() <= told[
            99
        ].items()
        assert "cut" not in told[100]
    for job in jobs:
        job["data"] = {"type": "custom", "data": {"html": "<p>"}}
    answer = await office.manager.post("/api/queues/pdf/jobs/bulk", json={"jobs": jobs})
    assert answer.status_code == 409, "another firm is told nothing of them"


async def test_who_looks_through_jobs_holds_some_of_them_at_a_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these must look at every job's data; counted is what one reading asks for."""
    await fill(office, state="failed")
    queue = office.api.service.queue("pdf")
    for number in range(COUNT):
        text = orjson.dumps(page_of(office))
        await queue.scripts.ask("HSET", queue.keys.job(f"large-{number}"), "data", text)
    most = 0
    read_jobs = type(queue).read_jobs

    async def counted(self: Any, ids: Any, *rest: Any) -> Any:
        nonlocal most
        most = max(most, len(ids))
        return await read_jobs(self, ids, *rest)

    monkeypatch.setattr(type(queue), "read_jobs", counted)
    exported = await office.partner.get("/api/queues/pdf/jobs/export", params={"status": "failed"})
    assert exported.content.count(b'\r\n"large-') == COUNT
    feed = EventFeed(queue)
    events: Any = [type("Event", (), {"job_id": f"large-{number}"}) for number in range(COUNT)]
    assert len(await feed.of_firm(events, office.firm_id)) == COUNT
    tally = firm_jobs.Tally()
    await firm_jobs.retry_firm_jobs(queue, office.firm_id, tally)
    assert (tally.count, most) == (COUNT, 1)
