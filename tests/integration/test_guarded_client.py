"""Requests to untrusted addresses against real servers: where they connect, what they carry, and when they give up."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.notification_tls import Names, client_tls, local_guard, server_tls, under_name

import toril
from toril.errors import RetryableError, UnrecoverableError
from toril.queues.guarded_client import GuardedClient
from toril.queues.ssrf import BlockedAddressError, Guard
from toril.testing.vendors.server import Reply, VendorRequest, VendorServer, vendor_server

NAME, OTHER = "hooks.example.test", "other.example.test"


def took(request: VendorRequest) -> Reply:
    return Reply(200, {"took": len(request.body)})


@pytest.fixture
async def server() -> AsyncIterator[VendorServer]:
    async with vendor_server(took, tls=server_tls(NAME, OTHER)) as running:
        yield running


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def client(names: Names) -> AsyncIterator[GuardedClient]:
    made = GuardedClient(local_guard(names, "https", "http"), tls=client_tls(), body_limit=4096)
    yield made
    await made.close()


async def post(client: GuardedClient, url: str, **changes: Any) -> Any:
    return await client.request("POST", url, **({"content": b"abc", "within": 5.0} | changes))


async def test_the_name_is_kept_in_the_host_header_and_in_tls(
    client: GuardedClient, server: VendorServer
) -> None:
    url = under_name(server.url, NAME)
    answer = await post(client, f"{url}/a?b=c", headers={"X-One": "1", "X-Two": "2"})
    assert (answer.status, answer.content, answer.is_whole) == (200, b'{"took": 3}', True)
    [request] = server.requests
    assert (request.method, request.path, request.query, request.body) == ("POST", "/a", {"b": "c"}, b"abc")
    assert request.headers["host"] == url.removeprefix("https://")
    assert request.headers["x-one"] + request.headers["x-two"] == "12"
    assert request.headers["user-agent"] == f"toril/{toril.__version__}"
    assert request.headers["accept-encoding"] == "identity"


async def test_a_certificate_for_another_name_is_refused(client: GuardedClient, server: VendorServer) -> None:
    with pytest.raises(RetryableError, match="its certificate does not verify"):
        await post(client, under_name(server.url, "elsewhere.example.test"))
    assert not server.requests


async def test_a_connection_made_for_one_name_is_not_used_for_another(
    client: GuardedClient, server: VendorServer
) -> None:
    await post(client, under_name(server.url, NAME))
    await post(client, under_name(server.url, NAME))
    assert server.connections == 1
    await post(client, under_name(server.url, OTHER))
    assert server.connections == 2


async def test_what_is_called_is_what_was_checked(
    client: GuardedClient, server: VendorServer, names: Names
) -> None:
    # A name server that changes its mind right after the check: nobody asks it a second time.
    names.answers[NAME] = [["127.0.0.1"], ["10.0.0.1"]]
    await post(client, under_name(server.url, NAME))
    assert names.asked == [NAME]
    await post(client, under_name(server.url, NAME))  # on the same connection
    assert names.asked == [NAME]


async def test_a_new_connection_is_checked_anew(
    client: GuardedClient, server: VendorServer, names: Names
) -> None:
    names.answers[NAME] = [["127.0.0.1"], ["10.0.0.1"]]
    server.script = [Reply(200, b"", {"connection": "close"})]
    await post(client, under_name(server.url, NAME))
    with pytest.raises(BlockedAddressError, match="not a public one"):
        await post(client, under_name(server.url, NAME))
    assert len(server.requests) == 1


async def test_an_address_that_does_not_answer_is_followed_by_the_next(
    client: GuardedClient, server: VendorServer, names: Names
) -> None:
    names.answers[NAME] = [["127.0.0.2", "127.0.0.1"]]
    assert (await post(client, under_name(server.url, NAME))).status == 200


async def test_the_guard_of_everyday_use_lets_nothing_reach_this_machine(server: VendorServer) -> None:
    client = GuardedClient()
    for url in (
        server.url,
        server.url.replace("127.0.0.1", "localhost"),
        server.url.replace("https", "http"),
    ):
        with pytest.raises(BlockedAddressError):
            await post(client, url)
    await client.close()
    assert server.connections == 0


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_never_followed(
    client: GuardedClient, server: VendorServer, status: int, method: str
) -> None:
    server.script = [Reply(status, b"", {"location": "/next"})]
    assert (await client.request(method, under_name(server.url, NAME))).status == status
    assert len(server.requests) == 1


async def test_of_a_long_body_only_the_beginning_is_read(client: GuardedClient, server: VendorServer) -> None:
    server.script = [Reply(200, b"x" * 2_000_000)]
    answer = await post(client, under_name(server.url, NAME))
    assert (len(answer.content), answer.is_whole) == (4096, False)


@pytest.mark.parametrize("step", ["hang", "drip"])
async def test_all_of_it_has_one_deadline(client: GuardedClient, server: VendorServer, step: str) -> None:
    server.script = [step]
    with pytest.raises(RetryableError, match=r"did not answer within 0\.3 s"):
        await post(client, under_name(server.url, NAME), within=0.3)


@pytest.mark.parametrize("step", ["drop", "refuse", "cut"])
async def test_a_lost_answer_may_be_asked_for_again(
    client: GuardedClient, server: VendorServer, step: str
) -> None:
    server.script = [step]
    with pytest.raises(RetryableError, match="gave no whole answer"):
        await post(client, under_name(server.url, NAME))


async def test_a_server_that_is_not_there_may_be_there_later(client: GuardedClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        with pytest.raises(RetryableError, match="could not be reached"):
            await post(client, f"https://{NAME}:{taken.getsockname()[1]}/")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\x00", "مرحبا"])
async def test_a_header_cannot_hold_another(client: GuardedClient, server: VendorServer, value: str) -> None:
    with pytest.raises(UnrecoverableError, match="a header cannot be sent"):
        await post(client, under_name(server.url, NAME), headers={"X-One": value})
    assert not server.requests


async def test_proxies_of_the_environment_are_not_asked(
    client: GuardedClient, server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    made = GuardedClient(client.guard, tls=client_tls())
    assert (await post(made, under_name(server.url, NAME))).status == 200
    await made.close()


async def test_a_guard_that_is_given_decides(server: VendorServer) -> None:
    client = GuardedClient(Guard.for_development(), tls=client_tls())
    with pytest.raises(BlockedAddressError):
        await post(client, "http://10.0.0.1/")
    async with vendor_server(took) as plain:
        assert (await post(client, plain.url)).status == 200
    await client.close()


async def test_a_network_that_is_let_in_is_called_at_its_ports_alone(server: VendorServer) -> None:
    async with vendor_server(took) as open_port, vendor_server(took) as other:
        port = open_port.url.rpartition(":")[2].strip("/")
        client = GuardedClient(Guard.allowing(f"127.0.0.0/8:{port}"), tls=client_tls())
        assert (await post(client, open_port.url)).status == 200
        assert (await post(client, open_port.url.replace("127.0.0.1", "localhost"))).status == 200
        for url in (other.url, other.url.replace("127.0.0.1", "localhost"), server.url):
            with pytest.raises(BlockedAddressError, match="nor one that is let in at this port"):
                await post(client, url)
        await client.close()
        assert (other.connections, server.connections) == (0, 0)


async def test_what_was_allowed_by_one_scheme_is_not_reused_by_the_other(names: Names) -> None:
    async with vendor_server(took) as plain:
        client = GuardedClient(local_guard(names, "http"), tls=client_tls())
        assert (await post(client, under_name(plain.url, NAME))).status == 200
        with pytest.raises(BlockedAddressError):
            await post(client, under_name(plain.url, NAME).replace("http://", "https://"))
        await client.close()
        assert plain.connections == 1
