"""A mail as the bytes that travel: RFC 5322 and MIME, all ASCII, so that any server can carry it.

Headers are encoded here with ``email.header.Header`` rather than left to ``EmailMessage``: its header folding
takes five times as long, and in Python releases before 3.11.10 and 3.12.5 it could be talked into starting a
new header (CVE-2024-6923).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from email.header import Header
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime
from urllib.parse import quote

from toril.queues.email.addresses import Mailbox
from toril.queues.email.message import Mail, MailAttachment

_POLICY = compat32.clone(linesep="\r\n")
_NEEDS_ENCODING = re.compile(r"[^\n\t\x20-\x7e]|[^\n]{999}")  # RFC 5322, 2.1.1: at most 998 to a line


def to_mime(mail: Mail) -> Message:
    """Build the message.

    ``text/plain``, or ``multipart/alternative`` of plain text and HTML; files with a content id sit beside
    the HTML in ``multipart/related``, the other files around it all in ``multipart/mixed``. Bcc is left out.
    """
    inline = [attached for attached in mail.attachments if attached.content_id and mail.html]
    others = [attached for attached in mail.attachments if attached not in inline]
    body: Message = _body(mail, inline)
    if others:
        body = _multipart("mixed", [body, *(_file(attached, "attachment") for attached in others)])
    for name, value in _headers(mail):
        body[name] = value
    return body


def to_bytes(mail: Mail) -> bytes:
    """The message with CRLF line ends, as SMTP and .eml files want it; slow for large attachments."""
    content = to_mime(mail).as_bytes(policy=_POLICY)
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def _headers(mail: Mail) -> Iterable[tuple[str, str]]:
    yield "Date", format_datetime(mail.date)
    yield "Message-ID", mail.message_id
    yield "From", mail.sender.to_header()
    for name, boxes in (("To", mail.to), ("Cc", mail.cc), ("Reply-To", mail.reply_to)):
        if boxes:
            yield name, _address_list(boxes)
    charset = "us-ascii" if mail.subject.isascii() else "utf-8"
    yield "Subject", Header(mail.subject, charset, header_name="Subject").encode()
    yield from mail.headers


def _address_list(boxes: Iterable[Mailbox]) -> str:
    return ",\n ".join(box.to_header() for box in boxes)


def _body(mail: Mail, inline: list[MailAttachment]) -> Message:
    if not mail.html:
        return _text(mail.text, "plain")
    html: Message = _text(mail.html, "html")
    if inline:
        html = _multipart("related", [html, *(_file(attached, "inline") for attached in inline)])
    return _multipart("alternative", [_text(mail.text, "plain"), html]) if mail.text else html


def _text(text: str, subtype: str) -> MIMEText:
    plain = re.sub(r"\r\n?", "\n", text)
    charset = "utf-8" if _NEEDS_ENCODING.search(plain) else "us-ascii"
    return MIMEText(plain, subtype, charset, policy=_POLICY)


def _multipart(subtype: str, parts: list[Message]) -> MIMEMultipart:
    whole = MIMEMultipart(subtype, policy=_POLICY)
    for part in parts:
        whole.attach(part)
    return whole


def _file(attached: MailAttachment, disposition: str) -> MIMEBase:
    kind, _, parameters = attached.content_type.partition(";")
    main, _, sub = kind.strip().lower().partition("/")
    if main in ("message", "multipart"):
        main, sub, parameters = "application", "octet-stream", ""  # RFC 2046: those may not be in base64
    part = MIMEBase(main, sub, policy=_POLICY)
    if parameters:
        part.replace_header("Content-Type", f"{main}/{sub};{parameters}")
    part.set_payload(base64.encodebytes(attached.content).decode("ascii"))
    part["Content-Transfer-Encoding"] = "base64"
    part["Content-Disposition"] = f"{disposition}; {_filename(attached.filename)}"
    if attached.content_id:
        part["Content-ID"] = f"<{attached.content_id}>"
    return part


def _filename(name: str) -> str:
    """The ``filename`` parameter; outside of ASCII as RFC 2231 has it."""
    if name.isascii():
        escaped = re.sub(r'([\\"])', r"\\\1", name)
        return f'filename="{escaped}"'
    return f"filename*=utf-8''{quote(name, safe='')}"
