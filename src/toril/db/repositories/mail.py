"""Mail: who got what, so that nothing is sent twice, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select, update

from toril.db.errors import RecordConflictError
from toril.db.models.mail import (
    BulkSend,
    CampaignSend,
    EmailCampaign,
    SendStatus,
    TrackingEvent,
    TrackingKind,
)
from toril.db.repositories.base import Repository
from toril.db.repositories.mail_events import MailEvents
from toril.db.upsert import insert_new, upsert


class BulkSends(Repository):
    """What a bulk job has sent. ``job`` is as ``BulkSend`` says; addresses are as the job has them."""

    async def list(self, job: str) -> dict[str, BulkSend]:
        """What is known of a job's mails, by address."""
        found = await self.session.scalars(select(BulkSend).where(BulkSend.job == job))
        return {send.email: send for send in found}

    async def begin(self, job: str, emails: Sequence[str]) -> set[str]:
        """Note that mails are about to be handed over; returns the addresses that were not noted before."""
        rows = [{"job": job, "email": email} for email in emails]
        return {email for _, email in await insert_new(self.session, BulkSend, rows, key=["job", "email"])}

    async def finish(
        self, job: str, email: str, *, message_id: str | None = None, error: str | None = None
    ) -> None:
        """Note what came of a mail: a message id when it was taken, else an error."""
        await self.record(job, {email: (message_id, error)})

    async def record(self, job: str, outcomes: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Note what came of mails, whether they were noted before or not.

        Args:
            outcomes: by address, the message id when it was taken, and the error when it was not.
        """
        rows = [{"job": job, "email": email, **_outcome(*outcome)} for email, outcome in outcomes.items()]
        change = ("status", "message_id", "error")
        events, taken = MailEvents(self.session), [message_id for message_id, _ in outcomes.values()]
        await events.lock(taken)
        await upsert(self.session, BulkSend, rows, key=("job", "email"), change=change)
        await events.apply_earlier(BulkSend, taken)


class Campaigns(Repository):
    """Campaigns, and each one's mail to each recipient."""

    async def get(self, campaign_id: str, *, firm_id: str) -> EmailCampaign:
        """The firm's campaign.

        Raises:
            RecordNotFoundError: there is none, or it is another firm's.
        """
        return await self._own(EmailCampaign, campaign_id, firm_id=firm_id)

    async def begin(self, campaign_id: str, email: str, *, tracking_id: str) -> tuple[CampaignSend, bool]:
        """Note that a campaign's mail is about to be handed over.

        Returns:
            The mail's record, and whether it is new; when not, look at its status before sending.
        Raises:
            RecordConflictError: the tracking id is that of another mail.
        """
        row = {"campaign_id": campaign_id, "email": email, "tracking_id": tracking_id}
        new = await insert_new(self.session, CampaignSend, [row], key=["campaign_id", "email"])
        send = await self.session.scalar(
            select(CampaignSend).where(CampaignSend.campaign_id == campaign_id, CampaignSend.email == email)
        )
        if send is None:
            raise RecordConflictError(f"the tracking id {tracking_id!r} is that of another mail")
        return send, bool(new)

    async def finish(
        self, send_id: str, *, now: datetime, message_id: str | None = None, error: str | None = None
    ) -> None:
        """Note what came of a mail: a message id when it was taken, else an error."""
        values = _outcome(message_id, error)
        if message_id is not None:
            values["sent_at"] = now
        events = MailEvents(self.session)
        await events.lock([message_id])
        await self.session.execute(update(CampaignSend).where(CampaignSend.id == send_id).values(**values))
        await events.apply_earlier(CampaignSend, [message_id])

    async def track(
        self, tracking_id: str, kind: TrackingKind, *, now: datetime, url: str | None = None
    ) -> bool:
        """Note that a mail was opened or a link in it followed; False when there is no such mail."""
        send_id = await self.session.scalar(
            select(CampaignSend.id).where(CampaignSend.tracking_id == tracking_id)
        )
        if send_id is None:
            return False
        self.session.add(TrackingEvent(send_id=send_id, kind=kind, url=url, at=now))
        return True

    async def counts(self, campaign_id: str) -> dict[str, int]:
        """How many mails were sent, failed, are open in outcome (``sending``), and were opened and clicked."""
        of_campaign = CampaignSend.campaign_id == campaign_id
        sends = await self.session.execute(
            select(CampaignSend.status, func.count()).where(of_campaign).group_by(CampaignSend.status)
        )
        events = await self.session.execute(
            select(TrackingEvent.kind, func.count(TrackingEvent.send_id.distinct()))
            .join(CampaignSend)
            .where(of_campaign)
            .group_by(TrackingEvent.kind)
        )
        none = dict.fromkeys([*SendStatus, *TrackingKind], 0)
        return {str(name): count for name, count in (none | dict(sends.all()) | dict(events.all())).items()}


def _outcome(message_id: str | None, error: str | None) -> dict[str, object]:
    status = SendStatus.SENT if message_id is not None else SendStatus.FAILED
    return {"status": status, "message_id": message_id, "error": error}
