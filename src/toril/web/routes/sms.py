"""SMS: what providers tell of messages, who wants none, and what of that those who run the installation see."""

from __future__ import annotations

import hmac
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import PlainTextResponse, Response

from toril.db.repositories.sms import SmsOptOuts, SmsReports
from toril.db.session import Database
from toril.errors import OptionError
from toril.queues.notification.phones import masked, to_e164
from toril.web.answers import Json, ok
from toril.web.api_route import ApiRoute
from toril.web.auth.principal import Principal
from toril.web.deps import AdminUser, AuditTrail, Limits, Reading, Records, Shared
from toril.web.errors import Forbidden, HttpError, NotFound
from toril.web.schemas import Answer, Model, Moment, errors
from toril.web.sms_events import Report, Wish, read_any, read_form, report_of, signed_by_twilio, wish_of

router = APIRouter(tags=["sms"])
#: Providers call the others, by addresses to which they add what they like.
_admin = APIRouter(route_class=ApiRoute)

#: Providers whose reports have no signature.
_UNSIGNED: Final = ("unifonic", "taqnyat")

#: Where Twilio's callbacks go, below the public URL.
TWILIO_PATH: Final = "/api/webhooks/sms/twilio"


class Unreadable(HttpError):
    """The body is not what a provider sends."""

    code, status = "bad_request", 400


async def who_runs_it(user: AdminUser) -> Principal:
    """An administrator of no firm: SMS are those of the installation."""
    if user.firm_id is not None:
        raise Forbidden("SMS are of no firm, but of the installation: ask who runs it")
    return user


Operator = Annotated[Principal, Depends(who_runs_it)]


class ReportView(Model):
    """How far a message came."""

    provider: str
    message_id: str
    status: Literal["sent", "delivered", "failed"]
    error: str | None
    created_at: Moment


class ReportList(Answer[list[ReportView]]):
    """A part of the reports."""

    count: int
    total: int


class OptOutView(Model):
    """A number that gets no SMS."""

    number: str
    source: str
    created_at: Moment


class OptOutList(Answer[list[OptOutView]]):
    """A part of the numbers."""

    count: int
    total: int


@router.post(TWILIO_PATH, response_class=Response, status_code=204, responses=errors(400, 403, 404, 413, 503))
async def receive_from_twilio(request: Request, web: Shared, database: Records) -> Response:
    """Twilio's callbacks, signed: how far messages came, and who wrote STOP or START."""
    token = web.settings.twilio_auth_token
    if token is None:
        raise NotFound("Twilio's callbacks are not taken: TWILIO_AUTH_TOKEN is not set")
    form = read_form(await request.body())
    if form is None:
        raise Unreadable("the body is not a form")
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{web.settings.reached_at().rstrip('/')}{TWILIO_PATH}{query}"
    if not signed_by_twilio(token, url, form, request.headers.get("x-twilio-signature", "")):
        raise Forbidden("the signature is missing or wrong", code="bad_signature")
    fields = {name.lower(): value for name, value in form}
    await _note(database, "twilio", report_of(fields), wish_of(fields))
    return Response(status_code=204)


@router.post(
    "/api/webhooks/sms/{provider}/{token}",
    response_class=PlainTextResponse,
    responses=errors(400, 404, 413, 503),
)
async def receive_report(
    provider: str, token: str, request: Request, web: Shared, database: Records
) -> Response:
    """Reports of Unifonic and Taqnyat, which sign nothing: whoever knows the address is believed. The answer is what
    Taqnyat's portal wants to read."""
    expected = web.settings.sms_webhook_token
    if (
        provider not in _UNSIGNED
        or expected is None
        or not hmac.compare_digest(token.encode(), expected.encode())
    ):
        raise NotFound("this address is not good")
    fields = read_any(await request.body(), request.headers.get("content-type", ""))
    if fields is None:
        raise Unreadable("the body is neither a form nor a JSON object")
    await _note(database, provider, report_of(fields), None)
    return PlainTextResponse(web.settings.sms_webhook_answer or "OK")


@_admin.get("/api/sms/reports", response_model=ReportList, responses=errors(400, 401, 403, 503))
async def list_reports(
    user: Operator,
    session: Reading,
    page: Limits,
    message_id: Annotated[
        str | None, Query(alias="messageId", max_length=256, description="Only of this message.")
    ] = None,
) -> Json:
    """How far messages came, as their providers tell; the newest first."""
    found = await SmsReports(session).list(message_id=message_id, limit=page.limit, offset=page.offset)
    return ok(
        [
            {
                "provider": each.provider,
                "messageId": each.message_id,
                "status": each.status,
                "error": each.error,
                "createdAt": each.created_at,
            }
            for each in found.items
        ],
        count=len(found.items),
        total=found.total,
    )


@_admin.get("/api/sms/opt-outs", response_model=OptOutList, responses=errors(400, 401, 403, 503))
async def list_opt_outs(user: Operator, session: Reading, page: Limits) -> Json:
    """The numbers that get no SMS, the newest first."""
    found = await SmsOptOuts(session).list(limit=page.limit, offset=page.offset)
    return ok(
        [
            {"number": each.number, "source": each.source, "createdAt": each.created_at}
            for each in found.items
        ],
        count=len(found.items),
        total=found.total,
    )


@_admin.delete(
    "/api/sms/opt-outs/{number}", response_model=Answer[None], responses=errors(400, 401, 403, 404, 503)
)
async def remove_opt_out(number: str, user: Operator, database: Records, audit: AuditTrail) -> Json:
    """Send SMS to a number again, when whoever has it said so by another way."""
    try:
        wanted = to_e164(number[:64])
    except OptionError as error:
        raise NotFound(f"this number has not opted out: {error}") from None
    async with database.session() as session:
        if not await SmsOptOuts(session).remove(wanted):
            raise NotFound("this number has not opted out")
        session.add(audit.entry("sms_opt_out.remove", masked(wanted)))
    return ok(None)


router.include_router(_admin)


async def _note(database: Database, provider: str, report: Report | None, wish: Wish | None) -> None:
    if report is None and wish is None:
        return
    async with database.session() as session:
        if wish is not None and wish.wants:
            await SmsOptOuts(session).remove(wish.number)
        elif wish is not None:
            await SmsOptOuts(session).add(wish.number, source=provider)
        elif report is not None:
            await SmsReports(session).receive(
                provider, report.message_id, status=report.status, error=report.error
            )
