"""What outside services tell us: events of mails from Resend, messages from WhatsApp. Signed, stored at once."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import PlainTextResponse, Response

from toril.db.models import WhatsAppNumber
from toril.db.repositories.mail_events import MailEvents
from toril.db.repositories.suppressions import Suppressions
from toril.db.repositories.whatsapp import WhatsAppInbox
from toril.errors import OptionError, TorilError
from toril.queues.email.addresses import parse_mailbox
from toril.queues.texts import storable
from toril.service import QueueService
from toril.web.answers import Json, ok
from toril.web.deps import Records, Shared
from toril.web.errors import Forbidden, HttpError, NotFound
from toril.web.json_body import TooManyValues, read_json
from toril.web.schemas import Answer, Model, errors
from toril.web.signed import SvixVerifier, signed_by_meta

log = logging.getLogger("toril.web")

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])

#: Milliseconds within which messages to one number are read by one job.
_TOGETHER: Final = 2000
#: Recipients of a mail; Resend takes 50.
_MOST_RECIPIENTS: Final = 1000
#: Events after which an address gets no mail any more.
_SUPPRESSING: Final = {"email.complained": "complained", "email.suppressed": "suppressed"}


class Unreadable(HttpError):
    """The body is signed, and is not what it should be."""

    code, status = "bad_request", 400


class Received(Model):
    """How many things were new."""

    received: int


@router.post("/resend", response_model=Answer[Received], responses=errors(400, 403, 404, 413, 503))
async def receive_mail_events(request: Request, web: Shared, database: Records) -> Json:
    """Resend's webhook: what became of mails. An address that bounced for good, or whose owner complained, gets no
    mail any more."""
    secret = web.settings.resend_webhook_secret
    if secret is None:
        raise NotFound("events of mails are not taken: RESEND_WEBHOOK_SECRET is not set")
    body = await request.body()
    event_id = SvixVerifier(secret).event_id(request.headers, body)
    if event_id is None:
        raise Forbidden("the signature is missing, wrong or too old", code="bad_signature")
    event = _object(body)
    async with database.session() as session:
        new = await _store(session, event_id, event)
    return ok({"received": int(new)})


@router.get("/whatsapp", response_class=PlainTextResponse, responses=errors(400, 403, 404))
async def confirm_whatsapp(
    web: Shared,
    mode: Annotated[str, Query(alias="hub.mode", max_length=64)] = "",
    token: Annotated[str, Query(alias="hub.verify_token", max_length=512)] = "",
    challenge: Annotated[str, Query(alias="hub.challenge", max_length=512)] = "",
) -> Response:
    """Meta asks whether this is the webhook that was set up there."""
    expected = web.settings.whatsapp_verify_token
    if expected is None:
        raise NotFound("WhatsApp's webhook is not taken: WHATSAPP_VERIFY_TOKEN is not set")
    if mode != "subscribe" or not hmac.compare_digest(token.encode(), expected.encode()):
        raise Forbidden("this is not the token that was agreed on")
    return PlainTextResponse(challenge)


@router.post("/whatsapp", response_model=Answer[Received], responses=errors(400, 403, 404, 413, 503))
async def receive_whatsapp(request: Request, web: Shared, database: Records) -> Json:
    """Meta's webhook: messages, and how far ours are. Each delivery is stored once, and a job reads it."""
    secret = web.settings.whatsapp_app_secret
    if secret is None:
        raise NotFound("WhatsApp's webhook is not taken: WHATSAPP_APP_SECRET is not set")
    body = await request.body()
    if not signed_by_meta(secret, request.headers, body):
        raise Forbidden("the signature is missing or wrong", code="bad_signature")
    payload, digest = _object(body), hashlib.sha256(body).hexdigest()
    named = set(_numbers(payload))
    async with database.session() as session:
        known = await session.scalars(select(WhatsAppNumber).where(WhatsAppNumber.phone_number_id.in_(named)))
        firms = {number.phone_number_id: number.firm_id for number in known}
        inbox, now = WhatsAppInbox(session), datetime.now(UTC)
        new = [
            number
            for number in sorted(firms)
            if await inbox.receive(number, digest=digest, payload=payload, now=now)
        ]
    if strangers := named - firms.keys():
        log.warning("whatsapp_number_unknown", extra={"numbers": sorted(strangers)[:10]})
    for number in new:
        await _have_it_read(web.installation.service, number, firms[number])
    return ok({"received": len(new)})


async def _have_it_read(service: QueueService, number: str, firm_id: str) -> None:
    try:
        await service.schedule_sync(
            "whatsapp-messages",
            {"firmId": firm_id, "phoneNumberId": number},
            {"debounce": {"id": f"whatsapp-{number}", "ttl": _TOGETHER}, "delay": _TOGETHER},
        )
    except TorilError as error:
        # It is stored: the next delivery or a schedule has it read. Meta must not send it again for that.
        log.warning("whatsapp_not_queued: %s", error, extra={"number": number})


async def _store(session: AsyncSession, event_id: str, event: dict[str, Any]) -> bool:
    data, kind = event.get("data"), event.get("type")
    if not isinstance(data, dict) or not isinstance(kind, str):
        raise Unreadable("an event must have type and data")
    to = data.get("to")
    recipients = [one for one in (to if isinstance(to, list) else [to]) if isinstance(one, str)]
    if len(recipients) > _MOST_RECIPIENTS:
        raise Unreadable(f"an event is about at most {_MOST_RECIPIENTS} recipients, as a mail is")
    addresses = [_address(one) for one in recipients]
    message_id = storable(data["email_id"]) if isinstance(data.get("email_id"), str) else None
    details = {
        name: storable(data[name]) for name in ("bounce", "click", "failed", "suppressed") if name in data
    }
    new = await MailEvents(session).receive(
        {
            "event_id": event_id,
            "type": storable(kind)[:64],
            "message_id": message_id and message_id[:256],
            "recipient": addresses[0][:320] if addresses else None,
            "details": details,
            "at": _moment(event.get("created_at")),
        }
    )
    if not new:
        return False
    bounce = data.get("bounce")
    permanent = isinstance(bounce, dict) and str(bounce.get("type", "")).lower() == "permanent"
    reason = "bounced" if kind == "email.bounced" and permanent else _SUPPRESSING.get(kind)
    if reason is not None:
        for address in addresses:
            await Suppressions(session).add(address[:320], reason=reason)
    return True


def _numbers(payload: dict[str, Any]) -> Iterator[str]:
    """The ids of the numbers that a delivery is about."""
    entries = payload.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        changes = entry.get("changes") if isinstance(entry, dict) else None
        for change in changes if isinstance(changes, list) else []:
            value = change.get("value") if isinstance(change, dict) else None
            metadata = value.get("metadata") if isinstance(value, dict) else None
            number = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
            if isinstance(number, str) and len(number) <= 64 and number.isprintable():
                yield number


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = read_json(body)
    except TooManyValues as error:
        raise Unreadable(f"the body {error}") from None
    except (ValueError, RecursionError):
        raise Unreadable("the body is not JSON") from None
    if not isinstance(found, dict):
        raise Unreadable("the body must be an object")
    return found


def _address(recipient: str) -> str:
    """The address of a recipient, who may have a name before it; what is none stays as it is."""
    try:
        return parse_mailbox(recipient).address
    except OptionError:
        return str(storable(recipient))


def _moment(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # also a day at the edge of the calendar, which is another one in UTC
        return datetime.now(UTC)
