"""The queue endpoints in somebody else's application, behind their own authentication."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Header, HTTPException
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from tests.support.queue_api import client_of, escaped

from toril.queues.base import JobType, Payload, QueueDefinition, RunningJob
from toril.service import QueueService
from toril.web import admin_router
from toril.web.middleware.body_limit import LARGEST


class Greeting(Payload):
    name: str


async def greet(payload: Greeting, job: RunningJob) -> dict[str, Any]:
    return {"text": f"Hello {payload.name}"}


GREETINGS = QueueDefinition(
    name="greetings", types={"greet": JobType(name="greet", payload=Greeting, process=greet)}
)
DATA = {"type": "greet", "data": {"name": "Ada"}}
KEY = {"X-Key": "open sesame"}


async def key(x_key: Annotated[str | None, Header()] = None) -> None:
    """Somebody's own way to let people in."""
    if x_key != "open sesame":
        raise HTTPException(401, "who are you?")


async def nobody() -> None:
    raise HTTPException(403, "look, do not touch")


@pytest.fixture
async def service(start_server: Any, prefix: str) -> AsyncIterator[QueueService]:
    async with QueueService(
        [GREETINGS], url=start_server("valkey").url, prefix=prefix, patience=0.25
    ) as opened:
        yield opened


def in_fastapi(router: APIRouter) -> FastAPI:
    app = FastAPI()
    app.include_router(router, prefix="/ops")
    return app


def in_starlette(router: APIRouter) -> Starlette:
    inner = FastAPI()
    inner.include_router(router)

    async def home(_: Any) -> PlainTextResponse:
        return PlainTextResponse("home")

    return Starlette(routes=[Route("/", home), Mount("/ops", inner)])


@pytest.mark.parametrize("mount", [in_fastapi, in_starlette])
async def test_the_endpoints_work_under_a_prefix(mount: Any, service: QueueService) -> None:
    app = mount(admin_router(service, authorize=key, prefix="/queues"))
    async with client_of(app) as client:
        client.headers.update(KEY)
        listed = (await client.get("/ops/queues")).json()
        assert [queue["name"] for queue in listed["data"]] == ["greetings"]
        options = {"jobId": "a/b:c"}
        response = await client.post("/ops/queues/greetings/jobs", json={"data": DATA, "options": options})
        assert response.status_code == 201, response.text
        at = f"/ops/queues/greetings/jobs/{escaped('a/b:c')}"
        assert (await client.get(at)).json()["data"]["data"] == DATA
        assert (await client.get(f"{at}/logs")).json()["data"]["count"] == 0
        found = (await client.get("/ops/queues/greetings/jobs/search?q=ada")).json()
        assert found["count"] == 1
        assert (await client.get("/ops/queues/greetings/jobs/export")).headers["cache-control"] == "no-store"
        assert (await client.delete(at)).status_code == 200


@pytest.mark.parametrize("mount", [in_fastapi, in_starlette])
async def test_errors_have_the_same_form_everywhere(mount: Any, service: QueueService) -> None:
    app = mount(admin_router(service, authorize=key, prefix="/queues"))
    async with client_of(app) as client:
        refused = await client.get("/ops/queues")
        assert (refused.status_code, refused.json()) == (401, {"detail": "who are you?"})
        client.headers.update(KEY)
        for status, code, method, path, body in [
            (404, "queue_not_found", "GET", "/ops/queues/x", None),
            (404, "job_not_found", "GET", "/ops/queues/greetings/jobs/x", None),
            (400, "bad_option", "GET", "/ops/queues/greetings/jobs?status=x", None),
            (400, "bad_request", "GET", "/ops/queues/greetings/jobs?start=x", None),
            (400, "bad_request", "POST", "/ops/queues/greetings/jobs", {"date": 1}),
            (400, "bad_payload", "POST", "/ops/queues/greetings/jobs", {"data": {"type": "greet"}}),
        ]:
            response = await client.request(method, path, json=body)
            assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text


@pytest.mark.parametrize("mount", [in_fastapi, in_starlette])
async def test_a_body_without_an_end_is_refused_everywhere(mount: Any, service: QueueService) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 4 * LARGEST:
            sent += 1_000_000
            yield b" " * 1_000_000

    async with client_of(mount(admin_router(service, authorize=key, prefix="/queues"))) as client:
        headers = {**KEY, "Content-Type": "application/json"}
        response = await client.post("/ops/queues/greetings/jobs", content=endless(), headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
    assert sent < LARGEST + 2_000_000


async def test_changes_can_be_kept_from_people_and_written_down(service: QueueService) -> None:
    written: list[tuple[str, str, str, Mapping[str, Any]]] = []

    async def record(request: HTTPConnection, action: str, target: str, details: Mapping[str, Any]) -> None:
        counts = await service.get_job_counts("greetings")
        assert counts["waiting"] == 0, "written down before it is done"
        written.append((request.headers["x-key"], action, target, details))

    app = in_fastapi(admin_router(lambda: service, authorize=key, record=record))
    async with client_of(app) as client:
        client.headers.update(KEY)
        body = {"data": DATA, "options": {"jobId": "mine"}}
        assert (await client.post("/ops/api/queues/greetings/jobs", json=body)).status_code == 201
        assert (await client.get("/ops/api/queues")).status_code == 200
    assert written == [("open sesame", "job.add", "greetings/mine", {"type": "greet"})]

    app = in_fastapi(admin_router(service, authorize=key, authorize_write=nobody))
    async with client_of(app) as client:
        client.headers.update(KEY)
        assert (await client.get("/ops/api/queues/greetings")).status_code == 200
        for path in ("pause", "empty", "jobs", "retry/mine"):
            assert (await client.post(f"/ops/api/queues/greetings/{path}", json={})).status_code == 403
        assert (await client.delete("/ops/api/queues/greetings/jobs/mine")).status_code == 403
    assert (await service.get_job_counts("greetings"))["waiting"] == 1


async def test_a_lost_server_is_a_503_with_a_time_to_come_back(tmp_path: Path) -> None:
    async with (
        QueueService([GREETINGS], url=f"unix://{tmp_path}/none.sock", patience=0.1) as service,
        client_of(in_fastapi(admin_router(service, authorize=key))) as client,
    ):
        client.headers.update(KEY)
        response = await client.get("/ops/api/queues")
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert response.json()["error"]["code"] == "queue_unavailable"
    assert str(tmp_path) not in response.text
