"""The e-mail queue: mail that is sent by Resend, by SMTP or into a local outbox."""

from __future__ import annotations

from toril.queues.email.addresses import Mailbox, parse_mailbox
from toril.queues.email.compose import compose
from toril.queues.email.definition import choose_provider, email_queue
from toril.queues.email.message import Mail, MailAttachment
from toril.queues.email.payloads import Attachment, Tag, Transactional
from toril.queues.email.providers.base import EmailProvider, SentMail
from toril.queues.email.providers.outbox import OutboxProvider, StoredMail

__all__ = [
    "Attachment",
    "EmailProvider",
    "Mail",
    "MailAttachment",
    "Mailbox",
    "OutboxProvider",
    "SentMail",
    "StoredMail",
    "Tag",
    "Transactional",
    "choose_provider",
    "compose",
    "email_queue",
    "parse_mailbox",
]
