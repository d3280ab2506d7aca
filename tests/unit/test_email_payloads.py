"""The payload of a transactional mail: what is taken, and one clear error for each bad field."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.support.email_jobs import transactional

from toril.errors import PayloadError
from toril.queues.base import QueueDefinition
from toril.queues.email import OutboxProvider, Transactional, email_queue

PDF = base64.b64encode(b"%PDF-1.7").decode()


@pytest.fixture(scope="module")
def queue() -> QueueDefinition:
    return email_queue(OutboxProvider("unused"), from_email="no-reply@mail.example.com")


def checked(queue: QueueDefinition, **fields: Any) -> Transactional:
    _, payload = queue.check(transactional(**fields))
    assert isinstance(payload, Transactional)
    return payload


def test_every_field_is_taken_as_node_writes_it(queue: QueueDefinition) -> None:
    payload = checked(
        queue,
        to=["Sara Ali <sara@example.com>", "b@شركة.السعودية"],
        subject="  فاتورة رقم ٢٠٤ ",
        text="نص",
        replyTo="billing@example.com",
        cc=["c@example.com"],
        bcc="d@example.com",
        attachments=[
            {"filename": "فاتورة.pdf", "content": PDF, "contentType": "application/pdf"},
            {"filename": "logo.png", "path": "firm/logo.png", "contentId": "<logo>"},
            {"filename": "b.pdf", "path": "s3://papers/prod/firm/pdf/b.pdf"},
        ],
        tags=[{"name": "firm", "value": "65f0c1"}],
    )
    assert payload.to == ["Sara Ali <sara@example.com>", "b@شركة.السعودية"]
    assert payload.subject == "فاتورة رقم ٢٠٤"
    assert payload.reply_to == "billing@example.com"
    assert payload.attachments is not None
    assert payload.attachments[1].content_id == "logo"
    assert payload.model_dump(by_alias=True)["replyTo"] == "billing@example.com"
    assert Transactional.model_validate_json(payload.model_dump_json(by_alias=True)) == payload


def test_optional_fields_may_be_null_or_empty(queue: QueueDefinition) -> None:
    nothing = dict.fromkeys(("text", "replyTo", "cc", "bcc", "attachments", "tags"))
    payload = checked(queue, **nothing)
    assert payload.cc is None
    assert checked(queue, cc=[], bcc=[], attachments=[], tags=[]).cc == []


def test_base64_may_be_wrapped(queue: QueueDefinition) -> None:
    payload = checked(queue, attachments=[{"filename": "a.pdf", "content": f"{PDF[:4]}\r\n{PDF[4:]}\n"}])
    assert payload.attachments is not None
    assert payload.attachments[0].content == PDF


def test_a_tab_in_the_subject_becomes_a_space(queue: QueueDefinition) -> None:
    assert checked(queue, subject="Invoice\t204").subject == "Invoice 204"


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        pytest.param({"to": None}, "to", "should be an address or a list", id="no recipient"),
        pytest.param({"to": 5}, "to", "should be an address or a list", id="number"),
        pytest.param({"to": []}, "to", "needs at least one address", id="empty list"),
        pytest.param({"to": ""}, "to", "the address is empty", id="empty address"),
        pytest.param(
            {"to": ["a@example.com", "b"]}, "to.1", "'b' is not an e-mail address", id="second of to"
        ),
        pytest.param({"to": ["a@example.com", {}]}, "to.1", "valid string", id="object in to"),
        pytest.param({"to": ["a@example.com"] * 51}, "to", "at most 50", id="51 recipients"),
        pytest.param({"cc": ["a@example.com"] * 51}, "cc", "at most 50", id="51 copies"),
        pytest.param({"bcc": "x"}, "bcc", "'x' is not", id="bad bcc"),
        pytest.param({"replyTo": "a@example.com\nBcc: b"}, "replyTo", "U+000A", id="bad replyTo"),
        pytest.param({"subject": ""}, "subject", "at least 1 character", id="empty subject"),
        pytest.param({"subject": "a\r\nBcc: b@example.com"}, "subject", "U+000D", id="subject injection"),
        pytest.param({"subject": "a\x85b"}, "subject", "U+0085", id="next line in the subject"),
        pytest.param({"subject": "=?utf-8?q?a=0D=0A?="}, "subject", "encoded word", id="encoded subject"),
        pytest.param({"subject": "a" * 901}, "subject", "at most 900", id="long subject"),
        pytest.param({"html": None}, "html", "either html or text", id="no body"),
        pytest.param({"html": "", "text": " "}, "html", "either html or text", id="empty bodies"),
        pytest.param({"html": 1}, "html", "valid string", id="html is no text"),
        pytest.param({"reply_to_all": "x"}, "reply_to_all", "not permitted", id="unknown field"),
        pytest.param({"tags": {"firm": "1"}}, "tags", "valid list", id="tags as an object"),
        pytest.param({"tags": [{"name": "a b", "value": "1"}]}, "tags.0.name", "pattern", id="tag name"),
        pytest.param({"tags": [{"name": "a", "value": "é"}]}, "tags.0.value", "pattern", id="tag value"),
        pytest.param({"tags": [{"name": "a", "value": "x\n"}]}, None, "", id="tag value is trimmed"),
        pytest.param({"attachments": [{"content": PDF}]}, "attachments.0.filename", "required", id="no name"),
        pytest.param(
            {"attachments": [{"filename": "a"}]},
            "attachments.0.content",
            "either content or path",
            id="no file",
        ),
        pytest.param(
            {"attachments": [{"filename": "a", "content": PDF, "path": "b"}]},
            "attachments.0.path",
            "content is given too",
            id="two sources",
        ),
        pytest.param(
            {"attachments": [{"filename": "a", "content": "%%%"}]},
            "attachments.0.content",
            "is not base64",
            id="not base64",
        ),
        pytest.param(
            {"attachments": [{"filename": "a", "content": PDF}, {"filename": "../a", "content": PDF}]},
            "attachments.1.filename",
            "not a plain file name",
            id="folder in the name",
        ),
        pytest.param(
            {"attachments": [{"filename": 'a\r\nX: "b', "content": PDF}]},
            "attachments.0.filename",
            "U+000D",
            id="name injection",
        ),
        pytest.param(
            {"attachments": [{"filename": "ف" * 128, "content": PDF}]},
            "attachments.0.filename",
            "longer than 255 bytes",
            id="long name",
        ),
        pytest.param(
            {"attachments": [{"filename": "a", "path": "https://example.com/a.pdf"}]},
            "attachments.0.path",
            "nothing is fetched",
            id="URL as path",
        ),
        pytest.param(
            {"attachments": [{"filename": "a", "content": PDF, "contentType": "text/html\r\nX: y"}]},
            "attachments.0.contentType",
            "not a media type",
            id="media type injection",
        ),
        pytest.param(
            {"attachments": [{"filename": "a", "content": PDF, "contentId": "a>\r\nX: y"}]},
            "attachments.0.contentId",
            "cannot be a content id",
            id="content id injection",
        ),
        pytest.param(
            {"attachments": [{"filename": name, "content": PDF, "contentId": "x"} for name in "ab"]},
            "attachments",
            "same contentId",
            id="content id twice",
        ),
    ],
)
def test_a_bad_field_is_named_with_its_path(
    queue: QueueDefinition, fields: dict[str, Any], path: str | None, reason: str
) -> None:
    if path is None:
        checked(queue, **fields)
        return
    with pytest.raises(PayloadError) as caught:
        queue.check(transactional(**fields))
    assert caught.value.field == path
    assert f"{path}: " in str(caught.value)
    assert reason in str(caught.value)


def test_every_bad_field_is_told_at_once(queue: QueueDefinition) -> None:
    with pytest.raises(PayloadError) as caught:
        queue.check(transactional(to="x", subject="a\nb", tags=[{"name": "", "value": "1"}]))
    assert all(f"{path}: " in str(caught.value) for path in ("to", "subject", "tags.0.name"))


def test_attachments_have_a_limit_together(queue: QueueDefinition) -> None:
    half = {"filename": "a.bin", "content": "A" * (20 * 1024 * 1024)}
    assert checked(queue, attachments=[half, half]).attachments is not None
    with pytest.raises(PayloadError, match=r"attachments: 40\.0 MB in base64; the limit .* is 40 MB"):
        queue.check(transactional(attachments=[half, half, {"filename": "b", "content": "AAAA"}]))


@pytest.mark.parametrize(
    "data", [None, [], "transactional", {}, {"type": []}, {"type": "bulky"}, {"type": "transactional"}]
)
def test_other_data_is_refused(queue: QueueDefinition, data: Any) -> None:
    with pytest.raises(PayloadError):
        queue.check(data)
