"""Who may connect to the sockets, what they can reach, and when they have to go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import socketio  # type: ignore[import-untyped]
from tests.support.queue_api import Api, module_api, served
from tests.support.socket_people import UNCLOSED, Person, add_key, add_person, close, window
from tests.support.until import until

from toril.db.models import Firm, User
from toril.db.repositories.access import ApiKeys
from toril.db.types import utc_now
from toril.queues.notification import SocketEvents, firm_room, user_room
from toril.web.sockets import clients, server, transport

pytestmark = [pytest.mark.asyncio(loop_scope="module"), UNCLOSED]
queue_api = module_api

ORIGIN = "https://app.firm.example"


@pytest.fixture(scope="module", autouse=True)
def _looks_often() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "LOOK_EVERY", 0.2)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(queue_api: Api) -> AsyncIterator[str]:
    async with served(queue_api.app) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def person(queue_api: Api) -> Person:
    return await add_person(queue_api.web, firm=True)


async def tell(api: Api, room: str, text: str) -> None:
    """Send a notification as a worker does."""
    settings = api.web.settings
    events = SocketEvents(settings.redis_url, home=settings.home, channel=settings.socketio_channel)
    await events.emit("notification", {"title": text}, room=room)
    await events.close()


async def refused(address: str, token: str | None, **options: Any) -> dict[str, Any]:
    """What a client is told that may not connect."""
    told: list[Any] = []
    client = socketio.AsyncClient(reconnection=False)
    client.on("connect_error", told.append)
    options = {"auth": {"token": token} if token else None, "transports": ["websocket"], **options}
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(address, wait_timeout=10, **options)
    await close(client)
    [answer] = told
    assert isinstance(answer, dict), answer
    return answer


def old_token(api: Api, person: Person) -> str:
    """A token that has expired."""
    return api.web.access.tokens.issue(person.user_id, person.session_id, now=utc_now().timestamp() - 3600)


async def test_nobody_connects_without_a_good_token(queue_api: Api, address: str, person: Person) -> None:
    nobody = await refused(address, None)
    assert nobody["data"] == {"code": "not_authenticated"}
    assert "sign in first" in nobody["message"]
    assert (await refused(address, "not a token"))["data"] == {"code": "bad_token"}
    assert (await refused(address, person.token + "x"))["data"] == {"code": "bad_token"}
    assert (await refused(address, "toril_not-a-key"))["data"] == {"code": "bad_api_key"}
    expired = await refused(address, old_token(queue_api, person))
    assert expired["data"] == {"code": "token_expired"}
    assert "refresh token" in expired["message"]


@pytest.mark.parametrize("auth", [["list"], {"token": 5}, {"token": None}, {"token": " "}, {"user": "x"}])
async def test_what_is_no_token_is_refused(address: str, auth: Any) -> None:
    assert (await refused(address, None, auth=auth))["data"] == {"code": "not_authenticated"}


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
async def test_a_user_and_their_firm_are_told(
    queue_api: Api, address: str, person: Person, transports: list[str]
) -> None:
    async with window(address, person.token, transports=transports) as opened:
        await tell(queue_api, user_room(person.user_id), "yours")
        assert await opened.next("notification") == {"title": "yours"}
        await tell(queue_api, firm_room(person.firm_id or ""), "all of you")
        assert await opened.next("notification") == {"title": "all of you"}


async def test_a_client_that_polls_leaves_at_once(address: str, person: Person) -> None:
    async with asyncio.timeout(10):  # it would wait for the answer to its last request, some 25 s
        async with window(address, person.token, transports=["polling"]):
            pass


async def test_the_token_may_be_in_a_header(address: str, person: Person, queue_api: Api) -> None:
    headers = {"Authorization": f"Bearer {person.token}"}
    async with window(address, None, headers=headers) as opened:
        await tell(queue_api, user_room(person.user_id), "yours")
        assert await opened.next("notification") == {"title": "yours"}


async def test_nobody_hears_what_is_anothers(queue_api: Api, address: str, person: Person) -> None:
    other = await add_person(queue_api.web, firm=True)
    room = user_room(person.user_id)
    asked = {
        "token": other.token,
        "room": room,
        "rooms": [room],
        "userId": person.user_id,
        "user": person.user_id,
    }
    async with (
        window(address, person.token) as own,
        window(address, None, auth=asked, headers={"X-Room": room}) as opened,
    ):
        for event in ("join", "join_room", "enter_room", "subscribe", "room", "notification", "message"):
            await opened.client.emit(event, room)
            await opened.client.emit(event, {"room": room, "to": room})
        answer = await opened.client.call("authenticate", {"token": other.token, "userId": person.user_id})
        assert answer == {"success": True}
        await tell(queue_api, room, "a secret")
        assert await own.next("notification") == {"title": "a secret"}  # what others sent was not passed on
        await tell(queue_api, user_room(other.user_id), "for you")
        assert await opened.next("notification") == {"title": "for you"}
        assert opened.client.connected


async def test_no_other_namespace_is_there(address: str, person: Person) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError, match="namespaces failed to connect"):
        async with window(address, person.token, namespaces=["/admin"]):
            pass


async def test_a_key_connects_if_it_may_read_records(queue_api: Api, address: str, person: Person) -> None:
    without = await refused(address, await add_key(queue_api.web, person.user_id, "queues:read"))
    assert without["data"] == {"code": "forbidden"}
    assert "records:read" in without["message"]
    async with window(address, await add_key(queue_api.web, person.user_id, "records:read")) as opened:
        await tell(queue_api, user_room(person.user_id), "yours")
        assert await opened.next("notification") == {"title": "yours"}


async def test_a_connection_ends_with_its_token_unless_it_gets_a_newer_one(
    queue_api: Api, address: str, person: Person
) -> None:
    soon = utc_now().timestamp() - 15 * 60 + 4
    short = queue_api.web.access.tokens.issue(person.user_id, person.session_id, now=soon)
    async with window(address, short) as ends, window(address, short) as goes_on:
        other = await add_person(queue_api.web)
        refusals = [
            (await goes_on.client.call("authenticate", data))["error"]["code"]
            for data in ({"token": other.token}, {"token": old_token(queue_api, person)}, {}, "x", None)
        ]
        assert refusals == ["other_user", "token_expired", *["not_authenticated"] * 3]
        assert await goes_on.client.call("authenticate", {"token": person.token}) == {"success": True}
        assert (await ends.next("session:ended"))["code"] == "token_expired"
        await ends.gone()
        await tell(queue_api, user_room(person.user_id), "still here")
        assert await goes_on.next("notification") == {"title": "still here"}
        assert ends.empty("notification")


async def test_a_connection_ends_when_its_sign_in_does(queue_api: Api, address: str, person: Person) -> None:
    other = await add_person(queue_api.web)
    async with window(address, person.token) as ended, window(address, other.token) as stays:
        headers = {"Authorization": f"Bearer {person.token}"}
        async with httpx.AsyncClient(base_url=address, headers=headers) as client:
            assert (await client.post("/api/auth/logout")).status_code == 200
        told = await ended.next("session:ended")
        assert told == {"code": "session_ended", "message": "this sign-in has ended: sign in again"}
        await ended.gone()
        assert stays.client.connected
    assert (await refused(address, person.token))["data"] == {"code": "session_ended"}


async def _revoke_key(api: Api, person: Person) -> None:
    async with api.web.installation.database.session() as session:
        [key] = await ApiKeys(session).list(person.user_id)
        assert await ApiKeys(session).revoke(key.id, user_id=person.user_id, now=utc_now())


async def _disable(api: Api, person: Person) -> None:
    async with api.web.installation.database.session() as session:
        (await session.get_one(User, person.user_id)).active = False


async def _move(api: Api, person: Person) -> None:
    async with api.web.installation.database.session() as session:
        other = Firm(name_ar="مكتب", name_en="Another")
        session.add(other)
        await session.flush()
        (await session.get_one(User, person.user_id)).firm_id = other.id


@pytest.mark.parametrize("change", [_revoke_key, _disable, _move])
async def test_a_connection_ends_when_its_right_does(
    queue_api: Api, address: str, person: Person, change: Any
) -> None:
    key = await add_key(queue_api.web, person.user_id, "admin")
    async with window(address, key) as ended:
        await change(queue_api, person)
        assert (await ended.next("session:ended"))["code"] == "session_ended"
        await ended.gone()


async def test_a_user_has_so_many_connections_and_no_more(
    queue_api: Api, address: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_api.web.sockets._clients, "_most", 2)
    other = await add_person(queue_api.web)
    async with window(address, person.token), window(address, other.token):
        async with window(address, person.token):
            told = await refused(address, person.token)
            assert told["data"] == {"code": "too_many_connections"}

        async def room_again() -> bool:
            return queue_api.web.sockets._clients._of_user[person.user_id] == 1

        await until(room_again)
        async with window(address, person.token) as opened:
            assert opened.client.connected
    assert clients.MOST_PER_USER == 20


async def test_pages_of_other_origins_are_refused(address: str, person: Person) -> None:
    async with httpx.AsyncClient(base_url=address) as client:
        for origin, status in ((ORIGIN, 400), (address, 200), ("null", 400), ("http://127.0.0.1", 400)):
            answer = await client.get("/socket.io/?EIO=4&transport=polling", headers={"Origin": origin})
            assert answer.status_code == status, origin
            assert answer.headers.get("access-control-allow-origin") == (origin if status == 200 else None)
            assert "access-control-allow-credentials" not in answer.headers
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with window(address, person.token, headers={"Origin": ORIGIN}):
            pass


async def test_pages_of_origins_that_are_allowed_connect(
    queue_api: Api, address: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_api.web.sockets, "_origins", frozenset({ORIGIN}))
    async with window(address, person.token, headers={"Origin": ORIGIN}) as opened:
        assert opened.client.connected


async def test_a_connection_that_nobody_signs_in_on_is_cut(
    queue_api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SIGN_IN_WITHIN", 0.0)
    async with asyncio.timeout(30):
        host, _, port = address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        assert (await reader.readuntil(b"\x88"))[-1:] == b"\x88"  # a close frame, without a word from us
        writer.close()


async def test_there_are_so_many_connections_and_no_more(
    queue_api: Api, address: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_api.web.sockets._transport, "_most", 0)
    async with httpx.AsyncClient(base_url=address) as client:
        answer = await client.get("/socket.io/?EIO=4&transport=polling")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with window(address, person.token):
            pass
    assert transport.MOST == 10_000


NONSENSE = [
    "x" * 20_000,
    "2" + "[" * 5000,
    "2{",
    "9",
    "2[5]",
    "2[]",
    '2["authenticate"]',
    '2["connect",{}]',
    '2["disconnect"]',
    "0",
    "1",
    '0{"token":5}',
    "0/admin,",
    '51-["job",{"_placeholder":true,"num":7}]',
    "31[1]",
]


@pytest.mark.parametrize("text", NONSENSE, ids=[text[:20] for text in NONSENSE])
async def test_a_client_that_sends_nonsense_harms_only_itself(
    queue_api: Api, address: str, person: Person, text: str
) -> None:
    async with window(address, person.token) as good, window(address, person.token) as bad:
        await bad.client.eio._send_packet(_raw(text))
        if len(text) > server.LARGEST_MESSAGE:
            await bad.gone()
        await tell(queue_api, user_room(person.user_id), "here")
        assert await good.next("notification") == {"title": "here"}


async def test_a_client_cannot_play_the_librarys_own_events(
    queue_api: Api, address: str, person: Person
) -> None:
    other = await add_person(queue_api.web)
    async with window(address, person.token) as opened:
        for text in (
            '2["disconnect"]',
            '2["disconnect","x"]',
            f'2["connect",{{}},{{"token":"{other.token}"}}]',
        ):
            await opened.client.eio._send_packet(_raw(text))
        assert await opened.client.call("authenticate", {"token": person.token}) == {"success": True}
        await tell(queue_api, user_room(other.user_id), "not yours")
        await tell(queue_api, user_room(person.user_id), "yours")
        assert await opened.next("notification") == {"title": "yours"}
        await _disable(queue_api, person)
        assert (await opened.next("session:ended"))["code"] == "session_ended"


def _raw(text: str) -> Any:
    from engineio.packet import MESSAGE, Packet  # type: ignore[import-untyped]

    return Packet(MESSAGE, text)


async def test_a_window_sees_its_reason_when_the_database_is_away(
    queue_api: Api, address: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = queue_api.web.installation.database
    monkeypatch.setattr(database, "reading", _away)
    told = await refused(address, person.token)
    assert told["data"] == {"code": "database_unavailable"}
    assert "try again" in told["message"]


def _away() -> Any:
    from toril.db.errors import DatabaseUnavailableError

    raise DatabaseUnavailableError("the database is at 10.0.0.1 and away")


async def test_a_request_of_a_stranger_has_a_limited_body(address: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10_000 * transport.LARGEST_BODY:
            sent += 16_384
            yield b"4" * 16_384

    async with httpx.AsyncClient(base_url=address) as client:
        opened = await client.get("/socket.io/?EIO=4&transport=polling")
        sid = opened.text.partition('"sid":"')[2].partition('"')[0]
        assert sid
        with contextlib.suppress(httpx.TransportError):  # who goes on sending after the refusal is cut off
            response = await client.post(f"/socket.io/?EIO=4&transport=polling&sid={sid}", content=endless())
            assert response.status_code == 413, response.text
    assert sent < 10_000 * transport.LARGEST_BODY


async def test_a_body_that_does_not_end_is_not_waited_for(
    address: str, queue_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = queue_api.app.middleware_stack
    while not isinstance(layer, transport.SocketPath):
        assert layer is not None
        layer = layer.app  # type: ignore[attr-defined]
    monkeypatch.setattr(layer._sent, "_seconds", 0.3)
    async with httpx.AsyncClient(base_url=address) as client:
        opened = await client.get("/socket.io/?EIO=4&transport=polling")
    sid = opened.text.partition('"sid":"')[2].partition('"')[0]
    host, _, port = address.partition("//")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    path = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n4".encode())
    try:
        async with asyncio.timeout(20):
            assert b" 503 " in await reader.readline()
    finally:
        writer.close()
