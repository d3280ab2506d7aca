"""What is alike in every answer of every endpoint: parameters that are not known are refused, times are milliseconds,
errors tell of fields in one shape. The endpoints are those of the description, so a new one is in here by itself."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_schema import check_any_answer, error_of
from tests.support.queue_api import client_of, open_api
from tests.support.web_people import Office, open_office
from tests.web.application_endpoints import ENDPOINTS, SETTINGS, a_file
from tests.web.calls import good_call, sender
from tests.web.endpoints import ENDPOINTS as QUEUE_ENDPOINTS
from tests.web.endpoints import failed

from toril.db.models import GeneratedFile

#: One application for all: each test makes the records it needs.
pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = [each for each in (*ENDPOINTS, *QUEUE_ENDPOINTS) if not each.path.endswith("/events")]

#: Others call these, by addresses to which they add what they like; or they have no JSON.
OPEN = ("/api/webhooks/", "/health/", "/t/", "/files/")
STRICT = [each for each in (*ENDPOINTS, *QUEUE_ENDPOINTS) if not each.path.startswith(OPEN)]

#: A moment in ISO 8601; days, which are no moments, look so only up to the T.
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    start_server: Any, firm_home: Path, tmp_path_factory: pytest.TempPathFactory, prefix_of_module: str
) -> AsyncIterator[Office]:
    home = tmp_path_factory.mktemp("office") / "home"
    shutil.copytree(firm_home, home)
    server_url = start_server("valkey").url
    async with open_api(server_url, prefix_of_module, home, **SETTINGS) as api, open_office(api) as opened:
        yield opened


@pytest.fixture(scope="module")
def prefix_of_module(request: pytest.FixtureRequest) -> str:
    return f"t{abs(hash(request.node.nodeid))}"


async def test_every_endpoint_is_looked_at(office: Office) -> None:
    paths = office.api.app.openapi()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == {(each.method, each.path) for each in (*ENDPOINTS, *QUEUE_ENDPOINTS)}


@pytest.mark.parametrize("endpoint", STRICT, ids=str)
async def test_a_parameter_that_is_not_known_is_refused_by_name(office: Office, endpoint: Any) -> None:
    url, good = await good_call(office, endpoint)
    sent = {"json": good} if good else {}
    odd = f"{url}{'&' if '?' in url else '?'}zzyzx=1"
    async with client_of(office.api.app) as nobody:
        refused = await nobody.request(endpoint.method, odd, **sent)
    if refused.status_code != 400:  # who signs in is nobody yet
        assert refused.status_code == 401, "who may not come in learns that first"
    async with await sender(office, endpoint) as client:
        error = error_of(await client.request(endpoint.method, odd, **sent), 400)
        assert error["code"] == "bad_request"
        assert error["details"] == [{"field": "query.zzyzx", "message": "this parameter is not known here"}]
        if not endpoint.path.endswith(("/events", "/auth/password")):  # whose user another one is
            done = await client.request(endpoint.method, url, **sent)
            assert done.is_success, f"nothing was done before: {done.text}"


async def test_a_parameter_that_is_misspelt_is_told_what_it_was_meant_to_be(office: Office) -> None:
    path = "/api/queues/cleanup/jobs"
    for query, field, meant in (
        ("statsu=failed", "query.statsu", "; did you mean 'status'?"),
        ("Status=failed", "query.Status", "; did you mean 'status'?"),
        ("status=failed&&start[]=0", "query.start[]", "; did you mean 'start'?"),
        ("=x", "query.", ""),
        ("%D8%AD%D8%A7%D9%84%D8%A9=1", "query.حالة", ""),
    ):
        error = error_of(await office.root.get(f"{path}?{query}"), 400)
        assert error["details"] == [{"field": field, "message": f"this parameter is not known here{meant}"}]
        assert error["message"] == f"{field}: this parameter is not known here{meant}"


async def test_of_very_many_parameters_some_are_named(office: Office) -> None:
    response = await office.root.get("/api/queues?" + "&".join(f"a{n}=1" for n in range(8_000)))
    assert len(error_of(response, 400)["details"]) == 20
    long = await office.root.get("/api/queues?" + "x" * 60_000 + "=1")
    error_of(long, 400)
    assert len(long.content) < 2_000


async def test_a_parameter_that_is_not_known_is_no_reason_to_do_anything(office: Office) -> None:
    prepared = await failed(office.api)
    path = f"/api/queues/cleanup/retry/{prepared['job_id']}"
    error_of(await office.root.post(f"{path}?force=true"), 400)
    assert (await office.root.post(path)).status_code == 200, "it is failed still"


def moments(value: Any, path: str = "") -> Iterator[str]:
    """Texts in an answer that are moments."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from moments(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from moments(inner, path)
    elif isinstance(value, str) and ISO.search(value):
        yield f"{path}: {value}"


