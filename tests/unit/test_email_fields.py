"""Every field of every type of e-mail job: left out, null, of a wrong type, and one that is not known."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from tests.support.email_jobs import TEMPLATE_DATA, bulk, campaign, template, transactional

from toril.errors import PayloadError
from toril.queues.email import OutboxProvider, email_queue

QUEUE = email_queue(OutboxProvider("unused"), from_email="o@mail.example.com")
JOBS = {"transactional": transactional(), "bulk": bulk(), "template": template(), "campaign": campaign()}
REQUIRED = [
    *(("transactional", field) for field in ("to", "subject")),
    *(("bulk", field) for field in ("recipients", "subject", "html", "recipients.0.email")),
    *(("template", field) for field in ("to", "templateId", "templateData")),
    *(("campaign", field) for field in ("campaignId", "recipient", "subject", "html", "trackingId")),
    ("campaign", "recipient.email"),
]
OPTIONAL = [
    *(("transactional", field) for field in ("text", "replyTo", "cc", "bcc", "attachments", "tags")),
    ("bulk", "text"),
    ("template", "subject"),
    ("campaign", "recipient.name"),
]


def changed(kind: str, path: str, value: Any = ...) -> dict[str, Any]:
    """A job with one field set, or taken out."""
    job = deepcopy(JOBS[kind])
    *way, last = path.split(".")
    at = job["data"]
    for step in way:
        at = at[int(step)] if step.isdigit() else at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return job


def refusal(job: dict[str, Any]) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        QUEUE.check(job)
    return caught.value


@pytest.mark.parametrize(("kind", "field"), REQUIRED)
def test_a_required_field_that_is_missing_is_named(kind: str, field: str) -> None:
    error = refusal(changed(kind, field))

    assert error.field == field
    assert str(error) == f"email job of type {kind!r} is not acceptable: {field}: Field required"


@pytest.mark.parametrize(("kind", "field"), REQUIRED)
def test_a_required_field_that_is_null_is_named(kind: str, field: str) -> None:
    assert refusal(changed(kind, field, None)).field == field


@pytest.mark.parametrize(("kind", "field"), [*REQUIRED, *OPTIONAL])
@pytest.mark.parametrize("value", [7, True, {"x": []}, [7]], ids=["number", "bool", "object", "list"])
def test_a_field_of_the_wrong_type_is_named(kind: str, field: str, value: Any) -> None:
    error = refusal(changed(kind, field, value))

    assert error.field is not None
    # A list or an object is looked into, where that is what is expected.
    assert error.field == field or error.field.startswith(f"{field}.") or field == "templateData"


@pytest.mark.parametrize(("kind", "field"), OPTIONAL)
def test_an_optional_field_may_be_null(kind: str, field: str) -> None:
    QUEUE.check(changed(kind, field, None))


@pytest.mark.parametrize("kind", JOBS)
def test_an_unknown_field_is_named(kind: str) -> None:
    error = refusal(changed(kind, "colour", "red"))

    assert error.field == "colour"
    assert "not permitted" in str(error)


@pytest.mark.parametrize("template_id", TEMPLATE_DATA)
def test_an_unknown_variable_of_a_template_is_named(template_id: str) -> None:
    error = refusal(template(template_id, colour="red"))

    assert error.field == "templateData.colour"


@pytest.mark.parametrize(
    ("template_id", "variable"), [(name, each) for name, data in TEMPLATE_DATA.items() for each in data]
)
def test_a_variable_of_the_wrong_type_is_named(template_id: str, variable: str) -> None:
    error = refusal(template(template_id, **{variable: {"x": 1}}))

    assert error.field is not None
    assert error.field.startswith(f"templateData.{variable}")


@pytest.mark.parametrize(
    ("kind", "field", "most"),
    [
        *((kind, "subject", 900) for kind in ("transactional", "bulk", "template", "campaign")),
        *((kind, "html", 4_000_000) for kind in ("transactional", "bulk", "campaign")),
        *((kind, "text", 4_000_000) for kind in ("transactional", "bulk")),
        ("campaign", "campaignId", 64),
        ("campaign", "trackingId", 128),
    ],
)
def test_a_text_has_a_greatest_length(kind: str, field: str, most: int) -> None:
    QUEUE.check(changed(kind, field, "x" * most))

    assert refusal(changed(kind, field, "x" * (most + 1))).field == field
