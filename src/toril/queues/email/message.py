"""A mail, ready to send: the same value for every provider."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from toril.queues.email.addresses import Mailbox


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAttachment:
    """A file with its bytes at hand."""

    filename: str
    content: bytes
    content_type: str
    content_id: str | None = None  #: with it, the file is shown inside the HTML

    def __repr__(self) -> str:
        return f"MailAttachment({self.filename!r}, {self.content_type!r}, {len(self.content)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail. ``bcc`` is for the envelope only and never shows in the message.

    Attributes:
        message_id: with its angle brackets; the same for every attempt of a job.
        text: the plain version, empty if the HTML has no text.
        tags: name and value; for providers that know them.
        headers: further headers, ASCII, one line each; made by us, never from a payload.
        date: when the mail was put together, with a time zone.
    """

    message_id: str
    sender: Mailbox
    to: tuple[Mailbox, ...]
    subject: str
    text: str
    date: datetime
    html: str | None = None
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    attachments: tuple[MailAttachment, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """The envelope: every address once, in the order to, cc, bcc."""
        return tuple(dict.fromkeys(box.address for box in (*self.to, *self.cc, *self.bcc)))

    def fingerprint(self) -> str:
        """A digest of all but the date, so two attempts at the same mail have the same."""
        digest = hashlib.sha256()
        envelope = (
            self.message_id,
            self.sender,
            self.to,
            self.cc,
            self.bcc,
            self.reply_to,
            self.tags,
            self.headers,
        )
        for part in (envelope, self.subject, self.text, self.html):
            digest.update(repr(part).encode())
        for attached in self.attachments:
            head = (attached.filename, attached.content_type, attached.content_id, len(attached.content))
            digest.update(repr(head).encode())
            digest.update(attached.content)
        return digest.hexdigest()
