"""Users of the application's sockets, and the windows they have open."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import socketio  # type: ignore[import-untyped]
from tests.support.until import until

from toril.db.ids import new_id
from toril.db.models import ApiKey, Firm, Role, Session, User
from toril.db.types import utc_now
from toril.web.auth.secrets import hash_of, new_api_key
from toril.web.context import Web

NAMES = ("notification", "job", "missed", "session:ended")


@dataclass(frozen=True)
class Person:
    """Somebody who has signed in."""

    user_id: str
    firm_id: str | None
    session_id: str
    token: str


async def add_person(web: Web, *, firm: bool = False, role: Role = Role.LAWYER) -> Person:
    """A new user with a session, of a new firm if wanted."""
    async with web.installation.database.session() as session:
        firm_id = new_id() if firm else None
        if firm_id:
            session.add(Firm(id=firm_id, name_ar="مكتب", name_en="Firm"))
            await session.flush()
        user = User(email=f"{new_id()}@firm.example", name="Sara", role=role, firm_id=firm_id)
        session.add(user)
        await session.flush()
        begun = Session(user_id=user.id, token_hash=new_id(), expires_at=utc_now() + timedelta(days=1))
        session.add(begun)
        await session.flush()
        token = web.access.tokens.issue(user.id, begun.id)
        return Person(user.id, firm_id, begun.id, token)


async def add_key(web: Web, user_id: str, *scopes: str) -> str:
    """A key that acts for a user."""
    key, hint = new_api_key()
    async with web.installation.database.session() as session:
        session.add(
            ApiKey(user_id=user_id, name="tests", key_hash=hash_of(key), hint=hint, scopes=list(scopes))
        )
    return key


#: The library does not read the answers to what it posts, and leaves them open.
UNCLOSED = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function (Connection|BaseConnector).__del__:pytest.PytestUnraisableExceptionWarning"
)


class Window:
    """A connected client that keeps the events it gets, by name."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.events: dict[str, asyncio.Queue[Any]] = {name: asyncio.Queue() for name in NAMES}
        for name, events in self.events.items():
            self.client.on(name, events.put)

    async def next(self, name: str, *, within_s: float = 15.0) -> Any:
        """The next event of this name."""
        async with asyncio.timeout(within_s):
            return await self.events[name].get()

    async def job_until(self, state: str) -> list[Any]:
        """Events about jobs up to the first with this state."""
        seen = []
        while not seen or seen[-1]["state"] != state:
            seen.append(await self.next("job"))
        return seen

    async def gone(self, *, within_s: float = 15.0) -> None:
        """Return when it is connected no more."""

        async def disconnected() -> bool:
            return not self.client.connected

        await until(disconnected, within_s=within_s)

    def empty(self, name: str) -> bool:
        return self.events[name].empty()


@asynccontextmanager
async def window(url: str, token: str | None, **options: Any) -> AsyncIterator[Window]:
    """A connected window; how it connects can be chosen."""
    opened = Window()
    chosen = {
        "auth": {"token": token} if token else None,
        "transports": ["websocket"],
        "wait_timeout": 10,
        **options,
    }
    try:
        await opened.client.connect(url, **chosen)
        yield opened
    finally:
        await close(opened.client)


async def close(client: socketio.AsyncClient) -> None:
    """Close a client, also one that did not get to connect: the library leaves its session open then."""
    await client.shutdown()
    if client.eio.http is not None:
        await client.eio.http.close()
    gc.collect()  # here, where the warnings of UNCLOSED are expected
