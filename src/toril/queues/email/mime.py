"""A mail as the bytes that travel: RFC 5322 and MIME, all ASCII, so that any server can carry it.

Written here rather than by ``email.generator``, which takes several times as long, line by line, and whose folding of
headers could be talked into starting a new one before Python 3.11.10 and 3.12.5 (CVE-2024-6923). What goes into a
header was checked when its value was made; see ``addresses`` and ``fields``.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable, Iterator
from email.utils import format_datetime
from urllib.parse import quote

from toril.queues.email.addresses import Mailbox
from toril.queues.email.encoded_words import encoded_words
from toril.queues.email.message import Mail, MailAttachment

_NEEDS_ENCODING = re.compile(r"[^\n\t\x20-\x7e]|[^\n]{999}")  # RFC 5322, 2.1.1: at most 998 to a line
_PIECE = 57 * 1024  #: bytes of a file written at once: whole lines of base64, which have 57 each

#: A part with its headers, in pieces, so that a large file is not copied for each level it stands in. It ends with
#: a line end, as does each of the parts in it.
_Part = list[bytes]


def to_bytes(mail: Mail) -> bytes:
    """The message with CRLF line ends, as SMTP and .eml files want it.

    ``text/plain``, or ``multipart/alternative`` of plain text and HTML; files with a content id sit beside
    the HTML in ``multipart/related``, the other files around it all in ``multipart/mixed``. Bcc is left out.
    """
    inline = [attached for attached in mail.attachments if attached.content_id and mail.html]
    others = [attached for attached in mail.attachments if attached not in inline]
    body = _body(mail, inline)
    if others:
        body = _multipart("mixed", [body, *(_file(attached, "attachment") for attached in others)])
    head = "".join(f"{name}: {value}\n" for name, value in _headers(mail))
    return b"".join((head.replace("\n", "\r\n").encode("ascii"), *body))


def _headers(mail: Mail) -> Iterator[tuple[str, str]]:
    yield "MIME-Version", "1.0"
    yield "Date", format_datetime(mail.date)
    yield "Message-ID", mail.message_id
    yield "From", mail.sender.to_header()
    for name, boxes in (("To", mail.to), ("Cc", mail.cc), ("Reply-To", mail.reply_to)):
        if boxes:
            yield name, _address_list(boxes)
    yield "Subject", _subject(mail.subject)
    yield from mail.headers


def _subject(subject: str) -> str:
    if not subject.isascii():
        return encoded_words(subject)
    # Folded before a space, never at several, so that no line is empty to the eye.
    return re.sub(r"(?<=\S)(.{50,66}?) (?=\S)", r"\1\n ", subject)


def _address_list(boxes: Iterable[Mailbox]) -> str:
    return ",\n ".join(box.to_header() for box in boxes)


def _body(mail: Mail, inline: list[MailAttachment]) -> _Part:
    if not mail.html:
        return _text(mail.text, "plain")
    html = _text(mail.html, "html")
    if inline:
        html = _multipart("related", [html, *(_file(attached, "inline") for attached in inline)])
    return _multipart("alternative", [_text(mail.text, "plain"), html]) if mail.text else html


def _text(text: str, subtype: str) -> _Part:
    plain = re.sub(r"\r\n?", "\n", text)
    if _NEEDS_ENCODING.search(plain):
        return _part(f'text/{subtype}; charset="utf-8"', "base64", *_base64(plain.encode()))
    content = plain.replace("\n", "\r\n").encode("ascii")
    return _part(f'text/{subtype}; charset="us-ascii"', "7bit", content + b"\r\n")


def _file(attached: MailAttachment, disposition: str) -> _Part:
    kind, _, parameters = attached.content_type.partition(";")
    kind = kind.strip().lower()
    if kind.startswith(("message/", "multipart/")):
        kind, parameters = "application/octet-stream", ""  # RFC 2046: those may not be in base64
    headers = f"Content-Disposition: {disposition}; {_filename(attached.filename)}\r\n"
    if attached.content_id:
        headers += f"Content-ID: <{attached.content_id}>\r\n"
    whole = f"{kind};{parameters}" if parameters else kind
    return [headers.encode("ascii"), *_part(whole, "base64", *_base64(attached.content))]


def _multipart(subtype: str, parts: Iterable[_Part]) -> _Part:
    # Not to be guessed, so that no text can hold it.
    boundary = f"=_{secrets.token_hex(16)}"
    mark = f"--{boundary}\r\n".encode("ascii")
    pieces = [f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n'.encode("ascii")]
    for part in parts:
        pieces += [mark, *part]
    return [*pieces, f"--{boundary}--\r\n".encode("ascii")]


def _part(content_type: str, encoding: str, *content: bytes) -> _Part:
    head = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return [head.encode("ascii"), *content]


def _base64(content: bytes) -> Iterator[bytes]:
    # A large file at once would be as many small strings as it has lines.
    for start in range(0, len(content), _PIECE):
        yield base64.encodebytes(content[start : start + _PIECE]).replace(b"\n", b"\r\n")


def _filename(name: str) -> str:
    """The ``filename`` parameter; outside of ASCII as RFC 2231 has it."""
    if name.isascii():
        escaped = re.sub(r'([\\"])', r"\\\1", name)
        return f'filename="{escaped}"'
    return f"filename*=utf-8''{quote(name, safe='')}"
