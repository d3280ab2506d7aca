"""The queue endpoints of Toril's own application: for administrators, each of their own firm's jobs unless they run the
installation, with an audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from toril.db.models import Role
from toril.web.auth.audit import Audit
from toril.web.auth.principal import Principal, Scope
from toril.web.context import Web
from toril.web.deps import current_user, get_client, get_service, get_web, requires
from toril.web.errors import Forbidden
from toril.web.owners import require_job_reader
from toril.web.queue_panel import SCOPE_KEY, Panel
from toril.web.routes.queues_router import build_router

#: Checked by hand rather than as dependencies of dependencies, each of which costs as much as a job.
_may_read: Final = requires(Scope.QUEUES_READ, role=Role.ADMIN)
_may_write: Final = requires(Scope.QUEUES_WRITE, role=Role.ADMIN)


async def to_read(connection: HTTPConnection) -> None:
    """Let an administrator in who may look at queues; what they take away goes to the audit log."""
    web = await get_web(connection)
    user = await _may_read(await current_user(connection, web))

    async def let_in() -> None:
        again = await _may_read(await current_user(connection, web))
        if again.firm_id != user.firm_id:
            raise Forbidden("you belong to another firm now: come in anew")

    await _open(connection, web, user, firm_id=user.firm_id, still_in=let_in)


async def to_write(connection: HTTPConnection) -> None:
    """Let an administrator in who may change queues; what they do goes to the audit log."""
    web = await get_web(connection)
    user = await _may_write(await current_user(connection, web))
    await _open(connection, web, user, firm_id=user.firm_id)


async def to_read_one_job(connection: HTTPConnection) -> None:
    """Let administrators in, and whom the job was added for."""
    web = await get_web(connection)
    user = await current_user(connection, web)
    job = connection.path_params
    owns = await require_job_reader(web.installation.database, user, job["name"], job["job_id"])
    await _open(connection, web, user, firm_id=None if owns else user.firm_id)


async def _open(
    connection: HTTPConnection,
    web: Web,
    user: Principal,
    *,
    firm_id: str | None,
    still_in: Callable[[], Awaitable[object]] | None = None,
) -> None:
    async def record(action: str, target: str, details: Mapping[str, Any]) -> None:
        client = await get_client(connection)
        await Audit(web.audits, user, client.address)(action, target, **details)

    connection.scope[SCOPE_KEY] = Panel(
        service=await get_service(web),
        feeds=web.feeds,
        record=record,
        still_in=still_in,
        firm_id=firm_id,
        user_id=user.user_id,
    )


router: Final = build_router(
    reading=[Depends(to_read)],
    writing=[Depends(to_write)],
    one_job=[Depends(to_read_one_job)],
    prefix="/api/queues",
)
