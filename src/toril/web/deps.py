"""What endpoints ask for, as types: ``async def pause(service: Service, user: WriteQueues)``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from toril.db.models import Role
from toril.db.session import Database
from toril.installation import Installation
from toril.service import QueueService
from toril.web.auth.audit import Audit
from toril.web.auth.principal import Principal
from toril.web.context import Web
from toril.web.errors import Forbidden, NotAuthenticated


async def get_web(connection: HTTPConnection) -> Web:
    """What the application shares."""
    web: Web = connection.app.state.toril
    return web


async def get_installation(web: Annotated[Web, Depends(get_web)]) -> Installation:
    """Database, service and queues."""
    return web.installation


async def get_service(web: Annotated[Web, Depends(get_web)]) -> QueueService:
    """The queues.

    Raises:
        QueueUnavailableError: their server was away a moment ago.
    """
    web.breaker.check()
    return web.installation.service


async def get_database(web: Annotated[Web, Depends(get_web)]) -> Database:
    """The records, for an endpoint that opens its transactions itself."""
    return web.installation.database


async def reading(web: Annotated[Web, Depends(get_web)]) -> AsyncIterator[AsyncSession]:
    """A transaction that only reads."""
    async with web.installation.database.reading() as session:
        yield session


async def writing(web: Annotated[Web, Depends(get_web)]) -> AsyncIterator[AsyncSession]:
    """A transaction that writes; it is committed before the answer is sent."""
    async with web.installation.database.session() as session:
        yield session


async def current_user(connection: HTTPConnection, web: Annotated[Web, Depends(get_web)]) -> Principal:
    """Whoever sends the request, by the bearer token: a user's access token, or an API key.

    Raises:
        NotAuthenticated: there is no token, or it is not good.
        DatabaseUnavailableError: nobody can be looked up.
    """
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated("sign in first: send an access token or an API key as a bearer token")
    principal = await web.access.authenticate(token.strip())
    connection.scope.setdefault("toril", {})["user"] = principal.user_id
    return principal


Installed = Annotated[Installation, Depends(get_installation)]
Service = Annotated[QueueService, Depends(get_service)]
Records = Annotated[Database, Depends(get_database)]
Reading = Annotated[AsyncSession, Depends(reading, scope="function")]
Writing = Annotated[AsyncSession, Depends(writing, scope="function")]
CurrentUser = Annotated[Principal, Depends(current_user)]


def requires(scope: str, *, role: Role | None = None) -> Callable[..., Awaitable[Principal]]:
    """A dependency: the user has this role, and, if a key speaks for them, the key has this scope."""

    async def check(user: CurrentUser) -> Principal:
        if role is not None and user.role != role:
            raise Forbidden(f"this needs the role {role.value}")
        if not user.allows(scope):
            raise Forbidden(f"this API key has not the scope {scope}")
        return user

    return check


require_admin = requires("admin", role=Role.ADMIN)
AdminUser = Annotated[Principal, Depends(require_admin)]
ReadQueues = Annotated[Principal, Depends(requires("queues:read", role=Role.ADMIN))]
WriteQueues = Annotated[Principal, Depends(requires("queues:write", role=Role.ADMIN))]


async def client_address(connection: HTTPConnection) -> str | None:
    """The network address a request comes from, as far as is known."""
    return connection.client.host if connection.client else None


ClientAddress = Annotated[str | None, Depends(client_address)]


async def audit_trail(user: CurrentUser, database: Records, address: ClientAddress) -> Audit:
    """Writes what this user does to the audit log."""
    return Audit(database, user, address)


AuditTrail = Annotated[Audit, Depends(audit_trail)]


@dataclass(frozen=True, slots=True)
class PageLimits:
    """Which part of a list is wanted."""

    limit: int
    offset: int


async def page_limits(
    limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="How many to leave out.")] = 0,
) -> PageLimits:
    """``?limit=50&offset=0``."""
    return PageLimits(limit, offset)


Limits = Annotated[PageLimits, Depends(page_limits)]
