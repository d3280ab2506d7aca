"""What happens when somebody opens a campaign's mail, follows a link in it, or wants no more of them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from toril.db.ids import is_id
from toril.db.models.mail import CampaignSend, EmailCampaign, SuppressionReason, TrackingKind
from toril.db.repositories.mail import Campaigns
from toril.db.repositories.suppressions import Suppressions
from toril.db.session import Database
from toril.queues.email.tracking import ListMember, TrackingVisit


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
            if email is None:
                return False
            firm_id = None
            if is_id(visit.mail.campaign_id):
                firm_id = await session.scalar(
                    select(EmailCampaign.firm_id).where(EmailCampaign.id == visit.mail.campaign_id)
                )
            await Suppressions(session).add(email, reason=SuppressionReason.UNSUBSCRIBED, firm_id=firm_id)
            return True
        return await Campaigns(session).track(
            visit.mail.tracking_id,
            TrackingKind(visit.action),
            now=datetime.now(UTC),
            url=visit.target or None,
        )


async def leave_list(database: Database, member: ListMember) -> None:
    """Note that an address wants no more of a firm's mails to many, as ``Tracker.read_leave`` gave it."""
    async with database.session() as session:
        await Suppressions(session).add(
            member.email, reason=SuppressionReason.UNSUBSCRIBED, firm_id=member.firm_id
        )
