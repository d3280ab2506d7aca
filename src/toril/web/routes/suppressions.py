"""Addresses that get no more mail: a firm's own list for its administrators, all for who runs the installation."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AfterValidator, Field

from toril.db.models import MailSuppression, SuppressionReason
from toril.db.repositories.suppressions import Suppressions
from toril.db.repositories.users import Firms
from toril.errors import OptionError
from toril.queues.email.addresses import parse_mailbox
from toril.web.answers import Json, ok
from toril.web.api_route import ApiRoute
from toril.web.deps import AdminUser, AuditTrail, Limits, Reading, Records
from toril.web.errors import Forbidden, NotFound
from toril.web.firms import firm_of
from toril.web.queue_route import read_body, takes
from toril.web.schemas import Answer, Model, Moment, errors

router = APIRouter(prefix="/api/suppressions", tags=["suppressions"], route_class=ApiRoute)

_ADDED: Final = {"email": "client@example.com"}


async def administered_list(
    user: AdminUser,
    firm_id: Annotated[
        str | None,
        Query(
            alias="firmId",
            max_length=64,
            description="For administrators without a firm: which is meant, instead of all.",
        ),
    ] = None,
) -> str | None:
    """The firm whose list is meant; None for all."""
    return None if user.firm_id is None and firm_id is None else firm_of(user, firm_id)


AdminList = Annotated[str | None, Depends(administered_list)]


def _address(text: str) -> str:
    try:
        return parse_mailbox(text).address.lower()
    except OptionError as error:
        raise ValueError(str(error)) from None


class SuppressionView(Model):
    """An address that gets no more mail."""

    email: str
    reason: SuppressionReason
    firm_id: Annotated[str | None, Field(description="Whose mail; null for that of all firms.")]
    created_at: Moment


class SuppressionList(Answer[list[SuppressionView]]):
    """A part of the list."""

    count: int
    total: int


class NewSuppression(Model):
    """An address to put on the list."""

    email: Annotated[str, Field(max_length=512), AfterValidator(_address)]
    reason: SuppressionReason = SuppressionReason.UNSUBSCRIBED


@router.get("", response_model=SuppressionList, responses=errors(400, 401, 403, 404, 503))
async def list_suppressions(
    firm_id: AdminList,
    session: Reading,
    page: Limits,
    email: Annotated[str | None, Query(max_length=512, description="Only this address.")] = None,
) -> Json:
    """The list, the newest first."""
    found = await Suppressions(session).list(
        firm_id=firm_id, email=email, limit=page.limit, offset=page.offset
    )
    return ok([_view(each) for each in found.items], count=len(found.items), total=found.total)


@router.post(
    "",
    status_code=201,
    response_model=Answer[SuppressionView],
    responses=errors(400, 401, 403, 404, 413, 415, 503),
    openapi_extra=takes(NewSuppression, _ADDED),
)
async def add_suppression(request: Request, firm_id: AdminList, database: Records, audit: AuditTrail) -> Json:
    """Send no more mail to many to an address; with another reason than unsubscribed, no mail at all, which is for who
    runs the installation to say. What is there already stays."""
    body = await read_body(request, NewSuppression)
    if firm_id is not None and body.reason is not SuppressionReason.UNSUBSCRIBED:
        raise Forbidden("a firm's list is of those who have unsubscribed; other reasons are about all firms")
    async with database.session() as session:
        if firm_id is not None:
            await Firms(session).get(firm_id)
        suppressions = Suppressions(session)
        await suppressions.add(body.email, reason=body.reason, firm_id=firm_id)
        session.add(audit.entry("suppression.add", body.email, reason=body.reason.value, firmId=firm_id))
        await session.flush()
        stored = await suppressions.get(body.email, reason=body.reason, firm_id=firm_id)
        if stored is None:
            raise NotFound("this address was taken off the list meanwhile")
        view = _view(stored)
    return ok(view, status=201)


@router.delete("/{email:path}", response_model=Answer[None], responses=errors(400, 401, 403, 404, 503))
async def remove_suppression(email: str, firm_id: AdminList, database: Records, audit: AuditTrail) -> Json:
    """Send mail to an address again: a firm's if a firm is meant, else that of all, whatever the reasons were. An
    address may have a slash in it."""
    async with database.session() as session:
        if not await Suppressions(session).remove(email, firm_id=firm_id):
            raise NotFound("this address is not on the list")
        session.add(audit.entry("suppression.remove", email[:320], firmId=firm_id))
    return ok(None)


def _view(each: MailSuppression) -> dict[str, Any]:
    return {
        "email": each.email,
        "reason": each.reason,
        "firmId": each.scope or None,
        "createdAt": each.created_at,
    }
