"""What holds for every endpoint of the queues, from the table of them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from tests.support.queue_api import Api, client_of, module_api, served
from tests.web.endpoints import ENDPOINTS, Endpoint

from toril.db.models import AuditEntry, Role

#: One application for all: they only share its queues, and each makes the jobs it needs.
pytestmark = pytest.mark.asyncio(loop_scope="module")
api = module_api

every = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)


async def audited(api: Api) -> int:
    """How many entries the audit log has."""
    async with api.web.installation.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(AuditEntry)) or 0


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error in an answer, which must have the form that all errors have."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body.keys() == {"success", "error"}
    assert body["success"] is False
    assert body["error"].keys() <= {"code", "message", "details"}
    assert body["error"]["code"]
    assert body["error"]["message"]
    assert response.headers["cache-control"] == "no-store"
    error: dict[str, Any] = body["error"]
    return error


async def test_the_table_has_every_endpoint_of_the_description(api: Api) -> None:
    paths = (await api.client.get("/api/openapi.json")).json()["paths"]
    described = {
        (method.upper(), path)
        for path, methods in paths.items()
        if path.startswith("/api/queues")
        for method in methods
    }
    assert described == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


@every
async def test_without_a_good_token_nobody_comes_in(api: Api, endpoint: Endpoint) -> None:
    expired = await api.token(age_s=3600)
    codes = {None: "not_authenticated", "nonsense": "bad_token", expired: "token_expired"}
    for token, code in codes.items():
        async with client_of(api.app, token) as client:
            response = await client.request(endpoint.method, endpoint.url(), content="{")
        assert error_of(response, 401)["code"] == code
        assert response.headers["www-authenticate"] == "Bearer"


@every
async def test_without_the_role_admin_nobody_comes_in(api: Api, endpoint: Endpoint) -> None:
    async with client_of(api.app, await api.token(Role.STAFF)) as client:
        response = await client.request(endpoint.method, endpoint.url(), content="{")
    assert error_of(response, 403)["code"] == "forbidden"


@every
async def test_a_key_does_what_its_scopes_say(api: Api, endpoint: Endpoint) -> None:
    for scope in ("queues:read", "records:write"):
        async with client_of(api.app, await api.key(scope)) as client:
            path = endpoint.url(name="no such queue")
            response = await client.request(endpoint.method, path, content="{")
        if scope == "queues:read" and not endpoint.changes:
            assert response.status_code in (200, 404), response.text
        else:
            assert error_of(response, 403)["code"] == "forbidden"


@every
async def test_what_is_not_there_is_a_404(api: Api, endpoint: Endpoint) -> None:
    body = {"json": endpoint.body} if endpoint.body else {}
    if "{name}" in endpoint.path:
        response = await api.client.request(endpoint.method, endpoint.url(name="cleanups"), **body)
        assert error_of(response, 404)["code"] == "queue_not_found"
        assert "did you mean 'cleanup'?" in response.text
    if "_id}" in endpoint.path or "{key}" in endpoint.path:
        response = await api.client.request(endpoint.method, endpoint.url(), **body)
        assert error_of(response, 404)["code"] in ("job_not_found", "schedule_not_found")
        assert "nobody" in response.json()["error"]["message"]


@every
async def test_a_bad_body_is_a_400_that_names_the_field(api: Api, endpoint: Endpoint) -> None:
    values = await endpoint.prepare(api)
    for bad in endpoint.bad:
        sent = {"content": bad} if isinstance(bad, str) else {"json": bad}
        headers = {"Content-Type": "application/json"}
        response = await api.client.request(endpoint.method, endpoint.url(**values), headers=headers, **sent)
        details = error_of(response, 400).get("details")
        assert details, f"{bad!r}: {response.text}"
        assert (details if isinstance(details, dict) else details[0])["field"], response.text
    if endpoint.bad:
        response = await api.client.request(endpoint.method, endpoint.url(**values), content="a=b",
                                            headers={"Content-Type": "text/plain"})  # fmt: skip
        assert error_of(response, 415)["code"] == "unsupported_media_type"


@every
async def test_a_bad_query_is_a_400(api: Api, endpoint: Endpoint) -> None:
    values = await endpoint.prepare(api)
    for query in endpoint.bad_query:
        path = endpoint.url(**values).partition("?")[0]
        response = await api.client.request(endpoint.method, f"{path}?{query}")
        error_of(response, 400)


@every
async def test_a_right_call_succeeds_and_a_change_is_written_down_first(api: Api, endpoint: Endpoint) -> None:
    values = await endpoint.prepare(api)
    before = await audited(api)
    body = {"json": endpoint.body} if endpoint.body else {}
    if endpoint.path.endswith("/events"):
        async with (
            served(api.app) as address,
            httpx.AsyncClient(headers=api.client.headers) as client,
            client.stream("GET", address + endpoint.url()) as response,
        ):
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
    else:
        response = await api.client.request(endpoint.method, endpoint.url(**values), **body)
        assert response.status_code == endpoint.status, response.text
        if not endpoint.streams:
            assert response.json()["success"] is True
            assert "data" in response.json()
    assert response.headers["cache-control"] == "no-store"
    assert await audited(api) == before + endpoint.is_written_down
    if endpoint.is_written_down:
        async with api.web.installation.database.reading() as session:
            newest = select(AuditEntry).order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(1)
            entry = (await session.scalars(newest)).one()
        assert entry.user_id
        assert entry.target
        assert "." in entry.action


@every
async def test_the_description_tells_of_every_error_and_gives_examples(api: Api, endpoint: Endpoint) -> None:
    paths = (await api.client.get("/api/openapi.json")).json()["paths"]
    operation = paths[endpoint.path][endpoint.method.lower()]
    expected = {str(endpoint.status), "401", "403", "503"}
    if "{" in endpoint.path:
        expected.add("404")
    if endpoint.bad or endpoint.bad_query:
        expected.add("400")
    if endpoint.bad:
        expected.add("415")
        assert operation["requestBody"]["content"]["application/json"]["example"]
    assert operation["responses"].keys() >= expected
    assert "422" not in operation["responses"]
    assert operation["description"]
    for status in expected:
        contents = operation["responses"][status]["content"]
        assert any("example" in content for content in contents.values()), status
