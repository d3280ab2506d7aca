"""The answers of the queue endpoints, compared with the API's description; and the description as a whole."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_schema import ApiSchema, check_any_answer, error_of
from tests.support.queue_api import Api, client_of, module_api
from tests.web.endpoints import ENDPOINTS, Endpoint

from toril.db.models import ApiKey, Role
from toril.web.auth.principal import Scope
from toril.web.auth.secrets import hash_of, new_api_key

pytestmark = pytest.mark.asyncio(loop_scope="module")
queues_api = module_api

every = pytest.mark.parametrize(
    "endpoint", [each for each in ENDPOINTS if not each.path.endswith("/events")], ids=str
)


@pytest.fixture(scope="module")
def schema(queues_api: Api) -> ApiSchema:
    return ApiSchema(queues_api.app.openapi())


@every
async def test_a_right_call_is_answered_as_described(
    queues_api: Api, endpoint: Endpoint, schema: ApiSchema
) -> None:
    url = endpoint.url(**await endpoint.prepare(queues_api))
    body = {"json": endpoint.body} if endpoint.body else {}
    response = await queues_api.client.request(endpoint.method, url, **body)
    assert response.status_code == endpoint.status, response.text
    schema.check(endpoint.method, endpoint.path, response)


@every
async def test_a_call_that_is_refused_is_answered_as_described(
    queues_api: Api, endpoint: Endpoint, schema: ApiSchema
) -> None:
    values = await endpoint.prepare(queues_api)
    good: dict[str, Any] = {"json": endpoint.body} if endpoint.body else {}
    calls = [(endpoint.url(), good), (endpoint.url(name="cleanups"), good)]
    for bad in endpoint.bad:
        sent = {"content": bad} if isinstance(bad, str) else {"json": bad}
        calls.append((endpoint.url(**values), {"headers": {"Content-Type": "application/json"}, **sent}))
    calls += [(f"{endpoint.url(**values).partition('?')[0]}?{query}", good) for query in endpoint.bad_query]
    for url, request in calls:
        response = await queues_api.client.request(endpoint.method, url, **request)
        schema.check(endpoint.method, endpoint.path, response)
    for token in (None, "nonsense", await queues_api.token(Role.LAWYER)):
        async with client_of(queues_api.app, token) as client:
            response = await client.request(endpoint.method, endpoint.url(**values), **good)
        assert response.status_code in (401, 403)
        schema.check(endpoint.method, endpoint.path, response)


@every
async def test_a_key_does_only_what_it_is_for(
    queues_api: Api, endpoint: Endpoint, keys: dict[str, str], schema: ApiSchema
) -> None:
    values = await endpoint.prepare(queues_api)
    good: dict[str, Any] = {"json": endpoint.body} if endpoint.body else {}
    right = ("queues:write", "admin") if endpoint.changes else ("queues:read", "queues:write", "admin")
    for scope, key in keys.items():
        if scope in right and scope != right[0]:
            continue  # the same once more
        async with client_of(queues_api.app, key) as client:
            response = await client.request(endpoint.method, endpoint.url(**values), **good)
        schema.check(endpoint.method, endpoint.path, response)
        assert response.status_code == (endpoint.status if scope in right else 403), (
            f"{scope}: {response.text}"
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys(queues_api: Api) -> dict[str, str]:
    """An administrator's key of each scope."""
    user_id = (await queues_api.call("GET", "/api/auth/me"))["data"]["id"]
    made = {str(scope): new_api_key() for scope in sorted(Scope)}
    async with queues_api.web.installation.database.session() as session:
        for scope, (secret, hint) in made.items():
            session.add(
                ApiKey(user_id=user_id, name=scope, key_hash=hash_of(secret), hint=hint, scopes=[scope])
            )
    return {scope: secret for scope, (secret, _) in made.items()}


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/nothing", "/api/queues/cleanup/jobs/a/b", "/t/x/y", "/files"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
async def test_a_path_that_is_none_is_a_404_like_any_other(queues_api: Api, method: str, path: str) -> None:
    response = await queues_api.client.request(method, path)
    check_any_answer(response)
    assert error_of(response, 404)["code"] == "not_found"


async def test_exported_jobs_are_as_described(queues_api: Api, schema: ApiSchema) -> None:
    await queues_api.add(2)
    for kind, said in {"csv": "text/csv", "json": "application/json"}.items():
        path = f"/api/queues/cleanup/jobs/export?status=waiting&format={kind}"
        response = await queues_api.client.get(path)
        assert response.headers["content-type"].partition(";")[0] == said
        schema.check("GET", "/api/queues/{name}/jobs/export", response)


async def test_whatever_takes_a_body_tells_how_it_is_refused(schema: ApiSchema) -> None:
    for method, path in schema.operations:
        operation = schema.operation(method, path)
        if "requestBody" in operation:
            assert operation["responses"].keys() >= {"400", "413", "415"}, f"{method} {path}"
            assert operation["requestBody"]["content"]["application/json"]["schema"]
        if path.startswith("/api/queues"):
            assert operation["security"] == [{"bearer": []}]


async def test_the_description_is_whole(queues_api: Api, schema: ApiSchema) -> None:
    ids = [schema.operation(*each)["operationId"] for each in schema.operations]
    assert len(set(ids)) == len(ids)
    text = (await queues_api.client.get("/api/openapi.json")).text
    for part in {each.partition('"')[0] for each in text.split("#/components/schemas/")[1:]}:
        assert part in schema.document["components"]["schemas"]
