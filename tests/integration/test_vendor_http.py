"""The client of outside services against a real server: limits, lost answers, and what is kept secret."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import tracemalloc
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from toril.errors import (
    ConfigurationError,
    NotConfiguredError,
    RetryableError,
    TorilError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.sync.http import VendorClient
from toril.testing.vendors.server import Reply, VendorRequest, VendorServer, vendor_server

KEY = "sk_live_do_not_show"


def echo(request: VendorRequest) -> Reply:
    return Reply(
        200, {"path": request.path, "query": request.query, "amount": 1.50}, {"set-cookie": "firm=a"}
    )


@pytest.fixture
async def server() -> AsyncIterator[VendorServer]:
    async with vendor_server(echo) as running:
        yield running


@pytest.fixture
async def client(server: VendorServer) -> AsyncIterator[VendorClient]:
    made = VendorClient("Acme", server.url, read_timeout=5, total_timeout=5)
    yield made
    await made.close()


async def ask(client: VendorClient, **changes: Any) -> Any:
    options: dict[str, Any] = {"operation": "reading a payment", "repeatable": True} | changes
    return await client.request(options.pop("method", "GET"), options.pop("path", "/payments/1"), **options)


async def test_an_answer_comes_back_with_exact_numbers(client: VendorClient, server: VendorServer) -> None:
    answer = await ask(client, params={"page": 2}, secret_headers={"Authorization": f"Bearer {KEY}"})
    assert answer.object() == {"path": "/payments/1", "query": {"page": "2"}, "amount": Decimal("1.5")}
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].headers["user-agent"].startswith("toril/")


async def test_bodies_go_out_as_json_as_a_form_or_as_they_are(
    client: VendorClient, server: VendorServer
) -> None:
    await ask(client, method="POST", json={"a": 1})
    await ask(client, method="POST", form={"grant_type": "client_credentials"}, auth=("id", "secret"))
    await ask(client, method="POST", content=b"\x00\x01")
    first, second, third = server.requests
    assert first.json == {"a": 1}
    assert second.body == b"grant_type=client_credentials"
    assert second.headers["authorization"] == "Basic aWQ6c2VjcmV0"
    assert third.body == b"\x00\x01"


async def test_cookies_of_one_firm_do_not_go_out_for_another(
    client: VendorClient, server: VendorServer
) -> None:
    await ask(client)
    await ask(client)
    assert "cookie" not in server.requests[1].headers


async def test_a_redirect_is_an_answer_and_not_followed(client: VendorClient, server: VendorServer) -> None:
    server.script.append(Reply(302, b"", {"location": "/elsewhere"}))
    assert (await ask(client)).status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize("step", ["drop", "refuse", "cut"])
@pytest.mark.parametrize(("repeatable", "kind"), [(True, RetryableError), (False, UnknownOutcomeError)])
async def test_a_lost_answer_is_asked_for_again_only_if_that_is_safe(
    client: VendorClient, server: VendorServer, step: str, repeatable: bool, kind: type[TorilError]
) -> None:
    server.script.append(step)
    with pytest.raises(kind, match="Acme did not answer reading a payment"):
        await ask(client, repeatable=repeatable)
    assert len(server.requests) == 1


@pytest.mark.parametrize("step", ["hang", "drip"])
@pytest.mark.parametrize(("repeatable", "kind"), [(True, RetryableError), (False, UnknownOutcomeError)])
async def test_the_whole_request_has_a_deadline(
    server: VendorServer, step: str, repeatable: bool, kind: type[TorilError]
) -> None:
    server.script.append(step)
    client = VendorClient("Acme", server.url, total_timeout=0.3)
    with pytest.raises(kind, match=r"no whole answer within 0\.3 s"):
        await ask(client, repeatable=repeatable)
    await client.close()


async def test_each_read_has_a_limit(server: VendorServer) -> None:
    server.script.append("hang")
    client = VendorClient("Acme", server.url, read_timeout=0.1)
    with pytest.raises(UnknownOutcomeError, match="ReadTimeout"):
        await ask(client, repeatable=False)
    await client.close()


async def test_what_was_never_sent_may_be_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        client = VendorClient("Acme", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(RetryableError, match="was not sent"):
            await ask(client, repeatable=False)
        await client.close()


async def test_a_deadline_while_waiting_for_a_connection_means_not_sent(server: VendorServer) -> None:
    server.hold = asyncio.Event()
    client = VendorClient("Acme", server.url, total_timeout=30, connections=1)
    first = asyncio.create_task(ask(client, repeatable=False))
    await server.arrived.wait()
    client.total_timeout = 0.2
    with pytest.raises(RetryableError, match="was not sent"):
        await ask(client, repeatable=False)
    assert len(server.requests) == 1
    server.hold.set()
    await first
    await client.close()


@pytest.mark.parametrize(
    ("repeatable", "kind"), [(True, UnrecoverableError), (False, UnknownOutcomeError)], ids=["read", "write"]
)
async def test_a_body_without_end_is_not_read(
    server: VendorServer, repeatable: bool, kind: type[TorilError]
) -> None:
    server.script.append(Reply(200, b"x" * 5000))
    client = VendorClient("Acme", server.url, body_limit=4096)
    with pytest.raises(kind, match="more than 4096 bytes") as caught:
        await ask(client, repeatable=repeatable)
    assert type(caught.value) is kind
    await client.close()


def packed(text: bytes, encoding: str = "gzip") -> Reply:
    for _ in encoding.split(","):
        text = gzip.compress(text)
    return Reply(200, text, {"content-encoding": encoding})


async def test_a_packed_answer_is_unpacked(client: VendorClient, server: VendorServer) -> None:
    several = packed(b'{"a": ')
    server.script += [
        packed(b'{"a": 1}'),
        Reply(200, several.body + gzip.compress(b"2}"), several.headers),
        Reply(204, b"", {"content-encoding": "gzip"}),
    ]
    assert [(await ask(client)).content for _ in range(3)] == [b'{"a": 1}', b'{"a": 2}', b""]
    assert server.requests[0].headers["accept-encoding"] == "gzip"


async def test_what_is_packed_as_nobody_asked_stays_so(client: VendorClient, server: VendorServer) -> None:
    server.script += [packed(b"{}", "gzip, gzip"), packed(b"{}", "br"), packed(b"{}", "utf-8")]
    answers = [await ask(client) for _ in range(3)]
    assert [answer.json_or_none() for answer in answers] == [None, None, None]


async def test_a_little_that_unpacks_to_very_much_is_not_unpacked(server: VendorServer) -> None:
    server.script.append(packed(b"0" * 30_000_000))
    client = VendorClient("Acme", server.url, body_limit=4096)
    tracemalloc.start()
    try:
        with pytest.raises(UnrecoverableError, match="more than 4096 bytes"):
            await ask(client)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
        await client.close()


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(200, b"{}", {"content-encoding": "gzip"}), id="not packed at all"),
        pytest.param(
            Reply(200, gzip.compress(b'{"a": 1}' * 100)[:-9], {"content-encoding": "gzip"}), id="cut short"
        ),
    ],
)
async def test_an_answer_that_cannot_be_unpacked_is_asked_for_again(
    client: VendorClient, server: VendorServer, reply: Reply
) -> None:
    server.script += [reply, "work"]
    with pytest.raises(RetryableError, match="DecodingError"):
        await ask(client)
    assert (await ask(client)).is_success


async def test_secrets_are_neither_logged_nor_repeated(
    client: VendorClient, server: VendorServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script.append(Reply(400, {"message": f"key {KEY} unknown"}))
    with caplog.at_level(logging.DEBUG):
        answer = await ask(
            client,
            path=f"/v6/{KEY}/latest",
            params={"k": KEY},
            secret_headers={"Authorization": f"Bearer {KEY}"},
        )
    assert "[secret]" in str(answer)
    assert KEY not in str(answer) + repr(answer) + caplog.text
    logged = [vars(record) for record in caplog.records if record.name == "toril.queues.sync"]
    assert [(line["vendor"], line["operation"], line["status"]) for line in logged] == [
        ("Acme", "reading a payment", 400)
    ]


@pytest.mark.parametrize("value", ["sk\nlive", "sk_مفتاح", " sk_live"])
async def test_a_secret_that_cannot_be_sent_is_a_matter_of_configuration(
    client: VendorClient, server: VendorServer, value: str
) -> None:
    with pytest.raises(NotConfiguredError, match="the header apiKey") as caught:
        await ask(client, secret_headers={"apiKey": value})
    assert value.strip() not in str(caught.value)
    assert not server.requests


@pytest.mark.parametrize("url", ["http://acme.example", "ftp://localhost", "acme.example", ""])
def test_a_base_url_that_shows_secrets_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be https"):
        VendorClient("Acme", url)


async def test_a_cancelled_request_stays_cancelled(client: VendorClient, server: VendorServer) -> None:
    server.hold = asyncio.Event()
    task = asyncio.create_task(ask(client))
    await server.arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
