"""The links in campaign mail: opened, followed, no more of it. Nobody signs in here, so only what we signed counts."""

from __future__ import annotations

import asyncio
import logging
from html import escape
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from toril.db.session import Database
from toril.errors import TorilError
from toril.queues.email.tracking import PIXEL, ListMember, TrackingAction, TrackingVisit
from toril.queues.email.visits import leave_list, note_visit
from toril.web.auth.throttle import network_of
from toril.web.context import Web
from toril.web.deps import FromClient, Records, Shared
from toril.web.errors import NotFound
from toril.web.schemas import errors

log = logging.getLogger("toril.web")

router = APIRouter(prefix="/t", tags=["mail links"])

#: Seconds that somebody who follows a link waits for it to be counted.
_NOTE_WITHIN: Final = 2.0

#: Requests to unsubscribe in a minute: by one link, and from one address.
_PER_LINK: Final = 20
_PER_ADDRESS: Final = 600

#: Visits that nobody waits for any more, as a task that nobody holds may be forgotten.
_being_noted: Final[set[asyncio.Task[None]]] = set()

_NOT_KEPT = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}


@router.head("/o/{signed}", include_in_schema=False)
@router.get(
    "/o/{signed}", response_class=Response, responses=errors(404) | {200: {"content": {"image/gif": {}}}}
)
async def note_open(request: Request, signed: str, web: Shared, database: Records) -> Response:
    """The picture that tells that a mail was opened."""
    await _note(request, database, _read(web, "open", signed))
    return Response(PIXEL, media_type="image/gif", headers=_NOT_KEPT)


@router.head("/c/{signed}", include_in_schema=False)
@router.get(
    "/c/{signed}",
    response_class=RedirectResponse,
    status_code=302,
    responses=errors(404) | {302: {"description": "On to the link's target."}},
)
async def follow_link(request: Request, signed: str, web: Shared, database: Records) -> Response:
    """A link in a mail: noted, and on to where it leads. Where that is was signed with the link."""
    visit = _read(web, "click", signed)
    await _note(request, database, visit)
    return RedirectResponse(visit.target, 302, _NOT_KEPT)


@router.head("/u/{signed}", include_in_schema=False)
@router.get("/u/{signed}", response_class=HTMLResponse, responses=errors(404))
async def ask_to_unsubscribe(signed: str, web: Shared) -> Response:
    """A page with a button, as programs that look at links must not unsubscribe anybody."""
    _way_out(web, signed)
    return _page(
        "إلغاء الاشتراك · Unsubscribe",
        "<p>هل تريد إيقاف الرسائل من هذا المرسل؟</p>"
        '<p lang="en" dir="ltr">Do you want no more of these mails?</p>'
        '<form method="post"><button>إلغاء الاشتراك · Unsubscribe</button></form>',
    )


@router.post("/u/{signed}", response_class=HTMLResponse, responses=errors(404, 429, 503))
async def unsubscribe(signed: str, web: Shared, database: Records, client: FromClient) -> Response:
    """No more mails to many to this address: by the page's button, or at once by the mail program (RFC 8058)."""
    way_out = _way_out(web, signed)
    await web.rates.count("unsubscribe by a link", signed, per_minute=_PER_LINK)
    # Few machines send the requests of all people who have their mail at one large provider.
    await web.rates.count(
        "unsubscribe from", network_of(client.address or "unknown"), per_minute=_PER_ADDRESS
    )
    if isinstance(way_out, ListMember):
        await leave_list(database, way_out)
    else:
        await note_visit(database, way_out)
    return _page(
        "تم · Done",
        '<p>لن تصلك رسائل أخرى.</p><p lang="en" dir="ltr">You will get no more of these mails.</p>',
    )


def _way_out(web: Web, signed: str) -> TrackingVisit | ListMember:
    """Whose way out a link is: that of a campaign's mail, or of a list."""
    found = web.tracker.read("unsubscribe", signed) or web.tracker.read_leave(signed)
    if found is None:
        raise NotFound("this link is not good")
    return found


def _read(web: Web, action: TrackingAction, signed: str) -> TrackingVisit:
    visit = web.tracker.read(action, signed)
    if visit is None:
        raise NotFound("this link is not good")
    return visit


async def _note(request: Request, database: Database, visit: TrackingVisit) -> None:
    if request.method == "HEAD":
        return  # a program that looks where a link leads; nobody has opened anything
    # Whoever follows a link gets there, also while we cannot count, or only later.
    noting = asyncio.create_task(_count(database, visit), name="toril-visit")
    _being_noted.add(noting)
    noting.add_done_callback(_being_noted.discard)
    await asyncio.wait({noting}, timeout=_NOTE_WITHIN)


async def _count(database: Database, visit: TrackingVisit) -> None:
    try:
        await note_visit(database, visit)
    except TorilError as error:
        log.warning("visit_not_counted: %s", error, extra={"action": visit.action})


def _page(title: str, body: str) -> Response:
    return HTMLResponse(
        '<!doctype html><html lang="ar" dir="rtl"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><h1>{escape(title)}</h1>{body}</html>",
        headers=_NOT_KEPT,
    )
