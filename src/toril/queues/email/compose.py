"""From a job's payload to a mail: parse addresses, derive the text."""

from __future__ import annotations

from datetime import UTC, datetime

from toril.queues.base import RunningJob
from toril.queues.email.addresses import Mailbox, parse_mailbox
from toril.queues.email.message import Mail, MailAttachment
from toril.queues.email.payloads import Transactional
from toril.queues.email.text import html_to_text
from toril.queues.job_key import job_token


def compose(
    payload: Transactional,
    *,
    job: RunningJob,
    sender: Mailbox,
    attachments: tuple[MailAttachment, ...] = (),
) -> Mail:
    """The mail that ``payload`` asks for.

    Args:
        job: names the mail, so that another attempt has the same Message-ID.
        attachments: those of the payload, read.
    """
    return Mail(
        message_id=f"<{job_token('email', job)}@{sender.domain}>",
        sender=sender,
        to=_boxes(payload.to),
        cc=_boxes(payload.cc),
        bcc=_boxes(payload.bcc),
        reply_to=_boxes(payload.reply_to),
        subject=payload.subject,
        html=payload.html or None,
        text=payload.text or html_to_text(payload.html or ""),
        attachments=attachments,
        tags=tuple((tag.name, tag.value) for tag in payload.tags or ()),
        date=datetime.now(UTC),
    )


def _boxes(given: str | list[str] | None) -> tuple[Mailbox, ...]:
    listed = [given] if isinstance(given, str) else given or []
    return tuple(parse_mailbox(text) for text in listed)
