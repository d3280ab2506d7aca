"""What of a job's data is shown to nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.email_jobs import TEMPLATE_DATA, transactional

from toril.errors import PayloadError
from toril.queues.email import TEMPLATES, OutboxProvider, email_queue
from toril.queues.redaction import REDACTED, TEMPLATE_SECRETS, redacted


def template(name: str, **data: Any) -> dict[str, Any]:
    values = {**TEMPLATE_DATA[name], **data}
    return {"type": "template", "data": {"to": "a@b.example", "templateId": name, "templateData": values}}


@pytest.mark.parametrize("written", ["password_reset", "password-reset", "passwordReset"])
def test_the_link_of_a_reset_is_hidden_however_its_template_is_written(written: str) -> None:
    data = template("password_reset")
    data["data"]["templateId"] = written
    shown = redacted("email", data)
    assert shown["data"]["templateData"]["resetUrl"] == REDACTED
    assert shown["data"]["templateData"]["name"] == data["data"]["templateData"]["name"]
    assert data["data"]["templateData"]["resetUrl"].startswith("https:")


def test_every_secret_is_a_field_of_its_template() -> None:
    for name, fields in TEMPLATE_SECRETS.items():
        known = {each for key, field in TEMPLATES[name].model_fields.items() for each in (key, field.alias)}
        assert set(fields) <= known


@pytest.mark.parametrize(
    "text",
    ["رمز التحقق 123456", "رمز التحقق ١٢٣٤٥٦", "Your code is 123-456.", "G-482913 is your code", "12 34"],
)
def test_the_code_in_an_sms_is_hidden(text: str) -> None:
    shown = redacted("notification", {"type": "sms", "data": {"phoneNumber": "0501234567", "message": text}})
    assert REDACTED in shown["data"]["message"]
    assert not any(char.isdigit() for char in shown["data"]["message"])
    assert shown["data"]["phoneNumber"] == "0501234567"


def test_a_sensitive_mail_shows_whom_it_went_to_and_no_more() -> None:
    data = transactional(sensitive=True, subject="482913", html="<b>482913</b>", text="482913")
    shown = redacted("email", data)
    assert "482913" not in str(shown)
    assert shown["data"]["to"] == data["data"]["to"]


def test_a_dead_letter_is_looked_into() -> None:
    letter = {"queue": "email", "jobId": "1", "data": template("otp"), "opts": {}}
    assert "482913" not in str(redacted("dead-letter", letter))


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {},
        {"type": []},
        {"type": "template"},
        {"type": "template", "data": []},
        {"type": "template", "data": {"templateId": 5, "templateData": 7}},
        {"type": "sms", "data": {"message": None}},
        {"type": "sms", "data": {"message": "Your hearing is tomorrow"}},
        {"queue": "email", "jobId": "1", "data": None},
        transactional(),
        template("invoice"),
    ],
)
def test_data_without_secrets_is_the_same_object(data: Any) -> None:
    assert redacted("email", data) is data
    assert redacted("notification", data) is data


@pytest.mark.parametrize(
    "data", [template("otp"), template("password_reset"), transactional(sensitive=True)], ids=str
)
def test_what_a_view_shows_is_not_taken_for_the_value(data: dict[str, Any], tmp_path: Path) -> None:
    definition = email_queue(OutboxProvider(tmp_path), from_email="o@mail.example.com")
    definition.check(data)
    with pytest.raises(PayloadError, match="shown instead"):
        definition.check(redacted("email", data))
