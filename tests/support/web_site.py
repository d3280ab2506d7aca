"""The HTTP application as tests use it: without a network, with users who know their passwords."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from sqlalchemy import select

from toril.db.ids import new_id
from toril.db.models import AuditEntry, Firm, Role, User
from toril.settings import Settings
from toril.web.answers import Json, ok
from toril.web.app import create_app
from toril.web.auth.passwords import hash_password
from toril.web.context import Web
from toril.web.deps import AdminUser, AuditTrail, ReadQueues, Service, WriteQueues

PASSWORD = "a pass phrase of tests"
_HASH = hash_password(PASSWORD)

#: Endpoints that show what the application's own parts do.
probes = APIRouter(prefix="/api/probes")


@probes.get("/read")
async def read(user: ReadQueues, service: Service) -> Json:
    """For who may read queues; asks their server."""
    return ok(await service.get_job_counts("cleanup"))


@probes.post("/write")
async def write(user: WriteQueues, audit: AuditTrail) -> Json:
    """For who may change queues; is written down."""
    await audit("probe.write", "a target", number=1)
    return ok(None)


@probes.get("/admin")
async def admin(user: AdminUser) -> Json:
    """For administrators."""
    return ok(None)


@probes.get("/broken")
async def broken() -> Json:
    """Breaks."""
    raise RuntimeError("a secret of the program")


@dataclass
class Site:
    """A running application, and a client that nobody has signed in with."""

    app: FastAPI
    client: httpx.AsyncClient

    @property
    def web(self) -> Web:
        web: Web = self.app.state.toril
        return web

    async def add_user(self, email: str = "ada@firm.example", **values: Any) -> str:
        """Store a user with the password of tests; returns the id."""
        user = User(**{"email": email, "name": "Ada", "role": Role.ADMIN, "password_hash": _HASH, **values})
        async with self.web.installation.database.session() as session:
            session.add(user)
        return user.id

    async def add_firm(self) -> str:
        """Store a firm; returns its id."""
        firm = Firm(id=new_id(), name_ar="مكتب", name_en="Firm")
        async with self.web.installation.database.session() as session:
            session.add(firm)
        return firm.id

    async def login(self, email: str = "ada@firm.example", password: str = PASSWORD) -> httpx.Response:
        return await self.client.post("/api/auth/login", json={"email": email, "password": password})

    async def sign_in(self, email: str = "ada@firm.example") -> dict[str, Any]:
        """The tokens of a new sign-in."""
        response = await self.login(email)
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()["data"]
        return data

    async def call(self, method: str, path: str, token: str, **request: Any) -> httpx.Response:
        """Send a request with a bearer token."""
        return await self.client.request(
            method, path, headers={"Authorization": f"Bearer {token}"}, **request
        )

    async def audited(self) -> list[str]:
        """What has been written to the audit log, oldest first."""
        async with self.web.installation.database.reading() as session:
            return list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.at)))


@asynccontextmanager
async def open_site(settings: Settings) -> AsyncIterator[Site]:
    """Start the application, with the probes; stopped at the end of the block."""
    app = create_app(settings)
    app.include_router(probes)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://toril.example") as client,
    ):
        yield Site(app, client)


def code_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error's answer."""
    body = response.json()
    assert body["success"] is False
    return response.status_code, body["error"]["code"]
