"""What happens when somebody opens a campaign's mail, follows a link in it, or wants no more of them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from toril.db.models.mail import CampaignSend, TrackingKind
from toril.db.repositories.mail import Campaigns, Suppressions
from toril.db.session import Database
from toril.queues.email.tracking import TrackingVisit


async def note_visit(database: Database, visit: TrackingVisit) -> bool:
    """Record a visit that ``Tracker.read`` gave: an open, a click, or that the address gets no more campaigns.

    Unsubscribing twice is once; every open and click counts.

    Returns:
        Whether there is such a mail. When not, its records were deleted; a click still leads to its target.
    """
    async with database.session() as session:
        if visit.action == "unsubscribe":
            email = await session.scalar(
                select(CampaignSend.email).where(CampaignSend.tracking_id == visit.mail.tracking_id)
            )
            if email is not None:
                await Suppressions(session).add(email, reason="unsubscribed")
            return email is not None
        return await Campaigns(session).track(
            visit.mail.tracking_id,
            TrackingKind(visit.action),
            now=datetime.now(UTC),
            url=visit.target or None,
        )
