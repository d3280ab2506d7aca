"""Two firms with records and people, for tests of what people see over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from tests.support.queue_api import Api, client_of

from toril.cli.demo.records import RIYADH, DemoRecords, prepare
from toril.db.demo import DemoSize, add_demo_firm
from toril.db.ids import new_id
from toril.db.models import Firm, Role, Session, User
from toril.db.session import Database
from toril.db.types import utc_now


@dataclass(frozen=True)
class Office:
    """A firm's people, each with a client that is signed in.

    Attributes:
        lawyer, colleague: of the firm that ``records`` are of.
        partner: an administrator of that firm.
        stranger: a lawyer of another firm.
        manager: an administrator of the other firm.
        root: an administrator of no firm.
    """

    api: Api
    records: DemoRecords
    lawyer: httpx.AsyncClient
    colleague: httpx.AsyncClient
    partner: httpx.AsyncClient
    stranger: httpx.AsyncClient
    manager: httpx.AsyncClient
    root: httpx.AsyncClient
    nobody: httpx.AsyncClient
    lawyer_id: str
    other_firm_id: str

    @property
    def firm_id(self) -> str:
        return self.records.firm.id


SIZE = DemoSize(clients=6, cases=8, invoices=30, days=60)


async def make_firm(home: Path) -> None:
    """Store the first firm in a database in ``home``, to be copied for each test: making it takes a second."""
    async with Database(None, home=home) as database:
        await database.upgrade()
        async with database.session() as session:
            await add_demo_firm(session, seed=1, today=datetime.now(RIYADH).date(), size=SIZE)


@asynccontextmanager
async def open_office(api: Api) -> AsyncIterator[Office]:
    """Give an application two firms, and people in them."""
    database = api.web.installation.database
    records = await prepare(database, invoices=5, seed=1, run="99", size=SIZE)
    other = new_id()
    async with database.session() as session:
        session.add(Firm(id=other, name_ar="مكتب آخر", name_en="Another Firm"))
    people = {
        "lawyer": await _sign_in(api, records.firm.id, Role.LAWYER),
        "colleague": await _sign_in(api, records.firm.id, Role.STAFF),
        "partner": await _sign_in(api, records.firm.id, Role.ADMIN),
        "stranger": await _sign_in(api, other, Role.LAWYER),
        "manager": await _sign_in(api, other, Role.ADMIN),
        "root": await _sign_in(api, None, Role.ADMIN),
    }
    clients = {name: client_of(api.app, token) for name, (_, token) in people.items()}
    clients["nobody"] = client_of(api.app)
    try:
        yield Office(api, records, **clients, lawyer_id=people["lawyer"][0], other_firm_id=other)
    finally:
        for client in clients.values():
            await client.aclose()


async def _sign_in(api: Api, firm_id: str | None, role: Role) -> tuple[str, str]:
    """A new user, and an access token of theirs."""
    async with api.web.installation.database.session() as session:
        user = User(email=f"{new_id()}@firm.example", name="Sara", role=role, firm_id=firm_id)
        session.add(user)
        await session.flush()
        begun = Session(user_id=user.id, token_hash=new_id(), expires_at=utc_now() + timedelta(days=1))
        session.add(begun)
        await session.flush()
        return user.id, api.web.access.tokens.issue(user.id, begun.id)
