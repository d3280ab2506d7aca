"""Input that nobody sends by accident: every endpoint answers it as any other, and goes on."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_schema import check_any_answer, error_of
from tests.support.databases import KINDS, Databases
from tests.support.queue_api import open_api
from tests.support.web_people import Office, open_office
from tests.web.application_endpoints import ENDPOINTS, NOBODY, SETTINGS
from tests.web.calls import good_call, sender
from tests.web.endpoints import ENDPOINTS as QUEUE_ENDPOINTS

from toril.db.ids import new_id

#: One application for all: nothing of this may break it.
pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Those whose answer has an end.
ALL = [each for each in (*ENDPOINTS, *QUEUE_ENDPOINTS) if not each.path.endswith("/events")]
WITH_BODY = [each for each in ALL if each.bad]
WITH_PARTS = [each for each in ALL if "{" in each.path]
JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def office(
    request: pytest.FixtureRequest,
    start_server: Any,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Office]:
    home, database_url = tmp_path_factory.mktemp("office"), await databases.fresh(request.param)
    opened = open_api(start_server("valkey").url, f"t{new_id()}", home, database_url=database_url, **SETTINGS)
    async with opened as api, open_office(api) as filled:
        yield filled


def texts_for(good: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Bodies that are odd as a whole, and good ones with one odd value."""
    yield "not a number", b"NaN"
    yield "a number past all", b"1e999"
    yield "a long number", b"9" * 5000
    yield "deep lists", b"[" * 10_000
    yield "deep lists, closed", b"[" * 10_000 + b"]" * 10_000
    yield "deep objects", b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    yield "invalid UTF-8", b'{"a": "\xff\xfe"}'
    yield "UTF-16", json.dumps(good).encode("utf-16")
    yield "a NUL", b"\0"
    yield "two values", b"{} {}"
    yield "half a pair as a name", b'{"\\ud800": 1}'
    values = (
        b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"-0.0", b'"\\ud800"', b'"\\u0000"', b'"a\\u0000b"', b"[]",
        b"[[]]", b"{}", b"null", b"true", b'""', b'"' + b"x" * 100_000 + b'"', b"[" * 5000 + b"]" * 5000,
        '"\u202e\u0000\ufeff"'.replace("\0", "\\u0000").encode(), b'"\\r\\nSet-Cookie: a=b"',
    )  # fmt: skip
    for name in good:
        rest = {key: value for key, value in good.items() if key != name}
        start = json.dumps(rest).encode()[:-1] + (b", " if rest else b"")
        for value in values:
            yield f"{name} is {value[:20]!r}", start + json.dumps(name).encode() + b": " + value + b"}"
        yield f"{name} twice", start + b'"%b": 1, "%b": 2}' % (name.encode(), name.encode())


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=str)
async def test_an_odd_body_breaks_nothing(office: Office, endpoint: Any) -> None:
    url, good = await good_call(office, endpoint)
    async with await sender(office, endpoint) as client:
        for what, text in texts_for(good):
            response = await client.request(endpoint.method, url, content=text, headers=JSON)
            check_any_answer(response)
            assert response.status_code != 503, f"{what}: {response.text}"
            small = response.status_code == 413 and endpoint.path.startswith("/api/auth/")
            if what.split(" is ")[0] not in good and " twice" not in what and not small:
                assert error_of(response, 400), what


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=str)
async def test_a_body_in_another_form_is_a_415(office: Office, endpoint: Any) -> None:
    url, good = await good_call(office, endpoint)
    kinds = ("text/json-no", "application/xml", "application/json, text/plain", "json", "multipart/form-data")
    async with await sender(office, endpoint) as client:
        for kind in kinds:
            response = await client.request(
                endpoint.method, url, content=json.dumps(good), headers={"Content-Type": kind}
            )
            assert error_of(response, 415)["code"] == "unsupported_media_type", kind
        zipped = gzip.compress(json.dumps(good).encode())
        response = await client.request(
            endpoint.method, url, content=zipped, headers={**JSON, "Content-Encoding": "gzip"}
        )
        assert "Content-Encoding" in error_of(response, 415)["message"]


PARTS = (
    "%2F", "a%2Fb", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%00", "a%00b", "%0d%0aSet-Cookie:%20a=b", "x" * 5000, "%FF%FE",
    "%ED%A0%80", "%E2%80%AE", "'%20OR%201=1--", "%7B%7D", "%25", "%252F", "*", "%3F", "%23", ";a=b", "null", "-1", "🧾",
)  # fmt: skip


@pytest.mark.parametrize("endpoint", WITH_PARTS, ids=str)
async def test_an_odd_id_is_of_nothing(office: Office, endpoint: Any) -> None:
    names = re.findall(r"\{(\w+)\}", endpoint.path)
    async with await sender(office, endpoint) as client:
        for name in names:
            for part in PARTS:
                url = endpoint.url(**(dict.fromkeys(names, NOBODY) | {name: part}))
                body = getattr(endpoint, "body", None) or {}
                response = await client.request(endpoint.method, url, json=body)
                check_any_answer(response)
                if response.status_code == 307:  # an empty part at the end
                    assert part == "%2F"
                    assert response.headers["location"].startswith("http://toril.example/api/")
                elif b"marked" not in response.content:
                    assert response.status_code in (400, 403, 404, 405), f"{part}: {response.text}"


@pytest.mark.parametrize("endpoint", ALL, ids=str)
async def test_an_odd_query_breaks_nothing(
    office: Office, endpoint: Any, parameters: dict[str, list[str]]
) -> None:
    url, good = await good_call(office, endpoint)
    names = [*parameters[str(endpoint)], "__proto__[a]"]
    values = (
        "", "%00", "%FF", "٣", "1_000", "+1", "1e3", "0x10", "9" * 400, "-" + "9" * 30, "NaN", "x" * 20_000, "[]",
        "2026-13-45", "true", "%0d%0aX:1", "%F0%9F%A7%BE", "%ED%A0%80",
    )  # fmt: skip
    async with await sender(office, endpoint) as client:
        path = url.partition("?")[0]
        for name in names:
            for value in values:
                sent = {"json": good} if good else {}
                response = await client.request(endpoint.method, f"{path}?{name}={value}", **sent)
                check_any_answer(response)
                if endpoint.path != "/health/ready" and response.status_code == 503:
                    pytest.fail(f"{name}={value}: {response.text}")


@pytest.fixture(scope="module")
def parameters(office: Office) -> dict[str, list[str]]:
    """The names that each endpoint knows in a query."""
    return {
        f"{method.upper()} {path}": [
            each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
        ]
        for path, methods in office.api.app.openapi()["paths"].items()
        for method, operation in methods.items()
    }


async def test_after_all_this_it_answers_as_before(office: Office) -> None:
    assert (await office.lawyer.get("/api/auth/me")).status_code == 200
    assert (await office.root.get("/api/queues")).status_code == 200
