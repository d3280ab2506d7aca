"""From a job's payload to a mail: parse addresses, read stored files, derive the text."""

from __future__ import annotations

import base64
import mimetypes
from datetime import UTC, datetime

from toril.errors import NotConfiguredError, OptionError, PayloadError
from toril.queues.base import RunningJob
from toril.queues.email.addresses import Mailbox, parse_mailbox
from toril.queues.email.message import Mail, MailAttachment
from toril.queues.email.payloads import MAX_ATTACHMENTS, Attachment, Transactional, too_large
from toril.queues.email.text import html_to_text
from toril.queues.job_key import job_token
from toril.queues.storage import FileStore


async def compose(
    payload: Transactional, *, job: RunningJob, sender: Mailbox, files: FileStore | None = None
) -> Mail:
    """The mail that ``payload`` asks for.

    Args:
        job: names the mail, so that another attempt has the same Message-ID.
        files: where attachments given by path are.
    Raises:
        PayloadError: a stored file does not exist, or the attachments are too large together.
        NotConfiguredError: an attachment is given by path, and there is no file store.
    """
    attachments = await _read_all(payload.attachments or [], files)
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


async def _read_all(given: list[Attachment], files: FileStore | None) -> tuple[MailAttachment, ...]:
    found: list[MailAttachment] = []
    size = 0
    for index, attachment in enumerate(given):
        content = await _read(attachment, index, files)
        size += (len(content) + 2) // 3 * 4
        if size > MAX_ATTACHMENTS:
            raise PayloadError(f"attachments: {too_large(size)}", field="attachments")
        content_type = attachment.content_type or mimetypes.guess_type(attachment.filename)[0]
        found.append(
            MailAttachment(
                filename=attachment.filename,
                content=content,
                content_type=content_type or "application/octet-stream",
                content_id=attachment.content_id,
            )
        )
    return tuple(found)


async def _read(attachment: Attachment, index: int, files: FileStore | None) -> bytes:
    if attachment.path is None:
        return base64.b64decode(attachment.content or "")
    field = f"attachments.{index}.path"
    if files is None:
        raise NotConfiguredError(f"{field}: no file store is configured; give the file as content, in base64")
    try:
        return await files.read(attachment.path)
    except OptionError as error:
        raise PayloadError(f"{field}: {error}", field=field) from error
