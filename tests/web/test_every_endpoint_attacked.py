"""Every endpoint that the API describes, asked by whom it is none of: another firm, another role, nobody, another
address; with jobs of every type that takes a firm. A new endpoint or type is in here by itself.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import pytest_asyncio
from tests.support.described_api import Operation, operations
from tests.support.marked_firm import MARK, STATES, MarkedFirm, plant
from tests.support.payload_cases import sample
from tests.support.queue_api import client_of, escaped, open_api, served
from tests.support.socket_people import UNCLOSED, window
from tests.support.web_people import Office, open_office
from tests.web.application_endpoints import SETTINGS

from toril.db.ids import new_id
from toril.db.models import ApiKey
from toril.queues.notification import SocketEvents, firm_room
from toril.settings import Settings
from toril.web import create_app
from toril.web.auth.principal import Scope
from toril.web.auth.secrets import hash_of, new_api_key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), UNCLOSED]

#: Bytes of the longest answer to a request that is refused.
LONGEST = 100_000

#: What anybody may call, by how the path begins.
PUBLIC = ("/api/auth/login", "/api/auth/refresh", "/api/webhooks/", "/files/", "/health/", "/t/")

#: What only administrators may call.
OF_ADMINISTRATORS = ("/api/queues", "/api/keys", "/api/credentials")

EVERYTHING = operations(create_app(Settings(home=Path("nowhere"), secret="s" * 40)).openapi())
WITH_AN_END = [each for each in EVERYTHING if not each.is_stream]
every = pytest.mark.parametrize("operation", WITH_AN_END, ids=str)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    start_server: Any, tmp_path_factory: pytest.TempPathFactory, firm_home: Path
) -> AsyncIterator[Office]:
    home = tmp_path_factory.mktemp("attacked") / "home"
    shutil.copytree(firm_home, home)
    async with (
        open_api(start_server("valkey").url, f"t{new_id()}", home, **SETTINGS) as api,
        open_office(api) as opened,
    ):
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def victim(office: Office) -> MarkedFirm:
    return await plant(office)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def before(victim: MarkedFirm) -> dict[str, Any]:
    """What the firm had when nobody had attacked it yet."""
    return await victim.snapshot() | {"jobs": await victim.job_ids()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def key(office: Office) -> str:
    """A key of the other firm's administrator that may do everything they may."""
    secret, hint = new_api_key()
    user_id = (await office.manager.get("/api/auth/me")).json()["data"]["id"]
    async with office.api.web.installation.database.session() as session:
        session.add(
            ApiKey(
                user_id=user_id, name="k", key_hash=hash_of(secret), hint=hint, scopes=sorted(map(str, Scope))
            )
        )
    return secret


def addresses(victim: MarkedFirm, operation: Operation) -> Iterator[tuple[str, str]]:
    """Every way to name something of the other firm in the path, with the queue that it is in."""
    names = operation.names("path")
    for queue in victim.jobs if {"name", "queue"} & set(names) else ["report"]:
        per_name: dict[str, list[str]] = {
            "name": [queue],
            "queue": [queue],
            "job_id": victim.jobs[queue][: len(STATES)],
            "key": [victim.schedules[queue]],
            "letter_id": [victim.letters[queue]],
            "service": ["moyasar"],
            "token": [MARK],
            "signed": [MARK],
        }
        several = [per_name.get(name) or victim.ids_for(name) for name in names]
        for at in range(max(map(len, several), default=1)):
            chosen = {name: each[at % len(each)] for name, each in zip(names, several, strict=True)}
            yield operation.url(lambda name, chosen=chosen: escaped(chosen[name])), queue  # type: ignore[misc]


def queries(victim: MarkedFirm, operation: Operation) -> Iterator[str]:
    """Nothing; the other firm in every parameter that can name something; and each state of jobs."""
    names = operation.names("query")
    foreign = []
    for name in names:
        if name == "firmId":
            foreign.append(f"firmId={victim.office.firm_id}")
        elif name == "q":
            foreign.append(f"q={MARK}")
        elif name.endswith("Id"):
            foreign.append(f"{name}={victim.ids_for(name)[0]}")
    yield ""
    if foreign:
        yield "&".join(foreign)
    searched = [f"q={MARK}"] if "q" in names else []
    for state in STATES if "status" in names and "{name}" in operation.path else ():
        yield "&".join([f"status={state}", *searched])


