"""Whatever a payload holds, a mail has the headers we write and no others."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from email.utils import unquote
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from toril.errors import OptionError
from toril.queues.email import Mail, MailAttachment, Transactional, parse_mailbox
from toril.queues.email.mime import to_bytes

HEADERS = {"content-type", "mime-version", "date", "message-id", "from", "to", "subject"}
MAY_ADD = {"cc", "reply-to", "content-transfer-encoding"}
PART = {"content-type", "mime-version", "content-transfer-encoding", "content-disposition", "content-id"}

#: pieces that attacks are made of, among text as people write it
CHARS = st.sampled_from('\r\n\x00\x0b\x0c\x1c\x85\u2028\u2029\t\u200f\u202e\ufeff"\\<>(),;:@ aü😀')
WORDS = st.sampled_from(
    [
        "\r\nBcc: evil@example.com",
        "\n X-Evil: 1",
        "\r\n\r\n--body",
        "=?utf-8?q?=0D=0ABcc:_evil@example.com?=",
        "=?utf-8?b?DQpCY2M6IGV2aWw=?=",
        "*=utf-8''%0D%0A",
        "; name=x",
        "a@example.com",
        "مكتب المحاماة",
        "Invoice",
        "  ",
        "a" * 90,
    ]
)
NASTY = st.lists(CHARS | WORDS | st.text(max_size=8), max_size=6).map("".join)
ADDRESS = (
    NASTY
    | NASTY.map(lambda name: f"{name} <a@example.com>")
    | NASTY.map(lambda name: f'"{name}" <a@example.com>')
)
ADDRESSES = ADDRESS | st.lists(ADDRESS, min_size=1, max_size=3)
SUBJECT = NASTY | st.tuples(st.just("Invoice "), NASTY).map("".join)


def header_blocks(raw: bytes) -> list[list[str]]:
    """The lower-case header names of the message and of each of its parts, from the raw bytes.

    The bodies here are base64 or free of colons, so that no body line looks like a header.
    """
    head, *parts = re.split(rb"\r\n--=_[0-9a-f]{32}(?:--)?(?=\r\n)", b"\r\n" + raw)
    blocks = [head.removeprefix(b"\r\n"), *parts]
    names = []
    for block in blocks:
        fields = block.split(b"\r\n\r\n")[0]
        if fields.strip():
            names.append(
                [
                    re.match(rb"[!-9;-~]+", line)[0].decode().lower()
                    for line in re.split(rb"\r\n(?![ \t])", fields.strip(b"\r\n"))
                    if b":" in line
                ]
            )  # type: ignore[index]
    return names


def built(fields: dict[str, Any], sender_name: str = "") -> Mail | None:
    """The mail of a payload, or ``None`` if its check refuses it."""
    try:
        payload = Transactional.model_validate(fields)
        sender = parse_mailbox(f"{sender_name} <o@example.com>")
    except (ValidationError, OptionError):
        return None
    boxes = {
        name: tuple(map(parse_mailbox, [given] if isinstance(given, str) else given or []))
        for name, given in (
            ("to", payload.to),
            ("cc", payload.cc),
            ("bcc", payload.bcc),
            ("reply_to", payload.reply_to),
        )
    }
    return Mail(
        message_id="<email.1@example.com>",
        sender=sender,
        subject=payload.subject,
        text="text",
        html="<p>html</p>",
        date=datetime(2026, 3, 1, tzinfo=UTC),
        attachments=tuple(
            MailAttachment(
                filename=attached.filename,
                content=b"bytes",
                content_type=attached.content_type or "application/pdf",
                content_id=attached.content_id,
            )
            for attached in payload.attachments or []
        ),
        **boxes,
    )


def assert_only_our_headers(mail: Mail) -> None:
    raw = to_bytes(mail)
    assert raw.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\x00", raw)
    message, *parts = header_blocks(raw)
    assert max(Counter(message).values()) == 1
    assert set(message) >= HEADERS
    assert set(message) <= HEADERS | MAY_ADD
    assert all(set(part) <= PART and max(Counter(part).values()) == 1 for part in parts)
    read = message_from_bytes(raw, policy=default)
    assert len(list(read.walk())) == len(parts) + 1
    assert [box.addr_spec for box in read["To"].addresses] == [box.address for box in mail.to]
    assert "".join(read["Subject"].split()) == "".join(mail.subject.split())
    names = [part.get_filename() for part in read.walk() if part.get_filename() is not None]
    # Python's reader drops quotes around a whole name, however they were written, and spaces within those.
    assert sorted(name.strip() for name in names) == sorted(
        unquote(attached.filename).strip() for attached in mail.attachments
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(subject=SUBJECT, to=ADDRESSES, cc=ADDRESSES, reply_to=ADDRESSES, sender=NASTY)
@example(subject="=?utf-8?q?=0D=0ABcc:_evil@example.com?=", to="a@example.com", cc=[], reply_to=[], sender="")
@example(subject="x", to='"\r\nBcc: evil@example.com" <a@example.com>', cc=[], reply_to=[], sender="")
@example(subject="x", to="a@example.com", cc=[], reply_to=[], sender='مكتب, "x"\\')
def test_no_text_in_a_header_field_adds_a_header(
    subject: str, to: Any, cc: Any, reply_to: Any, sender: str
) -> None:
    good = {"to": "a@example.com", "subject": "x", "html": "<p>html</p>"}
    # Each field alone first, so that one that is refused does not hide the others.
    for field, value in (("subject", subject), ("to", to), ("cc", cc), ("bcc", cc), ("replyTo", reply_to)):
        if mail := built(good | {field: value}):
            assert_only_our_headers(mail)
    if mail := built(good, sender):
        assert_only_our_headers(mail)
    if mail := built(good | {"subject": subject, "to": to, "cc": cc, "replyTo": reply_to}, sender):
        assert_only_our_headers(mail)


@settings(max_examples=150, deadline=None)
@given(
    filename=NASTY,
    content_type=NASTY | NASTY.map(lambda text: f"text/plain; charset={text}"),
    content_id=NASTY,
)
@example(filename='a"; x="b.pdf', content_type="text/plain", content_id="a@b")
@example(filename="name  with   spaces " + "x " * 60 + ".pdf", content_type="text/plain", content_id="a")
@example(filename="ف" * 120 + ".pdf", content_type="text/plain", content_id="a")
def test_no_text_of_an_attachment_adds_a_header(filename: str, content_type: str, content_id: str) -> None:
    good = {"filename": "a.pdf", "content": "Ynl0ZXM="}
    for fields in (
        {"filename": filename},
        {"contentType": content_type},
        {"contentId": content_id},
        {"filename": filename, "contentType": content_type, "contentId": content_id},
    ):
        attachment = good | fields
        mail = built(
            {"to": "a@example.com", "subject": "x", "html": "<p>html</p>", "attachments": [attachment]}
        )
        if mail:
            assert_only_our_headers(mail)
