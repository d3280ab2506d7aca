"""Rows that have had their time: counted, and deleted in batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, Table, and_, delete, func, inspect, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.base import Identified
from toril.db.models.access import OneTimeToken, Session
from toril.db.models.deliveries import Delivery
from toril.db.models.job_owners import JobOwner
from toril.db.models.mail import BulkSend, CampaignSend
from toril.db.models.mail_events import MailEvent
from toril.db.models.notifications import Notification
from toril.db.models.reports import Report
from toril.db.models.sms import SmsReport
from toril.db.models.whatsapp import WhatsAppNotification


@dataclass(frozen=True, slots=True)
class Purge:
    """Rows of one table that may go. Delete them in short transactions, one ``delete_batch`` in each."""

    model: type[Identified]
    which: ColumnElement[bool]

    async def count(self, session: AsyncSession) -> int:
        """How many there are."""
        return await session.scalar(select(func.count()).select_from(self.model).where(self.which)) or 0

    async def delete_batch(self, session: AsyncSession, *, limit: int = 500) -> int:
        """Delete up to ``limit`` of them; returns how many. Fewer than ``limit`` were the last."""
        table = cast(Table, inspect(self.model).local_table)  # of the rows nobody has records
        some = select(table.c.id).where(self.which).limit(limit)
        deleted = await session.execute(delete(table).where(table.c.id.in_(some)).returning(table.c.id))
        return len(deleted.all())


def expired_sessions(now: datetime) -> Purge:
    """Sessions that have ended; revoked ones too, as their refresh tokens can do nothing any more."""
    return Purge(Session, or_(Session.expires_at <= now, Session.revoked_at <= now))


def spent_tokens(now: datetime) -> Purge:
    """One-time codes and links that have expired or were used."""
    return Purge(OneTimeToken, or_(OneTimeToken.expires_at <= now, OneTimeToken.used_at <= now))


def read_notifications(before: datetime) -> Purge:
    """Notifications that were read before a moment."""
    return Purge(Notification, Notification.read_at < before)


def unread_notifications(before: datetime) -> Purge:
    """Notifications from before a moment that nobody has read."""
    return Purge(Notification, and_(Notification.read_at.is_(None), Notification.created_at < before))


def old_bulk_sends(before: datetime) -> Purge:
    """Records of bulk jobs from before a moment; choose one by which no such job can run again."""
    return Purge(BulkSend, BulkSend.created_at < before)


def old_deliveries(before: datetime) -> Purge:
    """Records of SMS and pushes from before a moment; choose one as for ``old_bulk_sends``."""
    return Purge(Delivery, Delivery.created_at < before)


def old_sms_reports(before: datetime) -> Purge:
    """What providers told of SMS before a moment."""
    return Purge(SmsReport, SmsReport.created_at < before)


def old_job_owners(before: datetime) -> Purge:
    """Who asked for jobs from before a moment; the jobs are long gone from their queues by then."""
    return Purge(JobOwner, JobOwner.created_at < before)


def old_mail_events(before: datetime) -> Purge:
    """What a provider told about mails before a moment; it is applied to their records when it comes."""
    return Purge(MailEvent, MailEvent.created_at < before)


def worked_deliveries(before: datetime) -> Purge:
    """Deliveries of WhatsApp's webhook that were worked before a moment; their messages stay."""
    return Purge(WhatsAppNotification, WhatsAppNotification.processed_at < before)


def old_campaign_sends(before: datetime) -> Purge:
    """What campaigns sent before a moment; what was opened and followed goes with it."""
    return Purge(CampaignSend, CampaignSend.created_at < before)


def old_reports(before: datetime) -> Purge:
    """Reports from before a moment; their files are deleted first."""
    return Purge(Report, Report.created_at < before)