def bodies(victim: MarkedFirm, operation: Operation, queue: str) -> Iterator[Any]:
    """The body of the description, as it is, and with all that it names being the other firm's."""
    good = operation.body()
    if good is None:
        yield None
        return
    types = [type for type in victim.office.api.service.definitions[queue].types if sample(queue, type)]
    own = {"type": types[0], "data": sample(queue, types[0])}
    own["data"].pop("firmId", None)
    for type in types if "{name}" in operation.path else types[:1]:
        theirs = {"type": type, "data": {**sample(queue, type), "firmId": victim.office.firm_id}}
        yield _of_the_other(victim, good, queue, theirs, {})
    yield _of_the_other(victim, good, queue, own, {"jobId": victim.jobs[queue][0]})
    yield good


def _of_the_other(victim: MarkedFirm, value: Any, queue: str, data: Any, options: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_of_the_other(victim, each, queue, data, options) for each in value]
    if not isinstance(value, dict):
        return value
    changed = {}
    for name, inner in value.items():
        if name == "firmId":
            changed[name] = victim.office.firm_id
        elif name == "data":
            changed[name] = data
        elif name == "ids":
            changed[name] = [*victim.jobs[queue], *victim.rows.values()]
        elif name in ("queue", "confirm"):
            changed[name] = queue
        elif name == "options":
            repeats = {"repeat": inner["repeat"]} if "repeat" in inner else {}
            changed[name] = {**repeats, **options}
        elif name.endswith("Id") and isinstance(inner, str):
            changed[name] = victim.ids_for(name)[0]
        else:
            changed[name] = _of_the_other(victim, inner, queue, data, options)
    return changed


async def attack(
    victim: MarkedFirm, client: httpx.AsyncClient, operation: Operation, *, paths: int | None = None
) -> AsyncIterator[tuple[str, httpx.Response]]:
    """Send all of these as somebody; yields what was sent and the answer.

    Args:
        paths: at most so many, where who comes in at all does not depend on the path.
    """
    for path, queue in islice(addresses(victim, operation), paths):
        for query in queries(victim, operation):
            for body in bodies(victim, operation, queue) if operation.has_body else [None]:
                sent: dict[str, Any] = {} if body is None else {"json": body}
                url = f"{path}?{query}" if query else path
                answer = await client.request(operation.method, url, **sent)
                yield f"{unquote(url)} {json.dumps(body)}", answer


def check(victim: MarkedFirm, sent: str, answer: httpx.Response) -> None:
    """Nothing of the firm's is in the answer, and it is short unless all is well."""
    assert answer.status_code < 500 or sent.startswith("/health/ready"), f"{sent[:300]}: {answer.text[:500]}"
    # The mark itself is part of what was sent; it is in an answer only where a name that was sent is told again.
    shown = victim.shown_in(answer.text + str(answer.headers), "" if "q=" in sent else sent)
    assert shown is None, f"{sent[:300]} shows {shown!r}: {answer.text[:1000]}"
    if answer.status_code >= 400:
        assert len(answer.content) <= LONGEST, f"{sent[:300]}: {len(answer.content)} bytes"


@every
async def test_another_firm_sees_and_changes_nothing(
    office: Office, victim: MarkedFirm, before: dict[str, Any], key: str, operation: Operation
) -> None:
    async with client_of(office.api.app, key) as machine:
        for client in (office.manager, office.stranger, machine):
            if operation.path.startswith(("/api/auth/logout", "/api/auth/password")):
                continue  # about nobody but oneself; and it would end the sign-in that the other tests need
            async for sent, answer in attack(victim, client, operation):
                check(victim, sent, answer)
    assert await victim.snapshot() | {"jobs": before["jobs"]} == before


