"""The e-mail queue: mail that is sent by Resend, by SMTP or into a local outbox.

``toril.queues.email.database_ledger`` and ``toril.queues.email.visits`` need the extra ``db``, and are imported by
those who use them.
"""

from __future__ import annotations

from toril.queues.email.addresses import Mailbox, parse_mailbox
from toril.queues.email.compose import compose
from toril.queues.email.definition import choose_provider, email_queue
from toril.queues.email.ledger import CampaignRecord, Outcome, SentLedger
from toril.queues.email.message import Mail, MailAttachment
from toril.queues.email.payloads import Attachment, Bulk, Campaign, Tag, TemplateMail, Transactional
from toril.queues.email.providers.base import (
    BatchEmailProvider,
    BatchRefusedError,
    EmailProvider,
    SentMail,
)
from toril.queues.email.providers.outbox import OutboxProvider, StoredMail
from toril.queues.email.template_data import TEMPLATES
from toril.queues.email.tracking import TrackedMail, Tracker, TrackingVisit

__all__ = [
    "TEMPLATES",
    "Attachment",
    "BatchEmailProvider",
    "BatchRefusedError",
    "Bulk",
    "Campaign",
    "CampaignRecord",
    "EmailProvider",
    "Mail",
    "MailAttachment",
    "Mailbox",
    "OutboxProvider",
    "Outcome",
    "SentLedger",
    "SentMail",
    "StoredMail",
    "Tag",
    "TemplateMail",
    "TrackedMail",
    "Tracker",
    "TrackingVisit",
    "Transactional",
    "choose_provider",
    "compose",
    "email_queue",
    "parse_mailbox",
]
