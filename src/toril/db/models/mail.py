"""Mail that was sent: campaigns with what became of them, the record of bulk jobs, and who wants no more."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from toril.db.base import Base, Identified, OfFirm, Stamped
from toril.db.types import Id, utc_now


class SendStatus(StrEnum):
    """``sending`` is written before the mail is handed over: who finds it there does not know what came of it."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class TrackingKind(StrEnum):
    OPEN = "open"
    CLICK = "click"


class SuppressionReason(StrEnum):
    """Why an address is suppressed. ``SUPPRESSED`` is the provider's own list."""

    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    SUPPRESSED = "suppressed"


#: Reasons for which an address gets no mail at all: it is not there, or whoever reads it calls our mail spam. Who has
#: unsubscribed still gets what concerns them alone.
STOPS_ALL = frozenset({SuppressionReason.BOUNCED, SuppressionReason.COMPLAINED, SuppressionReason.SUPPRESSED})


class EmailCampaign(Identified, OfFirm, Stamped, Base):
    """A mail to many."""

    __tablename__ = "email_campaigns"
    __table_args__ = (Index(None, "firm_id", "created_at"),)

    name: Mapped[str]
    subject: Mapped[str]
    html: Mapped[str]


class CampaignSend(Identified, Base):
    """A campaign's mail to one recipient. The campaign may be one of a Node application, so its id is any text."""

    __tablename__ = "campaign_sends"
    __table_args__ = (
        UniqueConstraint("campaign_id", "email"),
        UniqueConstraint("tracking_id"),
        Index(None, "message_id"),
        Index(None, "created_at"),
    )

    campaign_id: Mapped[str] = mapped_column(String(64))
    email: Mapped[str] = mapped_column(String(320))
    tracking_id: Mapped[str] = mapped_column(String(128))
    status: Mapped[SendStatus] = mapped_column(default=SendStatus.SENDING)
    message_id: Mapped[str | None] = mapped_column(String(256))
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    sent_at: Mapped[datetime | None]


class TrackingEvent(Identified, Base):
    """A campaign mail was opened, or a link in it was followed."""

    __tablename__ = "tracking_events"
    __table_args__ = (Index(None, "send_id", "kind"),)

    send_id: Mapped[str] = mapped_column(Id, ForeignKey("campaign_sends.id", ondelete="CASCADE"))
    kind: Mapped[TrackingKind]
    url: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(default=utc_now)


class BulkSend(Identified, Base):
    """One mail of a bulk job. A job that runs again finds here what it has sent.

    ``job`` must name one job for ever: ids start again when a queue is obliterated, so it is made of the queue,
    the id and the time the job was added.
    """

    __tablename__ = "bulk_sends"
    __table_args__ = (
        UniqueConstraint("job", "email"),
        Index(None, "message_id"),
        Index(None, "created_at"),
    )

    job: Mapped[str] = mapped_column(String(320))
    email: Mapped[str] = mapped_column(String(320))
    status: Mapped[SendStatus] = mapped_column(default=SendStatus.SENDING)
    message_id: Mapped[str | None] = mapped_column(String(256))
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class MailSuppression(Identified, Base):
    """An address that gets no more mail, and why; it may have several reasons.

    ``scope`` is the firm whose mail it gets no more, or empty for all firms: the installation has one account at its
    provider, so what the provider tells is about all of them.
    """

    __tablename__ = "mail_suppressions"
    __table_args__ = (UniqueConstraint("email", "scope", "reason"),)

    email: Mapped[str] = mapped_column(String(320))
    scope: Mapped[str] = mapped_column(String(24), default="")
    reason: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
