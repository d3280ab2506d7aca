"""What every request gets: an id, headers, limits, and an error that says what went wrong and no more."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from tests.support.web_site import Site, code_of, open_site

from toril.settings import Settings
from toril.web.answers import ok
from toril.web.middleware.deadline import Deadline

#: Nothing here asks much of the database.
pytestmark = pytest.mark.parametrize("site_settings", ["sqlite"], indirect=True)


async def test_every_answer_forbids_what_browsers_should_not_do(site: Site) -> None:
    for path in ("/health/live", "/nothing", "/api/auth/me", "/api/probes/broken"):
        headers = (await site.client.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert (headers.get("cache-control") == "no-store") == path.startswith("/api/")
        assert "strict-transport-security" not in headers
        assert "access-control-allow-origin" not in headers


async def test_a_request_keeps_its_id_or_gets_one(site: Site) -> None:
    given = await site.client.get("/health/live", headers={"X-Request-ID": "trace-1234.a_b"})
    assert given.headers["x-request-id"] == "trace-1234.a_b"
    made = set()
    for bad in ("short", "x" * 65, "with space", 'quote"', ""):
        answer = await site.client.get("/health/live", headers={"X-Request-ID": bad})
        made.add(answer.headers["x-request-id"])
        assert bad not in made
    assert len(made) == 5


async def test_each_request_is_logged_without_secrets(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    user_id = await site.add_user()
    token = (await site.sign_in())["accessToken"]
    caplog.set_level(logging.INFO, logger="toril.web")
    caplog.clear()
    await site.call("GET", f"/api/probes/read?token={token}", token)
    await site.client.get(f"/links/{token}", headers={"X-Request-ID": "my-request"})
    first, second = [record for record in caplog.records if record.getMessage() == "request"]
    wanted = {"method": "GET", "path": "/api/probes/read", "status": 200, "user": user_id}
    assert {name: getattr(first, name) for name in wanted} == wanted
    assert first.ms > 0  # type: ignore[attr-defined]
    assert (second.status, second.request_id, second.user) == (404, "my-request", None)  # type: ignore[attr-defined]
    assert token not in str([vars(record) for record in caplog.records])


async def test_an_unforeseen_error_is_logged_once_and_tells_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    response = await site.client.get("/api/probes/broken")
    assert code_of(response) == (500, "internal_error")
    assert "a secret of the program" not in response.text
    assert response.headers["x-request-id"] in response.text
    broken = [record for record in caplog.records if record.exc_info]
    assert [record.request_id for record in broken] == [response.headers["x-request-id"]]  # type: ignore[attr-defined]


async def test_what_is_not_there_is_told_in_the_same_form(site: Site) -> None:
    assert code_of(await site.client.get("/api/nothing")) == (404, "not_found")
    assert code_of(await site.client.delete("/health/live")) == (405, "method_not_allowed")


async def test_bodies_that_are_too_large_are_refused_however_they_come(site: Site) -> None:
    async def pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b" " * 1024

    headers = {"Content-Type": "application/json"}
    for content in (b" " * 17_000, pieces(17)):
        response = await site.client.post("/api/auth/login", content=content, headers=headers)
        assert code_of(response) == (413, "body_too_large")
    fits = await site.client.post("/api/auth/login", content=pieces(15), headers=headers)
    assert code_of(fits)[0] == 400
    large = await site.client.post("/api/keys", content=b"x" * (16 * 1024 * 1024 + 1), headers=headers)
    assert code_of(large) == (413, "body_too_large")


async def test_bodies_that_do_not_fit_are_told_apart_and_never_repeated(site: Site) -> None:
    async def post(content: str, kind: str = "application/json") -> httpx.Response:
        headers = {"Content-Type": kind} if kind else {}
        return await site.client.post("/api/auth/login", content=content, headers=headers)

    assert code_of(await post("{")) == (400, "bad_json")
    assert code_of(await post("a=b", "application/x-www-form-urlencoded")) == (415, "unsupported_media_type")
    assert code_of(await post("[]")) == (400, "bad_request")
    assert code_of(await post("")) == (400, "bad_request")
    wrong = await post(json.dumps({"email": "a@b.c", "password": {"hunter2": 1}, "more": "hunter3"}))
    assert code_of(wrong) == (400, "bad_request")
    assert [each["field"] for each in wrong.json()["error"]["details"]] == ["body.password", "body.more"]
    assert "hunter" not in wrong.text


async def test_an_answer_that_does_not_begin_in_time_is_a_503(site: Site) -> None:
    app = FastAPI()
    cancelled = asyncio.Event()

    @app.get("/never")
    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    transport = httpx.ASGITransport(Deadline(app, seconds=0.05))
    async with httpx.AsyncClient(transport=transport, base_url="http://toril.example") as client:
        response = await client.get("/never")
    assert code_of(response) == (503, "too_slow")
    assert response.headers["retry-after"] == "2"
    assert cancelled.is_set()


async def test_a_request_that_is_too_slow_is_logged_without_its_token(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    transport = httpx.ASGITransport(Deadline(never, seconds=0.05))
    async with httpx.AsyncClient(transport=transport, base_url="http://toril.example") as client:
        await client.get(f"/files/{'s3cret' * 20}")
    [told] = [record for record in caplog.records if record.message == "request_too_slow"]
    assert "s3crets3cret" not in str(vars(told))


@pytest.mark.parametrize("levels", [300, 990, 5000])
async def test_what_is_nested_too_deep_is_cut_off(site: Site, levels: int) -> None:
    deep: Any = "bottom"
    for _ in range(levels):
        deep = [deep]
    written = json.loads(ok({"deep": deep, "beside": 2**70}).body)["data"]
    assert written["beside"] == 2**70
    assert "…" in str(written["deep"])


async def test_pages_of_other_origins_call_only_when_allowed(site_settings: Settings) -> None:
    allowed = replace(
        site_settings, cors_origins=("https://app.firm.example/",), public_url="https://api.example"
    )
    async with open_site(allowed) as site:
        for origin, answer in (
            ("https://app.firm.example", "https://app.firm.example"),
            ("https://other.example", None),
        ):
            response = await site.client.get("/health/live", headers={"Origin": origin})
            assert response.headers.get("access-control-allow-origin") == answer
        assert response.headers["strict-transport-security"]


async def test_pages_of_allowed_origins_may_go_on_with_events_and_read_every_error(
    site_settings: Settings,
) -> None:
    origin = "https://app.firm.example"
    async with open_site(replace(site_settings, cors_origins=(origin,))) as site:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization, last-event-id, range, if-none-match",
        }
        preflight = await site.client.options("/api/queues/pdf/events", headers=asked)
        assert preflight.status_code == 200, preflight.text
        broken = await site.client.get("/api/probes/broken", headers={"Origin": origin})
        assert broken.status_code == 500
        assert broken.headers["access-control-allow-origin"] == origin


async def test_the_description_tells_errors_with_examples(site: Site) -> None:
    described = (await site.client.get("/api/openapi.json")).json()
    login = described["paths"]["/api/auth/login"]["post"]["responses"]
    assert {"200", "400", "401", "413", "415", "429", "503"} <= set(login)
    for status in ("401", "503"):
        example: dict[str, Any] = login[status]["content"]["application/json"]["example"]
        assert example["success"] is False
    assert "422" not in login
