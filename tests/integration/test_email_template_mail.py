"""Template mail takes what other single mails take, and replies to it reach the firm."""

from __future__ import annotations

import base64
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import TEMPLATE_DATA, PlainJob
from tests.support.email_ledger import mail_database
from tests.support.records import add_firm

from toril.errors import UnrecoverableError
from toril.queues.email import OutboxProvider, email_queue
from toril.queues.email.database_firms import DatabaseFirms
from toril.queues.storage import LocalFileStore


async def sent(tmp_path: Path, queue: dict[str, Any] | None = None, **fields: Any) -> EmailMessage:
    outbox = OutboxProvider(tmp_path / "out")
    data = {"to": "a@b.example", "templateId": "invoice", "templateData": TEMPLATE_DATA["invoice"], **fields}
    definition = email_queue(outbox, **{"from_email": "no-reply@mail.example.com", **(queue or {})})
    await definition.process(PlainJob({"type": "template", "data": data}))
    [stored] = await outbox.list()
    found = message_from_bytes(stored.path.read_bytes(), policy=default)
    assert isinstance(found, EmailMessage)
    return found


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


async def test_a_template_mail_takes_attachments_copies_and_an_address_for_replies(tmp_path: Path) -> None:
    files = LocalFileStore(tmp_path / "files")
    stored = await files.save(firm_id="f" * 24, folder="invoices", name="204.pdf", content=b"%PDF")
    mail = await sent(
        tmp_path,
        {"files": files},
        cc="c@b.example",
        replyTo=["r@b.example"],
        firmId="f" * 24,
        attachments=[
            {"filename": "a.txt", "content": base64.b64encode(b"a").decode()},
            {"filename": "204.pdf", "path": stored.path},
        ],
    )
    assert (mail["Cc"], mail["Reply-To"]) == ("c@b.example", "r@b.example")
    assert [part.get_filename() for part in mail.iter_attachments()] == ["a.txt", "204.pdf"]


async def test_attachments_of_a_template_mail_have_the_same_limits(tmp_path: Path) -> None:
    two = [{"filename": f"{n}.png", "content": "AAAA", "contentId": "logo"} for n in range(2)]
    with pytest.raises(UnrecoverableError, match="same contentId"):
        await sent(tmp_path, attachments=two)


async def test_replies_go_to_the_firm_and_not_to_a_sender_nobody_reads(tmp_path: Path) -> None:
    async with mail_database(tmp_path / "home") as database:
        async with database.session() as session:
            await add_firm(session, email="office@firm.example", language="en")
        mail = await sent(tmp_path, {"find_firm": DatabaseFirms(database)})
    assert mail["Reply-To"] == "Al Mizan Law Firm <office@firm.example>"
    assert "الرد على هذه الرسالة" in text_of(mail)


async def test_the_address_that_a_mail_shows_takes_its_replies(tmp_path: Path) -> None:
    mail = await sent(
        tmp_path,
        templateData={**TEMPLATE_DATA["invoice"], "firmEmail": "desk@firm.example", "language": "en"},
    )
    assert mail["Reply-To"] == "desk@firm.example"
    assert "Just reply to this message" in text_of(mail)


async def test_a_mail_that_nobody_can_answer_does_not_ask_for_answers(tmp_path: Path) -> None:
    data = {**TEMPLATE_DATA["invoice"], "language": "en"}
    data.pop("firmEmail", None)
    mail = await sent(tmp_path, templateData=data)
    assert mail["Reply-To"] is None
    assert "reply" not in text_of(mail)
    (tmp_path / "second").mkdir()
    read = await sent(tmp_path / "second", {"from_email": "office@firm.example"}, templateData=data)
    assert "Just reply" in text_of(read)
