"""A firm's own credentials at outside services: set and taken away by its administrators, and never shown."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from toril.db.repositories.credentials import FirmCredentials
from toril.db.repositories.users import Firms
from toril.queues.sync.access.services import SERVICES
from toril.queues.sync.access.store import CredentialStore
from toril.web.answers import Json, ok
from toril.web.api_route import ApiRoute
from toril.web.deps import AdminUser, AuditTrail, Reading, Records, Shared
from toril.web.errors import NotFound
from toril.web.firms import FirmAsked, firm_of
from toril.web.queue_route import read_body, takes
from toril.web.schemas import Answer, Model, Moment, errors

router = APIRouter(prefix="/api/credentials", tags=["credentials"], route_class=ApiRoute)

_MOYASAR: Final = {"values": {"secretKey": "sk_live_…"}}

ServiceName = Literal["stripe", "moyasar", "hyperpay", "stcpay", "lean", "sadad"]


async def administered_firm(user: AdminUser, firm_id: FirmAsked = None) -> str:
    """The firm, for its administrators."""
    return firm_of(user, firm_id)


AdminFirm = Annotated[str, Depends(administered_firm)]


class ServiceView(Model):
    """A service, and whether the firm has credentials of its own there."""

    service: ServiceName
    fields: Annotated[list[str], Field(description="What they are made of.")]
    optional: list[str]
    is_set: bool
    updated_at: Moment | None


class ServiceList(Answer[list[ServiceView]]):
    """All services."""

    count: int


class Values(Model):
    """Credentials."""

    values: Annotated[
        dict[str, Annotated[str, Field(max_length=20_000)]],
        Field(max_length=10, description="By the names of their fields. Certificates and keys are PEM."),
    ]


@router.get("", response_model=ServiceList, responses=errors(400, 401, 403, 404, 503))
async def list_credentials(firm_id: AdminFirm, session: Reading) -> Json:
    """At which services the firm has credentials of its own. The credentials are shown to nobody."""
    return ok(found := await _views(session, firm_id), count=len(found))


@router.put(
    "/{service}",
    response_model=Answer[ServiceView],
    responses=errors(400, 401, 403, 404, 413, 415, 503),
    openapi_extra=takes(Values, _MOYASAR),
)
async def set_credentials(
    service: str, request: Request, firm_id: AdminFirm, web: Shared, database: Records, audit: AuditTrail
) -> Json:
    """Store the firm's credentials at a service, instead of earlier ones. The next job uses them."""
    _require(service)
    body = await read_body(request, Values)
    store = CredentialStore(web.settings.secrets())
    async with database.session() as session:
        await Firms(session).get(firm_id)
        await store.put(session, service, body.values, firm_id=firm_id)
        session.add(audit.entry("credentials.set", service, firmId=firm_id))
        await session.flush()
        [view] = [each for each in await _views(session, firm_id) if each["service"] == service]
    return ok(view)


@router.delete("/{service}", response_model=Answer[None], responses=errors(400, 401, 403, 404, 503))
async def remove_credentials(service: str, firm_id: AdminFirm, database: Records, audit: AuditTrail) -> Json:
    """Delete the firm's credentials at a service."""
    _require(service)
    async with database.session() as session:
        if not await FirmCredentials(session).remove(service, firm_id=firm_id):
            raise NotFound(f"the firm has no credentials at {service}")
        session.add(audit.entry("credentials.remove", service, firmId=firm_id))
    return ok(None)


def _require(service: str) -> None:
    if service not in SERVICES:
        raise NotFound(f"there is no such service; firms have credentials at {', '.join(SERVICES)}")


async def _views(session: Any, firm_id: str) -> list[dict[str, Any]]:
    stored = {each.service: each for each in await FirmCredentials(session).list(firm_id=firm_id)}
    return [
        {
            "service": service.name,
            "fields": list(service.required),
            "optional": list(service.optional),
            "isSet": service.name in stored,
            "updatedAt": stored[service.name].updated_at if service.name in stored else None,
        }
        for service in SERVICES.values()
    ]
