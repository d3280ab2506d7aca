"""The outbox: real .eml files, one for each mail."""

from __future__ import annotations

import asyncio
import os
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from tests.support.email_jobs import a_mail

from toril.errors import OptionError
from toril.queues.email import MailAttachment, OutboxProvider, parse_mailbox

ARABIC = a_mail(
    to=("سارة العلي <sara@شركة.السعودية>",),
    subject="فاتورة رقم ٢٠٤ مستحقة الدفع",
    text="السلام عليكم",
    html='<p dir="rtl">السلام عليكم</p>',
    attachments=(
        MailAttachment(filename="فاتورة.pdf", content=bytes(range(256)) * 9, content_type="application/pdf"),
    ),
)


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxProvider:
    return OutboxProvider(tmp_path / "mail" / "outbox")


async def test_a_mail_becomes_a_file_that_mail_programs_read(outbox: OutboxProvider) -> None:
    sent = await outbox.send(ARABIC, idempotency_key="email:1")
    assert sent.message_id == ARABIC.message_id
    assert sent.refused == {}
    [path] = outbox.folder.iterdir()
    assert path.suffix == ".eml"
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert message["Subject"] == ARABIC.subject
    assert message["To"].addresses[0].display_name == "سارة العلي"
    assert message.get_body(("plain",)).get_content().strip() == "السلام عليكم"  # type: ignore[attr-defined]
    assert message.get_body(("html",)).get_content().strip() == ARABIC.html  # type: ignore[attr-defined]
    [attachment] = message.iter_attachments()  # type: ignore[attr-defined]
    assert attachment.get_filename() == "فاتورة.pdf"
    assert attachment.get_content() == ARABIC.attachments[0].content


async def test_another_attempt_writes_no_second_file(outbox: OutboxProvider) -> None:
    later = a_mail(date=ARABIC.date.replace(year=2027))
    for mail in (a_mail(), later):
        await outbox.send(mail, idempotency_key="email:1")
    assert len(await outbox.list()) == 1
    assert b"2026" in await outbox.read((await outbox.list())[0].id)


async def test_attempts_at_the_same_time_leave_one_file(outbox: OutboxProvider) -> None:
    await asyncio.gather(*(outbox.send(a_mail(), idempotency_key="email:1") for _ in range(20)))
    assert [path.suffix for path in outbox.folder.iterdir()] == [".eml"]


async def test_another_mail_under_a_used_key_is_kept_too(outbox: OutboxProvider) -> None:
    await outbox.send(a_mail(), idempotency_key="email:1")
    await outbox.send(a_mail(bcc=(parse_mailbox("b@example.com"),)), idempotency_key="email:1")
    await outbox.send(a_mail(), idempotency_key="email:2")
    assert len(await outbox.list()) == 3


async def test_the_list_is_newest_first_and_readable(outbox: OutboxProvider) -> None:
    for number in range(4):
        await outbox.send(a_mail(subject=f"Mail {number}"), idempotency_key=f"email:{number}")
    await outbox.send(ARABIC, idempotency_key="email:9")
    for second, path in enumerate(sorted(outbox.folder.iterdir(), key=_subject)):
        os.utime(path, (1_700_000_000 + second, 1_700_000_000 + second))
    listed = await outbox.list()
    assert [mail.subject for mail in listed] == [ARABIC.subject, "Mail 3", "Mail 2", "Mail 1", "Mail 0"]
    assert [mail.subject for mail in await outbox.list(limit=2)] == [ARABIC.subject, "Mail 3"]
    newest = listed[0]
    assert newest.to == "سارة العلي <sara@xn--ogbpi5d.xn--mgberp4a5d4ar>"
    assert newest.sender == "Office <no-reply@mail.example.com>"
    assert newest.message_id == ARABIC.message_id
    assert newest.stored_at.timestamp() == 1_700_000_004
    assert newest.size == newest.path.stat().st_size
    assert await outbox.read(newest.id) == newest.path.read_bytes()


def _subject(path: Path) -> str:
    return str(message_from_bytes(path.read_bytes(), policy=default)["Subject"])


async def test_an_outbox_nobody_wrote_to_is_empty(outbox: OutboxProvider) -> None:
    assert await outbox.list() == []


@pytest.mark.parametrize("mail_id", ["0" * 32, "../secret", "", "x"])
async def test_an_unknown_mail_is_an_error(outbox: OutboxProvider, mail_id: str) -> None:
    with pytest.raises(OptionError, match="there is no mail"):
        await outbox.read(mail_id)


async def test_a_folder_that_cannot_be_written_is_reported_and_left_clean(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        await OutboxProvider(tmp_path / "file").send(a_mail(), idempotency_key="email:1")
    broken = a_mail(text="\ud800")  # cannot be written as UTF-8
    with pytest.raises(UnicodeError):
        await OutboxProvider(tmp_path / "outbox").send(broken, idempotency_key="email:1")
    assert not list((tmp_path / "outbox").glob("*"))
