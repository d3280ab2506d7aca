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
from toril.web.auth.sign_in import Client
from toril.web.context import Web
from toril.web.errors import Forbidden, NotAuthenticated


async def get_web(connection: HTTPConnection) -> Web:
    """What the application shares."""
    web: Web = connection.app.state.toril
    return web


Shared = Annotated[Web, Depends(get_web)]


async def get_installation(web: Shared) -> Installation:
    """Database, service and queues."""
    return web.installation


async def get_service(web: Shared) -> QueueService:
    """The queues.

    Raises:
        QueueUnavailableError: their server was away a moment ago.
    """
    web.breaker.check()
    return web.installation.service


async def get_database(web: Shared) -> Database:
    """The records, for an endpoint that opens its transactions itself."""
    return web.installation.database


async def reading(web: Shared) -> AsyncIterator[AsyncSession]:
    """A transaction that only reads."""
    async with web.installation.database.reading() as session:
        yield session


async def writing(web: Shared) -> AsyncIterator[AsyncSession]:
    """A transaction that writes; it is committed before the answer is sent.

    Not for endpoints that take a body: it begins before the body is read, and others would wait for whoever sends it.
    """
    async with web.installation.database.session() as session:
        yield session


async def current_user(connection: HTTPConnection, web: Shared) -> Principal:
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


async def signed_in_admin(user: AdminUser) -> Principal:
    """An administrator in person, for what a key must not do: make more keys."""
    if user.session_id is None:
        raise Forbidden("this needs a user who has signed in; an API key will not do")
    return user


SignedInAdmin = Annotated[Principal, Depends(signed_in_admin)]
ReadQueues = Annotated[Principal, Depends(requires("queues:read", role=Role.ADMIN))]
WriteQueues = Annotated[Principal, Depends(requires("queues:write", role=Role.ADMIN))]


async def get_client(connection: HTTPConnection) -> Client:
    """Where a request comes from, as far as is known."""
    address = connection.client.host if connection.client else None
    return Client(address, connection.headers.get("user-agent"))


FromClient = Annotated[Client, Depends(get_client)]


async def audit_trail(user: CurrentUser, web: Shared, client: FromClient) -> Audit:
    """Writes what this user does to the audit log."""
    return Audit(web.audits, user, client.address)


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
