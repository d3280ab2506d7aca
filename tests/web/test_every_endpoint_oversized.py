"""Every endpoint that the API describes, and every type of job, with far more of everything than anybody needs: the
answer is short, and nobody else waits for it. A new endpoint or type is in here by itself.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.support.databases import Databases
from tests.support.described_api import Operation, operations
from tests.support.loop_turns import keeps_nobody_waiting
from tests.support.payload_cases import SAMPLES, sample
from tests.support.queue_api import open_api
from tests.support.web_people import Office, open_office
from tests.web.application_endpoints import SETTINGS

from toril.db.ids import new_id
from toril.settings import Settings
from toril.web import create_app

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Bytes of the longest answer to a request that is refused.
LONGEST = 100_000

#: Fewer values than are refused unread, and far more than fit anywhere.
MANY = 150_000
JSON = {"Content-Type": "application/json"}
EVERYTHING = operations(create_app(Settings(home=Path("nowhere"), secret="s" * 40)).openapi())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    start_server: Any, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    home, database_url = tmp_path_factory.mktemp("oversized"), await databases.fresh("sqlite")
    opened = open_api(start_server("valkey").url, f"t{new_id()}", home, database_url=database_url, **SETTINGS)
    async with opened as api, open_office(api) as filled:
        yield filled


@cache
def heaps() -> Mapping[str, bytes]:
    """Values of JSON that are large, each in its own way."""
    names = b",".join(b'"unheardOf%d":1' % number for number in range(MANY))
    return {
        "unknown fields": b"{" + names + b"}",
        "a list of objects": b"[" + b"{}," * MANY + b"{}]",
        "a list of texts": b"[" + b'"a",' * MANY + b'"a"]',
        "a list that the fast reader refuses": b"[1" + b"0" * 30 + b",1.5" * MANY + b"]",
        "a long text": b'"' + b"x" * 9_000_000 + b'"',
        "a long text of escapes": b'"' + b"\\u0001" * 1_500_000 + b'"',
        "a long text that looks like values": b'"' + b"[{,:" * 2_000_000 + b'"',
    }


@cache
def mountains() -> Mapping[str, bytes]:
    """As large as any endpoint takes, and not to be read."""
    return {
        "more unknown fields": b"{" + b",".join(b'"x%d":1' % number for number in range(1_000_000)) + b"}",
        "lists": b"[" + b"[]," * 5_000_000 + b"[]]",
        "numbers": b"[" + b"1," * 7_000_000 + b"1]",
        "texts without commas": b"[" + b"," * MANY * 2 + b'""' * 7_000_000,
        "a text without an end": b"[" + b"," * MANY * 2 + b'"' + b'\\"' * 7_000_000,
        "deep lists": b"[" * 8_000_000 + b"]" * 8_000_000,
        "deep objects": b'{"a":' * 3_000_000,
        "deep, but few": b"[" * 100_000 + b"]" * 100_000,
    }


def in_place(good: Any, path: tuple[str, ...], heap: bytes) -> bytes:
    """The body with a heap in the place of one of its values."""
    return json.dumps(_put(good, path, "HEAP")).encode().replace(b'"HEAP"', heap)


def _put(good: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    return {**good, path[0]: _put(good.get(path[0]), path[1:], value)}


async def refused_soon(
    client: httpx.AsyncClient, method: str, url: str, what: str, **sent: Any
) -> httpx.Response:
    answer = await keeps_nobody_waiting(
        f"{method} {url}, {what}", lambda: client.request(method, url, **sent)
    )
    assert answer.status_code != 500, f"{what}: {answer.text[:500]}"
    if answer.status_code >= 400:
        assert len(answer.content) <= LONGEST, f"{what}: {len(answer.content)} bytes"
    return answer


@pytest.mark.parametrize("operation", [each for each in EVERYTHING if each.has_body], ids=str)
async def test_a_heap_of_anything_keeps_nobody_waiting(office: Office, operation: Operation) -> None:
    url, good = operation.url(_value_of), operation.body()
    takes_much = good is not None and operation.path.startswith("/api/queues")
    for what, heap in [*heaps().items(), *mountains().items()] if takes_much else [*heaps().items()][:1]:
        for path in [(), *((name,) for name in good or ())] if what in heaps() and takes_much else [()]:
            answer = await refused_soon(
                office.root,
                operation.method,
                url,
                f"{what} as {path}",
                content=in_place(good, path, heap),
                headers=JSON,
            )
            assert not takes_much or what in heaps() or answer.status_code in (400, 404, 413), what
            if answer.status_code == 413:
                return  # so is whatever is as large


def _value_of(name: str) -> str:
    return {"name": "report", "service": "moyasar"}.get(name, "nobody")


@pytest.mark.parametrize("operation", EVERYTHING, ids=str)
async def test_long_parameters_keep_nobody_waiting(office: Office, operation: Operation) -> None:
    if operation.is_stream:
        return
    url, long, names = operation.url(_value_of), "x" * 50_000, [*operation.names("query"), "unheardOf"]
    for query in (
        *(f"{name}={long}" for name in names),
        "&".join(f"{names[number % len(names)]}={number}" for number in range(3000)),
        "&".join(f"unheardOf{number}=1" for number in range(3000)),
    ):
        await refused_soon(office.root, operation.method, f"{url}?{query}", query[:30])
    for name in operation.names("path"):
        long_url = operation.url(lambda each, name=name: long if each == name else _value_of(each))  # type: ignore[misc]
        await refused_soon(office.root, operation.method, long_url, f"a long {name}")


@pytest.mark.parametrize(("queue", "type"), SAMPLES)
async def test_a_heap_in_the_data_of_a_job_keeps_nobody_waiting(
    office: Office, queue: str, type: str
) -> None:
    good = {"data": {"type": type, "data": (data := sample(queue, type))}}
    for what, heap in heaps().items():
        # Each kind of heap in one of the fields, and the first in the place of all of them.
        fields = [*data]
        name = fields[[*heaps()].index(what) % len(fields)]
        for path in [("data", "data", name), *([("data", "data")] if what == "unknown fields" else [])]:
            body = in_place(good, path, heap)
            await refused_soon(
                office.root,
                "POST",
                f"/api/queues/{queue}/jobs",
                f"{what} as {path}",
                content=body,
                headers=JSON,
            )
