"""What holds for every endpoint of the application, from the tables of them: who may come in, what is refused and how,
and that every answer is one that the API's description tells of."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.support.api_schema import ApiSchema, check_any_answer, error_of
from tests.support.queue_api import client_of, open_api
from tests.support.web_people import Office, open_office
from tests.web.application_endpoints import ENDPOINTS, SETTINGS, Call, Endpoint
from tests.web.endpoints import ENDPOINTS as QUEUE_ENDPOINTS

from toril.db.ids import new_id
from toril.db.models import ApiKey, Role
from toril.queues.registry import make_worker
from toril.web.auth.principal import Scope
from toril.web.auth.secrets import hash_of, new_api_key

#: One application for all: each test makes the records it needs.
pytestmark = pytest.mark.asyncio(loop_scope="module")

every = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)


def those(who: str) -> Any:
    """The endpoints that are for these."""
    chosen = [endpoint for endpoint in ENDPOINTS if who in endpoint.who.split()]
    return pytest.mark.parametrize("endpoint", chosen, ids=str)


closed = pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.who != "anybody"], ids=str)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    start_server: Any, firm_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    home = tmp_path_factory.mktemp("office") / "home"
    shutil.copytree(firm_home, home)
    server_url = start_server("valkey").url
    async with open_api(server_url, f"t{new_id()}", home, **SETTINGS) as api, open_office(api) as opened:
        yield opened


@pytest.fixture(scope="module")
def schema(office: Office) -> ApiSchema:
    return ApiSchema(office.api.app.openapi())


async def send(
    office: Office, endpoint: Endpoint, call: Call, token: str | None = None, *, query: str = "", **sent: Any
) -> httpx.Response:
    """Send a call, with another token or body if they are given; and check what holds for all answers."""
    schema = ApiSchema(office.api.app.openapi())
    client = {"admin": office.root}.get(endpoint.who.split()[0], office.lawyer)
    bearer = client.headers["authorization"].removeprefix("Bearer ")
    async with client_of(office.api.app, token or call.token or bearer) as sender:
        if token == "":
            del sender.headers["authorization"]
        url = endpoint.url(**call.values)
        options: dict[str, Any] = {"params": call.query, **(sent or call.sent)}
        if query:
            options["params"] = query
        response = await sender.request(endpoint.method, url, **options)
    schema.check(endpoint.method, endpoint.path, response)
    return response


async def key_of(office: Office, user_id: str, *scopes: str) -> str:
    """A new API key."""
    secret, hint = new_api_key()
    async with office.api.web.installation.database.session() as session:
        session.add(
            ApiKey(user_id=user_id, name="k", key_hash=hash_of(secret), hint=hint, scopes=list(scopes))
        )
    return secret


async def id_of(client: httpx.AsyncClient) -> str:
    return str((await client.get("/api/auth/me")).json()["data"]["id"])


async def test_the_tables_have_every_endpoint_of_the_description(schema: ApiSchema) -> None:
    tables = [(each.method, each.path) for each in (*ENDPOINTS, *QUEUE_ENDPOINTS)]
    assert len(set(tables)) == len(tables)
    assert schema.operations == set(tables)


@closed
async def test_without_a_good_token_nobody_comes_in(office: Office, endpoint: Endpoint) -> None:
    call = await endpoint.prepare(office)
    expired = await office.api.token(age_s=3600)
    codes = {
        "": "not_authenticated",
        "nonsense": "bad_token",
        expired: "token_expired",
        "toril_x": "bad_api_key",
    }
    for token, code in codes.items():
        for body in ({}, {"content": "{", "headers": {"Content-Type": "application/json"}}):
            response = await send(office, endpoint, call, token, **body)
            assert error_of(response, 401)["code"] == code, "whatever else is wrong"


@those("anybody")
async def test_what_is_for_anybody_needs_no_token_and_minds_none(office: Office, endpoint: Endpoint) -> None:
    for token in ("", "nonsense"):
        response = await send(office, endpoint, await endpoint.prepare(office), token)
        assert response.status_code in (endpoint.status, 503 if endpoint.path == "/health/ready" else 0), (
            response.text
        )


@those("admin")
async def test_without_the_role_admin_nobody_comes_in(office: Office, endpoint: Endpoint) -> None:
    call = await endpoint.prepare(office)
    for role in (Role.LAWYER, Role.STAFF):
        assert (
            error_of(await send(office, endpoint, call, await office.api.token(role)), 403)["code"]
            == "forbidden"
        )


@closed
async def test_a_key_does_only_what_it_is_for(office: Office, endpoint: Endpoint) -> None:
    call = await endpoint.prepare(office)
    admin = endpoint.who.startswith("admin")
    user_id = await id_of(office.root) if admin else office.lawyer_id
    if endpoint.who.endswith("session"):
        response = await send(office, endpoint, call, await key_of(office, user_id, "admin"))
        assert "signed in" in error_of(response, 403)["message"]
        return
    if endpoint.scope is not None:
        kind, _, what = endpoint.scope.partition(":")
        good = {endpoint.scope, "admin", f"{kind}:write"} if what == "read" else {endpoint.scope, "admin"}
        others = [scope for scope in Scope if scope not in good]
        response = await send(office, endpoint, call, await key_of(office, user_id, *others))
        assert endpoint.scope in error_of(response, 403)["message"] or "role admin" in response.text
    right = await send(office, endpoint, call, await key_of(office, user_id, endpoint.scope or "queues:read"))
    assert right.status_code == endpoint.status, right.text


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.stranger], ids=str)
async def test_another_firm_learns_nothing(office: Office, endpoint: Endpoint) -> None:
    call = await endpoint.prepare(office)
    stranger = office.stranger.headers["authorization"].removeprefix("Bearer ")
    response = await send(office, endpoint, call, stranger)
    error_of(response, endpoint.stranger)
    elsewhere = {name: "https://no.example" for name in call.query if name == "endpoint"}
    missing = await send(office, endpoint, Call(query=call.query | elsewhere, sent=call.sent), stranger)
    assert response.status_code == missing.status_code, "as if there were nothing"


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if "{" in each.path], ids=str)
async def test_what_is_not_there_is_a_404(office: Office, endpoint: Endpoint) -> None:
    response = await send(office, endpoint, Call(sent=(await endpoint.prepare(office)).sent))
    assert response.status_code == endpoint.unknown, response.text
    if endpoint.unknown == 200:
        assert response.json()["data"] == {"marked": 0}


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.bad], ids=str)
async def test_a_bad_body_is_a_400_that_names_the_field(office: Office, endpoint: Endpoint) -> None:
    call = await endpoint.prepare(office)
    for bad in endpoint.bad:
        sent: dict[str, Any] = {"content": bad} if isinstance(bad, str) else {"json": bad}
        response = await send(office, endpoint, call, headers={"Content-Type": "application/json"}, **sent)
        error = error_of(response, 400)
        assert error["code"].startswith("bad_"), f"{bad!r}: {error}"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        response = await send(office, endpoint, call, content="a=b", headers={"Content-Type": kind})
        assert error_of(response, 415)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.bad_query], ids=str)
async def test_a_bad_query_is_a_400(office: Office, endpoint: Endpoint) -> None:
    call = await endpoint.prepare(office)
    for query in endpoint.bad_query:
        error_of(await send(office, endpoint, call, query=query or "more=1"), 400)


@every
async def test_a_right_call_succeeds(office: Office, endpoint: Endpoint) -> None:
    call = await endpoint.prepare(office)
    if endpoint.path == "/health/ready":
        service = office.api.service
        async with make_worker(service.definitions["cleanup"], service.queue("cleanup")):
            response = await send(office, endpoint, call)
            assert response.status_code in (200, 503), "what it found a moment ago is kept"
        return
    response = await send(office, endpoint, call)
    assert response.status_code == endpoint.status, response.text
    assert response.headers.get("content-type", "").partition(";")[0] == endpoint.kind
    if endpoint.kind == "application/json" and not endpoint.path.startswith("/health"):
        assert response.json()["success"] is True


@every
async def test_no_other_method_is_answered(office: Office, endpoint: Endpoint, schema: ApiSchema) -> None:
    url = endpoint.url()
    known = {method for method, path in schema.operations if _fits(path, url)}
    if endpoint.path == "/files/{token}" or endpoint.path.startswith("/t/"):
        known.add("HEAD")
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD"} - known:
        response = await office.root.request(method, url)
        check_any_answer(response)
        assert response.status_code == 405, f"{method}: {response.text}"
        assert {each.strip() for each in response.headers["allow"].split(",")} == known
        if method != "HEAD":
            assert error_of(response)["code"] == "method_not_allowed"


def _fits(path: str, url: str) -> bool:
    """Whether a path of the description is that of an address."""
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), url) is not None


@every
async def test_the_description_tells_of_every_error(endpoint: Endpoint, schema: ApiSchema) -> None:
    operation = schema.operation(endpoint.method, endpoint.path)
    expected = {str(endpoint.status)}
    if endpoint.who != "anybody":
        expected |= {"401", "503"}
        assert operation["security"] == [{"bearer": []}]
    else:
        assert "security" not in operation
    if endpoint.scope or endpoint.who.endswith("session"):
        expected.add("403")
    if endpoint.bad or endpoint.bad_query:
        expected.add("400")
    if endpoint.bad:
        expected |= {"413", "415"}
    if "{" in endpoint.path:
        expected.add(str(endpoint.unknown))
    assert operation["responses"].keys() >= expected
    assert "422" not in operation["responses"]
    assert operation["description"] or operation["summary"]