@pytest.mark.parametrize("endpoint", ALL, ids=str)
async def test_no_answer_has_a_moment_as_text(office: Office, endpoint: Any) -> None:
    url, good = await good_call(office, endpoint)
    async with await sender(office, endpoint) as client:
        response = await client.request(endpoint.method, url, **({"json": good} if good else {}))
    check_any_answer(response)
    if response.headers.get("content-type", "").startswith("application/json"):
        assert list(moments(json.loads(response.content))) == []


async def test_the_description_knows_no_moments_as_texts(office: Office) -> None:
    assert "date-time" not in json.dumps(office.api.app.openapi())


async def test_a_moment_is_told_to_the_millisecond(office: Office) -> None:
    file_id = (await a_file(office)).values["file_id"]
    async with office.api.web.installation.database.reading() as session:
        stored = await session.get_one(GeneratedFile, file_id)
    answer = (await office.lawyer.get(f"/api/files/{file_id}?expiresIn=60")).json()["data"]
    assert type(answer["createdAt"]) is int
    assert abs(answer["createdAt"] - stored.created_at.timestamp() * 1000) <= 0.5
    assert answer["expiresAt"] % 1000 == 0
    assert 0 < answer["expiresAt"] - answer["createdAt"] < 600_000


#: A wrong call of each kind: what is wrong in it, and where.
WRONG: list[tuple[str, str, Any, str]] = [
    ("POST", "/api/queues/cleanup/jobs", {"data": {"type": "temp-files", "data": {"maxAgeHours": "x"}}}, "maxAgeHours"),
    ("POST", "/api/queues/cleanup/jobs", {"data": {"type": "gone"}}, "type"),
    ("POST", "/api/queues/cleanup/jobs", {"data": {"type": "tokens"}, "options": {"dealy": 1}}, "options"),
    ("POST", "/api/queues/cleanup/jobs", {"data": {"type": "tokens"}, "options": {"delay": -1}}, "options.delay"),
    ("POST", "/api/queues/cleanup/jobs/bulk", {"jobs": [{"data": {"type": "gone"}}]}, "jobs.0.type"),
    ("POST", "/api/queues/cleanup/obliterate", {"confirm": "pdf"}, "confirm"),
    ("POST", "/api/queues/cleanup/schedules", {"data": {"type": "tokens"}, "options": {}}, "options.repeat"),
    ("POST", "/api/queues/cleanup/jobs", {"date": 1}, "body.data"),
    ("POST", "/api/queues/cleanup/jobs", "{", "body"),
    ("GET", "/api/queues/cleanup/jobs?start=x", None, "query.start"),
    ("GET", "/api/queues/cleanup/jobs?strat=1", None, "query.strat"),
    ("POST", "/api/reports/generate", {"type": "client-aging", "colour": 1}, "colour"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "field"), WRONG, ids=str)
async def test_an_error_tells_of_its_fields_in_one_shape(
    office: Office, method: str, path: str, body: Any, field: str
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {"Content-Type": "application/json"}
    sent = {} if body is None else {"content": text, "headers": headers}
    client = office.lawyer if "reports" in path else office.root
    error = error_of(await client.request(method, path, **sent), 400)
    assert error["details"][0]["field"].endswith(field), error
    assert error["details"][0]["message"] in error["message"]
