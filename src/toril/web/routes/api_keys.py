"""Keys for machines: made, listed and taken back by administrators."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import Field

from toril.db.models import ApiKey
from toril.db.repositories.access import ApiKeys
from toril.db.types import utc_now
from toril.web.answers import Json, ok
from toril.web.api_route import ApiRoute
from toril.web.auth.principal import Scope
from toril.web.auth.secrets import hash_of, new_api_key
from toril.web.deps import AdminUser, AuditTrail, Reading, Records, Shared, SignedInAdmin
from toril.web.errors import NotFound
from toril.web.queue_route import read_body, takes
from toril.web.schemas import Answer, Model, Moment, errors

router = APIRouter(prefix="/api/keys", tags=["API keys"], route_class=ApiRoute)

_NEW: Final = {"name": "billing service", "scopes": ["queues:write"], "expiresInDays": 365}


class NewKey(Model):
    """What a key is for, and how long."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["billing service"])]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope), examples=[["queues:write"]])]
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] = 365


class KeyView(Model):
    """A key without the key."""

    id: str
    name: str
    hint: Annotated[str, Field(description="The key's first characters.", examples=["toril_8KbX2mQe"])]
    scopes: list[str]
    user_id: str
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None


class KeyList(Answer[list[KeyView]]):
    """All keys."""

    count: int


class CreatedKey(KeyView):
    """A new key; it is shown this once."""

    key: str


@router.post(
    "",
    status_code=201,
    response_model=Answer[CreatedKey],
    responses=errors(400, 401, 403, 413, 415, 503),
    openapi_extra=takes(NewKey, _NEW),
)
async def create_key(request: Request, user: SignedInAdmin, database: Records, audit: AuditTrail) -> Json:
    """Make a key that acts for the administrator who makes it, within its scopes. The key is shown this once."""
    body = await read_body(request, NewKey)
    secret, hint = new_api_key()
    now = utc_now()
    key = ApiKey(
        user_id=user.user_id,
        name=body.name,
        key_hash=hash_of(secret),
        hint=hint,
        scopes=sorted(set(body.scopes)),
        created_at=now,
        expires_at=now + timedelta(days=body.expires_in_days),
    )
    async with database.session() as session:
        session.add(key)
        await session.flush()
        session.add(audit.entry("api_key.create", key.id, name=key.name, scopes=key.scopes))
    return ok({**_view(key), "key": secret}, status=201)


@router.get("", response_model=KeyList, responses=errors(401, 403, 503))
async def list_keys(user: AdminUser, session: Reading) -> Json:
    """All keys of the firm's users, or of everybody for who runs the installation; the newest first."""
    keys = await ApiKeys(session).list_of_firm(user.firm_id)
    return ok([_view(key) for key in keys], count=len(keys))


@router.delete("/{key_id}", response_model=Answer[None], responses=errors(401, 403, 404, 503))
async def revoke_key(key_id: str, user: AdminUser, web: Shared, database: Records, audit: AuditTrail) -> Json:
    """Take a key back. Other processes may still know it for some seconds."""
    async with database.session() as session:
        owner = await ApiKeys(session).revoke_of_firm(key_id, firm_id=user.firm_id, now=utc_now())
        if owner is None:
            raise NotFound(f"there is no API key {key_id!r} that is good")
        session.add(audit.entry("api_key.revoke", key_id))
    web.access.forget(user_id=owner)
    return ok(None)


def _view(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "scopes": key.scopes,
        "userId": key.user_id,
        "createdAt": key.created_at,
        "expiresAt": key.expires_at,
        "lastUsedAt": key.last_used_at,
        "revokedAt": key.revoked_at,
    }