@every
async def test_nobody_comes_in_without_a_token(
    office: Office, victim: MarkedFirm, operation: Operation
) -> None:
    assert operation.is_public == operation.path.startswith(PUBLIC), (
        "say who may call it, here and in its description"
    )
    async for sent, answer in attack(victim, office.nobody, operation, paths=2):
        check(victim, sent, answer)
        if not operation.is_public:
            assert answer.status_code == 401, f"{sent[:300]}: {answer.text[:500]}"


@pytest.mark.parametrize(
    "operation", [each for each in WITH_AN_END if each.path.startswith(OF_ADMINISTRATORS)], ids=str
)
async def test_who_is_no_administrator_does_nothing_of_theirs(
    office: Office, victim: MarkedFirm, operation: Operation
) -> None:
    for client in (office.lawyer, office.colleague):  # of the same firm
        async for sent, answer in attack(victim, client, operation, paths=2):
            assert answer.status_code == 403, f"{sent[:300]}: {answer.text[:500]}"
            check(victim, sent, answer)


@every
async def test_what_a_request_says_of_its_address_leads_nowhere(
    office: Office, victim: MarkedFirm, operation: Operation
) -> None:
    lies = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-For": "127.0.0.1, evil.example",
        "Forwarded": "for=127.0.0.1;host=evil.example",
        "X-Real-IP": "127.0.0.1",
        "X-Original-URL": "/api/queues",
        "X-HTTP-Method-Override": "DELETE",
        "Origin": "https://evil.example",
        "Referer": "https://evil.example/",
    }
    elsewhere = httpx.ASGITransport(office.api.app, client=("203.0.113.9", 4711))
    async with httpx.AsyncClient(
        transport=elsewhere, base_url="http://toril.example", headers=lies
    ) as client:
        async for sent, answer in attack(victim, client, operation, paths=2):
            check(victim, sent, answer)
            assert "evil.example" not in answer.text + str(answer.headers), sent[:300]
            if not operation.is_public:
                assert answer.status_code == 401, "a header lets nobody in"


async def test_all_this_has_changed_nothing_of_the_firms(victim: MarkedFirm, before: dict[str, Any]) -> None:
    assert await victim.snapshot() | {"jobs": await victim.job_ids()} == before


async def test_a_stream_tells_another_firm_nothing(office: Office, victim: MarkedFirm) -> None:
    streams = [each for each in EVERYTHING if each.is_stream]
    assert streams
    async with served(office.api.app) as address, httpx.AsyncClient(timeout=20) as client:
        for operation in streams:
            url, queue_name = next(addresses(victim, operation))
            queue, heard = office.api.service.queue(queue_name), ""
            headers = {"Authorization": office.manager.headers["authorization"]}
            async with client.stream("GET", address + url, headers=headers) as stream:
                chunks = stream.aiter_text()
                while "connected" not in heard:
                    heard += await anext(chunks)
                type = next(iter(office.api.service.definitions[queue_name].types))
                for firm_id, told in ((office.firm_id, MARK), (office.other_firm_id, "the last")):
                    job = await queue.add("__default__", {"type": type, "data": {"firmId": firm_id}})
                    await job.update_progress(told)
                while "the last" not in heard:
                    heard += await anext(chunks)
            assert victim.shown_in(heard, "") is None


async def test_a_socket_tells_another_firm_nothing(office: Office) -> None:
    token = office.stranger.headers["authorization"].removeprefix("Bearer ")
    settings = office.api.web.settings
    events = SocketEvents(settings.redis_url, home=settings.home, channel=settings.socketio_channel)
    async with served(office.api.app) as address, window(address, token) as opened:
        for firm_id, told in ((office.firm_id, MARK), (office.other_firm_id, "own")):
            await events.emit("notification", {"title": told}, room=firm_room(firm_id))
        assert (await opened.next("notification"))["title"] == "own"
        assert all(opened.empty(name) for name in opened.events)
    await events.close()


async def test_the_marks_are_seen_by_who_may_see_them(office: Office, victim: MarkedFirm) -> None:
    """Else the tests above would look for what is nowhere to be found."""
    seen = 0
    for operation in WITH_AN_END:
        if operation.method == "GET" and not operation.is_public:
            async for _, answer in attack(victim, office.partner, operation):
                seen += victim.shown_in(answer.text, "") is not None
    assert seen > 50
