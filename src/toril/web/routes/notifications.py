"""A user's notifications, and the browsers that show their pushes."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import Field

from toril.db.models import Notification
from toril.db.repositories.notifications import Notifications, PushSubscriptions
from toril.db.types import utc_now
from toril.queues.notification.payloads import Subscription
from toril.web.answers import Json, ok
from toril.web.api_route import ApiRoute
from toril.web.deps import Limits, Reading, Records, Shared, Writing
from toril.web.errors import Conflict, NotFound
from toril.web.firms import ReadRecords, WriteRecords
from toril.web.queue_route import read_body, takes
from toril.web.schemas import Answer, Model, Moment, errors

router = APIRouter(prefix="/api", tags=["notifications"], route_class=ApiRoute)

#: Browsers of one user.
MAX_BROWSERS = 50

_SUBSCRIPTION: Final = {
    "endpoint": "https://updates.push.services.example/wpush/v2/gAAAAABh",
    "expirationTime": None,
    "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    },
}


class NotificationView(Model):
    """Something a user should know."""

    id: str
    type: str
    title: str
    message: str
    link: str | None
    metadata: dict[str, Any]
    created_at: Moment
    read_at: Moment | None


class NotificationList(Answer[list[NotificationView]]):
    """A page of notifications."""

    count: int
    total: int
    unread: int


class ToRead(Model):
    """Which have been read; without ids all of them."""

    ids: Annotated[list[str] | None, Field(max_length=500)] = None


class Marked(Model):
    """How many were unread before."""

    marked: int


class PushKey(Model):
    """What browsers subscribe with."""

    public_key: str


class SubscriptionView(Model):
    """A browser that takes pushes."""

    endpoint: str
    user_agent: str | None
    created_at: Moment


class SubscriptionList(Answer[list[SubscriptionView]]):
    """All of a user's browsers."""

    count: int


@router.get("/notifications", response_model=NotificationList, responses=errors(400, 401, 403, 503))
async def list_notifications(
    user: ReadRecords,
    session: Reading,
    page: Limits,
    unread: Annotated[bool, Query(description="Only those that have not been read.")] = False,
) -> Json:
    """One's own notifications, the newest first."""
    notifications = Notifications(session)
    found = await notifications.list(
        user_id=user.user_id, unread=unread, limit=page.limit, offset=page.offset
    )
    return ok(
        [_view(each) for each in found.items],
        count=len(found.items),
        total=found.total,
        unread=found.total if unread else await notifications.count_unread(user_id=user.user_id),
    )


@router.post(
    "/notifications/read",
    response_model=Answer[Marked],
    responses=errors(400, 401, 403, 413, 415, 503),
    openapi_extra=takes(ToRead, {"ids": ["507f1f77bcf86cd799439011"]}, optional=True),
)
async def mark_read(request: Request, user: WriteRecords, database: Records) -> Json:
    """Mark one's own notifications as read."""
    body = await read_body(request, ToRead, optional=True)
    async with database.session() as session:
        marked = await Notifications(session).mark_read(user_id=user.user_id, now=utc_now(), ids=body.ids)
    return ok({"marked": marked})


@router.post(
    "/notifications/{notification_id}/read",
    response_model=Answer[Marked],
    responses=errors(400, 401, 403, 503),
)
async def mark_one_read(notification_id: str, user: WriteRecords, session: Writing) -> Json:
    """Mark one as read; nothing happens to one that is read already, or is somebody else's."""
    marked = await Notifications(session).mark_read(
        user_id=user.user_id, now=utc_now(), ids=[notification_id]
    )
    return ok({"marked": marked})


@router.get("/push/key", response_model=Answer[PushKey], responses=errors(401, 403, 404, 503))
async def read_push_key(user: ReadRecords, web: Shared) -> Json:
    """The public key that a browser needs to subscribe."""
    key = web.settings.vapid_public_key
    if key is None:
        raise NotFound("pushes are not set up: VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY are not set")
    return ok({"publicKey": key})


@router.get("/push/subscriptions", response_model=SubscriptionList, responses=errors(401, 403, 503))
async def list_subscriptions(user: ReadRecords, session: Reading) -> Json:
    """One's own browsers."""
    found = await PushSubscriptions(session).list(user_id=user.user_id)
    return ok(
        [
            {"endpoint": each.endpoint, "userAgent": each.user_agent, "createdAt": each.created_at}
            for each in found
        ],
        count=len(found),
    )


@router.post(
    "/push/subscriptions",
    status_code=201,
    response_model=Answer[None],
    responses=errors(400, 401, 403, 409, 413, 415, 503),
    openapi_extra=takes(Subscription, _SUBSCRIPTION),
)
async def subscribe(
    request: Request,
    user: WriteRecords,
    database: Records,
    user_agent: Annotated[str | None, Query(alias="userAgent", max_length=300)] = None,
) -> Json:
    """Take pushes in this browser: the body is its ``PushSubscription`` as JSON. Subscribing again is once."""
    body = await read_body(request, Subscription)
    async with database.session() as session:
        subscriptions = PushSubscriptions(session)
        there = await subscriptions.list(user_id=user.user_id)
        if len(there) >= MAX_BROWSERS and body.endpoint not in {each.endpoint for each in there}:
            raise Conflict(f"you take pushes in {len(there)} browsers already: remove one first")
        await subscriptions.save(
            user_id=user.user_id,
            endpoint=body.endpoint,
            p256dh=body.keys.p256dh,
            auth=body.keys.auth,
            user_agent=user_agent,
        )
    return ok(None, status=201)


@router.delete(
    "/push/subscriptions",
    response_model=Answer[None],
    responses=errors(400, 401, 403, 404, 503),
)
async def unsubscribe(
    user: WriteRecords, session: Writing, endpoint: Annotated[str, Query(max_length=2048)]
) -> Json:
    """No more pushes in a browser."""
    if not await PushSubscriptions(session).delete(endpoint, user_id=user.user_id):
        raise NotFound("you take no pushes in this browser")
    return ok(None)


def _view(notification: Notification) -> dict[str, Any]:
    return {
        "id": notification.id,
        "type": notification.type,
        "title": notification.title,
        "message": notification.message,
        "link": notification.link,
        "metadata": notification.details,
        "createdAt": notification.created_at,
        "readAt": notification.read_at,
    }
