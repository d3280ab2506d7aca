"""Input that nobody sends by accident gets an answer like any other."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from tests.support.queue_api import Api, module_api

from toril.db.models import AuditEntry

pytestmark = pytest.mark.asyncio(loop_scope="module")
queue_api = module_api

JOBS = "/api/queues/cleanup/jobs"
GOOD = '"type": "temp-files"'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param("[" * 100_000, 400, id="deep"),
        pytest.param('{"data":' * 5000 + "1" + "}" * 5000, 400, id="deep and whole"),
        pytest.param('{"data": {"type": "\\u0000"}}', 400, id="NUL in the type"),
        pytest.param('{"data": {"type": "\\ud800"}}', 400, id="half a pair in the type"),
        pytest.param(f'{{"data": {{{GOOD}, "data": {{"maxAgeHours": NaN}}}}}}', 400, id="not a number"),
        pytest.param(f'{{"data": {{{GOOD}, "data": {{"maxAgeHours": 1e400}}}}}}', 400, id="infinite"),
        pytest.param(
            f'{{"data": {{{GOOD}, "data": {{"maxAgeHours": 9{"9" * 30}}}}}}}', 400, id="a large number"
        ),
        pytest.param(f'{{"data": {{{GOOD}}}, "options": {{"delay": 9{"9" * 30}}}}}', 400, id="a long delay"),
        pytest.param(f'{{"data": {{{GOOD}}}, "options": {{"timestamp": 1e18}}}}', 400, id="a late timestamp"),
        pytest.param(f'{{"data": {{{GOOD}}}, "options": {{"jobId": "\\ud800"}}}}', 400, id="half a pair"),
        pytest.param(f'{{"data": {{{GOOD}}}, "options": {{"jobId": "a\\u0000b"}}}}', 400, id="NUL in the id"),
        pytest.param(f'{{"data": {{{GOOD}}}, "options": {{"backoff": []}}}}', 400, id="backoff is a list"),
        pytest.param(f'{{"data": {{{GOOD}}}, "options": {{"repeat": 5}}}}', 400, id="repeat is a number"),
        pytest.param(f'{{"data": {{{GOOD}}}, "options": {{"priority": true}}}}', 400, id="true as a number"),
    ],
)
async def test_an_odd_body_is_refused(queue_api: Api, body: str, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    response = await queue_api.client.post(JOBS, content=body, headers=headers)
    assert response.status_code == status, response.text
    assert response.json()["success"] is False
    assert sum((await queue_api.service.get_job_counts("cleanup")).values()) == 0


@pytest.mark.parametrize("part", ["%00", "a%00b", "%FF%FE", "x" * 5000, "wait", "toril:overflow", "id:lock"])
async def test_an_odd_id_is_a_job_that_is_not_there(queue_api: Api, part: str) -> None:
    await queue_api.service.queue("cleanup").pause()  # so that some keys of the queue are there
    await queue_api.service.queue("cleanup").resume()
    for method, path in [
        ("GET", f"{JOBS}/{part}"),
        ("GET", f"{JOBS}/{part}/logs"),
        ("DELETE", f"{JOBS}/{part}"),
        ("POST", f"{JOBS}/{part}/promote"),
        ("POST", f"{JOBS}/{part}/cancel"),
        ("POST", f"/api/queues/cleanup/retry/{part}"),
    ]:
        response = await queue_api.client.request(method, path)
        assert response.status_code == 404, (method, path, response.text)
        assert response.json()["error"]["code"] == "job_not_found"
    async with queue_api.web.installation.database.reading() as session:
        targets = (await session.scalars(select(AuditEntry.target))).all()
    assert all(target and "\0" not in target and len(target) <= 600 for target in targets)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            {"data": {"type": "temp-files", "data": {f"x{i}": 1 for i in range(300_000)}}}, id="data"
        ),
        pytest.param({f"x{i}": 1 for i in range(300_000)}, id="body"),
        pytest.param({"data": {"type": "temp-files", "data": {"x" * 1_000_000: 1}}}, id="a long name"),
        pytest.param({"data": {"type": "x" * 1_000_000}}, id="a long type"),
        pytest.param({"data": {"type": "temp-files"}, "options": {"x" * 1_000_000: 1}}, id="a long option"),
        pytest.param(
            {"data": {"type": "temp-files"}, "options": {f"x{i}": 1 for i in range(300_000)}}, id="options"
        ),
        pytest.param({"data": {"type": "temp-files"}, "options": {"jobId": "x" * 1_000_000}}, id="a long id"),
    ],
)
async def test_however_much_is_wrong_the_answer_is_short(queue_api: Api, body: Any) -> None:
    response = await queue_api.client.post(JOBS, json=body)
    assert response.status_code == 400
    assert len(response.content) < 20_000
    details = response.json()["error"].get("details") or []
    assert len(details) <= 20


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/queues/cleanup/clean"),
        ("POST", "/api/auth/login"),
        ("POST", "/api/keys"),
        ("POST", "/nowhere"),
    ],
)
async def test_only_jobs_have_large_bodies(queue_api: Api, method: str, path: str) -> None:
    response = await queue_api.client.request(method, path, json={"x": "y" * 70_000})
    assert response.status_code == 413, response.text
