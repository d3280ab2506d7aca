"""Notifications, and the browsers that take pushes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, select, update

from toril.db.models.firms import User
from toril.db.models.notifications import Notification, PushSubscription
from toril.db.repositories.base import Page, Repository
from toril.db.upsert import insert_new, upsert


class Notifications(Repository):
    """What users should know. A user's own are read by the user's id, which is theirs in one firm only."""

    async def add_once(self, values: dict[str, Any]) -> tuple[Notification, bool]:
        """Store a notification that a job makes, unless the job has made it before.

        Args:
            values: attributes of ``Notification``; ``job_id`` is required.

        Returns:
            The notification, and whether it is new.
        """
        new = await insert_new(self.session, Notification, [values], key=["job_id"])
        stored = await self.session.scalars(
            select(Notification).where(Notification.job_id == values["job_id"])
        )
        return stored.one(), bool(new)

    async def list(
        self, *, user_id: str, unread: bool = False, limit: int = 50, offset: int = 0
    ) -> Page[Notification]:
        """A user's notifications, the newest first."""
        statement = select(Notification).where(Notification.user_id == user_id)
        if unread:
            statement = statement.where(Notification.read_at.is_(None))
        ordered = statement.order_by(Notification.created_at.desc(), Notification.id.desc())
        return await self._page(ordered, limit=limit, offset=offset)

    async def count_unread(self, *, user_id: str) -> int:
        """How many a user has not read."""
        statement = select(func.count()).where(
            Notification.user_id == user_id, Notification.read_at.is_(None)
        )
        return await self.session.scalar(statement) or 0

    async def mark_read(self, *, user_id: str, now: datetime, ids: Sequence[str] | None = None) -> int:
        """Mark a user's notifications as read: those with ``ids``, or all. Returns how many were not before."""
        statement = update(Notification).where(
            Notification.user_id == user_id, Notification.read_at.is_(None)
        )
        if ids is not None:
            statement = statement.where(Notification.id.in_(ids))
        marked = await self.session.execute(statement.values(read_at=now).returning(Notification.id))
        return len(marked.all())


class PushSubscriptions(Repository):
    """Browsers that take pushes."""

    async def save(
        self, *, user_id: str, endpoint: str, p256dh: str, auth: str, user_agent: str | None = None
    ) -> None:
        """Store a browser's subscription; one that is there goes to this user, with these keys."""
        row = {
            "user_id": user_id,
            "endpoint": endpoint,
            "p256dh": p256dh,
            "auth": auth,
            "user_agent": user_agent,
        }
        change = ["user_id", "p256dh", "auth", "user_agent"]
        await upsert(self.session, PushSubscription, [row], key=["endpoint"], change=change)

    async def of_users(self, user_ids: Collection[str]) -> dict[str, list[PushSubscription]]:
        """The subscriptions of some hundred users, by user; none of those who may not sign in any more."""
        barred = exists().where(User.id == PushSubscription.user_id, User.active.is_(False))
        statement = select(PushSubscription).where(PushSubscription.user_id.in_(user_ids), ~barred)
        found: dict[str, list[PushSubscription]] = {}
        for each in await self.session.scalars(statement.order_by(PushSubscription.id)):
            found.setdefault(each.user_id, []).append(each)
        return found

    async def list(self, *, user_id: str) -> Sequence[PushSubscription]:
        """A user's subscriptions."""
        statement = select(PushSubscription).where(PushSubscription.user_id == user_id)
        return (await self.session.scalars(statement.order_by(PushSubscription.id))).all()

    async def delete(self, endpoint: str, *, user_id: str | None = None) -> bool:
        """Forget a subscription: one of a user, or any that its push service says is gone."""
        statement = delete(PushSubscription).where(PushSubscription.endpoint == endpoint)
        if user_id is not None:
            statement = statement.where(PushSubscription.user_id == user_id)
        return await self.session.scalar(statement.returning(PushSubscription.id)) is not None
