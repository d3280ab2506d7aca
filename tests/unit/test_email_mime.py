"""Mails as bytes, read back with the standard library."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.support.email_jobs import PlainJob, a_mail

from toril.queues.email import Mail, MailAttachment, Mailbox, Transactional, compose, parse_mailbox
from toril.queues.email.mime import to_bytes

PDF = MailAttachment(filename="invoice.pdf", content=bytes(range(256)), content_type="application/pdf")
LOGO = MailAttachment(filename="logo.png", content=b"\x89PNG", content_type="image/png", content_id="logo")


def read(mail: Mail) -> EmailMessage:
    message = message_from_bytes(to_bytes(mail), policy=default)
    assert isinstance(message, EmailMessage)
    assert not any(part.defects for part in message.walk())
    return message


def shape(message: EmailMessage) -> Any:
    """The tree of media types."""
    kind = message.get_content_type()
    return (kind, [shape(part) for part in message.iter_parts()]) if message.is_multipart() else kind


def test_headers_say_who_what_and_when() -> None:
    message = read(
        a_mail(
            to=("Sara Ali <sara@example.com>", "b@example.com"),
            cc=(parse_mailbox("c@example.com"),),
            reply_to=(parse_mailbox("مكتب <r@example.com>"),),
        )
    )
    assert message["From"] == "Office <no-reply@mail.example.com>"
    assert message["To"] == "Sara Ali <sara@example.com>, b@example.com"
    assert message["Cc"] == "c@example.com"
    assert message["Reply-To"] == "مكتب <r@example.com>"
    assert message["Subject"] == "Invoice 204"
    assert message["Message-ID"] == "<email.1@mail.example.com>"
    assert message["Date"].datetime == datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert message["MIME-Version"] == "1.0"


def test_bcc_is_in_the_envelope_and_not_in_the_message() -> None:
    mail = a_mail(bcc=(parse_mailbox("hidden@example.com"), parse_mailbox("client@example.com")))
    assert mail.recipients == ("client@example.com", "hidden@example.com")
    assert b"hidden" not in to_bytes(mail)
    assert b"bcc" not in to_bytes(mail).lower()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, "text/plain", id="text"),
        pytest.param(
            {"html": "<p>x</p>"}, ("multipart/alternative", ["text/plain", "text/html"]), id="text and html"
        ),
        pytest.param({"html": "<img>", "text": ""}, "text/html", id="html that has no text"),
        pytest.param(
            {"attachments": (PDF,)}, ("multipart/mixed", ["text/plain", "application/pdf"]), id="attachment"
        ),
        pytest.param(
            {"html": "<p>x</p>", "attachments": (PDF, LOGO)},
            (
                "multipart/mixed",
                [
                    (
                        "multipart/alternative",
                        ["text/plain", ("multipart/related", ["text/html", "image/png"])],
                    ),
                    "application/pdf",
                ],
            ),
            id="everything",
        ),
        pytest.param(
            {"attachments": (LOGO,)},
            ("multipart/mixed", ["text/plain", "image/png"]),
            id="inline without html",
        ),
    ],
)
def test_parts_are_nested_as_readers_expect(fields: dict[str, Any], expected: Any) -> None:
    assert shape(read(a_mail(**fields))) == expected


def test_attachments_come_back_byte_for_byte() -> None:
    arabic = MailAttachment(
        filename='فاتورة "٢٠٤"; نسخة.pdf', content=b"\x00\r\n.\r\n\xff" * 5000, content_type="application/pdf"
    )
    first, second = read(a_mail(attachments=(PDF, arabic))).iter_attachments()
    assert (first.get_filename(), first.get_content()) == ("invoice.pdf", PDF.content)
    assert (second.get_filename(), second.get_content()) == (arabic.filename, arabic.content)
    assert second.get_content_disposition() == "attachment"


@pytest.mark.parametrize("size", [0, 1, 57, 58, 57 * 1024, 57 * 1024 + 1, 300_000])
def test_a_file_of_any_size_comes_back_in_lines_of_76(size: int) -> None:
    content = bytes(n % 251 for n in range(size))
    mail = a_mail(
        attachments=(MailAttachment(filename="a.bin", content=content, content_type="application/x-any"),)
    )

    [part] = read(mail).iter_attachments()

    assert part.get_content() == content
    lines = part.get_payload().splitlines()
    assert all(len(line) == 76 for line in lines[:-1])


def test_an_inline_image_is_found_by_its_content_id() -> None:
    message = read(a_mail(html='<img src="cid:logo">', attachments=(LOGO,)))
    [image] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert image["Content-ID"] == "<logo>"
    assert image.get_content_disposition() == "inline"
    assert image.get_content() == LOGO.content  # type: ignore[attr-defined]


def test_parameters_of_a_media_type_are_kept() -> None:
    invitation = MailAttachment(
        filename="invite.ics", content=b"BEGIN:VCALENDAR", content_type="text/calendar; method=REQUEST"
    )
    [part] = read(a_mail(attachments=(invitation,))).iter_attachments()
    assert part.get_content_type() == "text/calendar"
    assert part.get_param("method") == "REQUEST"


def test_a_mail_as_an_attachment_stays_a_file() -> None:
    forwarded = MailAttachment(
        filename="a.eml", content=b"Subject: x\r\n\r\ny", content_type="message/rfc822"
    )
    [part] = read(a_mail(attachments=(forwarded,))).iter_attachments()
    assert part.get_content_type() == "application/octet-stream"
    assert part.get_content() == forwarded.content


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(st.characters(exclude_categories=("Cs",)), min_size=1), long=st.booleans())
@example(text="From the start\n.\n..dots\nFrom again", long=False)
@example(text="مرحبا بكم\n\u200fنص", long=True)
def test_bodies_come_back_and_travel_as_short_ascii_lines(text: str, long: bool) -> None:
    text = text * 400 if long else text
    raw = to_bytes(a_mail(text=text, html=f"<p>{text}"))
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    plain, html = message_from_bytes(raw, policy=default).iter_parts()  # type: ignore[attr-defined]
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert plain.get_payload(decode=True).decode().replace("\r\n", "\n") == expected
    assert html.get_payload(decode=True).decode().replace("\r\n", "\n") == f"<p>{expected}"


def test_composing_derives_the_text() -> None:
    payload = Transactional.model_validate(
        {"to": "a@example.com", "subject": "x", "html": "<p>مرحبا</p><p>Two</p>"}
    )
    sender = parse_mailbox("o@mail.example.com")
    mail = compose(payload, job=PlainJob(None, id="email-1-abc"), sender=sender, attachments=(PDF,))
    assert mail.text == "مرحبا\n\nTwo"
    assert mail.message_id == "<email_email-1-abc_1@mail.example.com>"
    assert mail.attachments == (PDF,)


@pytest.mark.parametrize(
    "job_id", ["1\r\nBcc: x@example.com", "a>b", "a..b", "ف", "repeat:abc:17", "x" * 300]
)
async def test_any_job_id_makes_a_message_id(job_id: str) -> None:
    payload = Transactional.model_validate({"to": "a@example.com", "subject": "x", "text": "x"})
    sender = parse_mailbox("o@example.com")
    first, again = [compose(payload, job=PlainJob(None, id=job_id), sender=sender) for _ in range(2)]
    other = compose(payload, job=PlainJob(None, id=job_id + "0"), sender=sender)
    assert first.message_id == again.message_id != other.message_id
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert read(first)["Message-ID"] == first.message_id


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=300))
@example(text="ف" * 300)
@example(text="😀" * 100)
@example(text="word " * 60 + "x")
@example(text="a  b" * 75)
def test_a_header_of_any_script_is_folded_and_comes_back(text: str) -> None:
    subject = text.strip()
    name = " ".join(re.sub(r'[<>"\\]', "", text).split())[:100]
    sender = Mailbox("no-reply@mail.example.com", name)

    raw = to_bytes(a_mail(subject=subject, sender=sender, reply_to=(sender,)))

    head = raw.partition(b"\r\n\r\n")[0]
    assert all(len(line) <= 76 for line in head.split(b"\r\n") if b"=?utf-8?" in line)
    assert all(line.strip() for line in head.split(b"\r\n"))
    read = message_from_bytes(raw)
    assert str(make_header(decode_header(read["Subject"].replace("\r\n", "")))) == subject
    found = message_from_bytes(raw, policy=default)["Reply-To"].addresses[0]
    assert found.addr_spec == sender.address
    # Python's reader leaves a space between two encoded words of a name.
    assert "".join(found.display_name.split()) == "".join(name.split())
