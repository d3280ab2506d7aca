"""The type ``in-app``: a record that the user finds, and a word to those who are connected."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.errors import RecordNotFoundError
from toril.db.ids import is_id
from toril.db.models.firms import User
from toril.db.models.notifications import Notification
from toril.db.repositories.notifications import Notifications
from toril.db.session import Database
from toril.errors import TorilError
from toril.queues.base import RunningJob
from toril.queues.job_key import job_key
from toril.queues.notification.live import LiveEvents, user_room
from toril.queues.notification.payloads import InApp
from toril.queues.notification.people import plain_id, strangers
from toril.queues.notification.results import InAppResult

log = logging.getLogger("toril.queues.notification")

EVENT: Final = "notification"


@dataclass(frozen=True, slots=True, kw_only=True)
class InAppNotifier:
    """Stores notifications and announces them.

    Attributes:
        live: where to announce them; None when no server listens.
    """

    database: Database
    live: LiveEvents | None = None

    async def __call__(self, payload: InApp, job: RunningJob) -> InAppResult:
        """Store one notification, once for a job, and tell the user's open windows.

        The record is what counts: a job whose event could not be sent succeeds, and says so in its log. An attempt
        that finds the record of an earlier one announces it again; windows know it by its id.

        Returns:
            ``{"success": True, "userId": …, "notificationId": …, "emitted": …}``.

        Raises:
            RecordNotFoundError: the user is not one of the firm.
        """
        await job.update_progress(10)
        async with self.database.session() as session:
            firm_id = await _firm_of(session, payload)
            stored, _ = await Notifications(session).add_once(
                {
                    "firm_id": firm_id,
                    "user_id": payload.user_id,
                    "type": payload.type,
                    "title": payload.title,
                    "message": payload.message,
                    "link": payload.link,
                    "details": payload.metadata or {},
                    "job_id": job_key("notification", job),
                }
            )
        await job.update_progress(70)
        emitted = await self._announce(stored, job)
        await job.update_progress(100)
        return {
            "success": True,
            "userId": payload.user_id,
            "notificationId": stored.id,
            "emitted": emitted,
        }

    async def _announce(self, stored: Notification, job: RunningJob) -> bool:
        if self.live is None:
            return False
        try:
            await self.live.emit(EVENT, event_of(stored), room=user_room(stored.user_id))
        except TorilError as error:
            await job.log(
                f"stored, but the event was not sent; the user finds it when they look next: {error}"
            )
            log.warning(
                "notification_not_emitted",
                extra={"job_id": job.id, "notification_id": stored.id, "reason": str(error)},
            )
            return False
        return True


def event_of(stored: Notification) -> dict[str, Any]:
    """What the user's windows get; the time in ISO 8601, UTC."""
    created: datetime = stored.created_at.astimezone(UTC)
    return {
        "id": stored.id,
        "title": stored.title,
        "message": stored.message,
        "type": stored.type,
        "link": stored.link,
        "createdAt": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


async def _firm_of(session: AsyncSession, payload: InApp) -> str | None:
    """The firm a notification belongs to: its user's."""
    if payload.firm_id is None:
        user_id = plain_id(payload.user_id)
        user = await session.get(User, user_id) if is_id(user_id) else None
        return None if user is None else user.firm_id
    if await strangers(session, [payload.user_id], firm_id=payload.firm_id):
        raise RecordNotFoundError("user", payload.user_id)
    return payload.firm_id
