"""The payloads of bulk and campaign jobs: what is taken, and one clear error for each bad field."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.email_jobs import bulk, campaign

from toril.errors import PayloadError
from toril.queues.email import OutboxProvider, email_queue
from toril.queues.email.payloads import MAX_BULK, Bulk, Campaign

QUEUE = email_queue(OutboxProvider("unused"), from_email="o@mail.example.com")
ONE = {"email": "a@example.com", "name": "A"}


def without(data: dict[str, Any], field: str) -> dict[str, Any]:
    return {**data, "data": {name: value for name, value in data["data"].items() if name != field}}


def test_a_bulk_job_takes_values_of_all_kinds() -> None:
    recipient = {
        "email": "a@example.com",
        "caseNo": 204,
        "due": 1.5,
        "vip": True,
        "المدينة": "الرياض",
        "x": None,
    }
    _, payload = QUEUE.check(bulk(recipients=[recipient], subject="{{caseNo}}", html="{{ المدينة }} {{vip}}"))
    assert isinstance(payload, Bulk)
    assert payload.recipients[0].values == {
        "email": "a@example.com",
        "caseNo": "204",
        "due": "1.5",
        "vip": "true",
        "المدينة": "الرياض",
    }


def test_a_bad_address_is_left_for_its_turn() -> None:
    QUEUE.check(bulk(recipients=[ONE, {"email": "nobody", "name": ""}]))


def test_ten_thousand_recipients_are_taken() -> None:
    _, payload = QUEUE.check(bulk(MAX_BULK))
    assert isinstance(payload, Bulk)
    assert len(payload.recipients) == 10_000


def test_a_campaigns_mail_is_taken_as_node_writes_it() -> None:
    _, payload = QUEUE.check(campaign(recipient={"email": "Sara <sara@example.com>"}))
    assert isinstance(payload, Campaign)
    assert payload.model_dump(by_alias=True)["trackingId"] == "t-1"


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        *(
            pytest.param(without(bulk(), field), field, "required", id=f"no {field}")
            for field in ("recipients", "subject", "html")
        ),
        pytest.param(bulk(recipients=[]), "recipients", "at least 1", id="nobody"),
        pytest.param(bulk(MAX_BULK + 1), "recipients", "at most 10000", id="too many"),
        pytest.param(bulk(recipients="a@example.com"), "recipients", "valid list", id="text as list"),
        pytest.param(
            bulk(recipients=["a@example.com"]), "recipients.0", "valid dictionary", id="text as recipient"
        ),
        pytest.param(
            bulk(recipients=[ONE, {"name": "B"}]), "recipients.1.email", "required", id="no address"
        ),
        pytest.param(
            bulk(recipients=[{"email": 5, "name": "x"}]), "recipients.0.email", "valid string", id="number"
        ),
        pytest.param(
            bulk(recipients=[ONE | {"name": []}]), "recipients.0.name", "valid string", id="list as name"
        ),
        pytest.param(
            bulk(recipients=[ONE | {"x": {}}]), "recipients.0.x", "should be a number", id="object as value"
        ),
        pytest.param(
            bulk(recipients=[ONE | {"x": "y" * 10_001}]), "recipients.0.x", "10,000", id="long value"
        ),
        pytest.param(bulk(subject=""), "subject", "at least 1", id="empty subject"),
        pytest.param(bulk(subject="a\r\nBcc: b"), "subject", "U+000D", id="subject injection"),
        pytest.param(bulk(subject="x" * 901), "subject", "at most 900", id="long subject"),
        pytest.param(bulk(html=""), "html", "at least 1", id="empty html"),
        pytest.param(bulk(html=1), "html", "valid string", id="number as html"),
        pytest.param(bulk(html="x" * 4_000_001), "html", "at most 4000000", id="long html"),
        pytest.param(
            bulk(html="{{naem}}"), "html", "no recipient has a value for {{naem}}", id="slip in html"
        ),
        pytest.param(
            bulk(subject="{{x}}"), "subject", "no recipient has a value for {{x}}", id="slip in subject"
        ),
        pytest.param(bulk(text="{{x}}"), "text", "no recipient has a value for {{x}}", id="slip in text"),
        pytest.param(bulk(attachments=[]), "attachments", "not permitted", id="unknown field"),
        *(
            pytest.param(without(campaign(), field), field, "required", id=f"campaign without {field}")
            for field in ("campaignId", "recipient", "subject", "html", "trackingId")
        ),
        pytest.param(campaign(recipient={}), "recipient.email", "required", id="campaign to nobody"),
        pytest.param(
            campaign(recipient={"email": "x"}), "recipient.email", "has no @", id="campaign to no address"
        ),
        pytest.param(
            campaign(recipient={"email": ["a@b.co"]}), "recipient.email", "valid string", id="list as address"
        ),
        pytest.param(
            campaign(recipient={"email": "a@b.co", "name": "a\nb"}),
            "recipient.name",
            "U+000A",
            id="name injection",
        ),
        pytest.param(
            campaign(recipient={"email": "a@b.co", "x": 1}), "recipient.x", "not permitted", id="unknown"
        ),
        pytest.param(campaign(campaignId="a b"), "campaignId", "pattern", id="space in the campaign"),
        pytest.param(campaign(campaignId="x" * 65), "campaignId", "pattern", id="long campaign"),
        pytest.param(campaign(campaignId=5), "campaignId", "valid string", id="number as campaign"),
        pytest.param(campaign(trackingId=""), "trackingId", "pattern", id="empty tracking id"),
        pytest.param(campaign(trackingId="x" * 129), "trackingId", "pattern", id="long tracking id"),
        pytest.param(campaign(subject="a\nb"), "subject", "U+000A", id="campaign subject injection"),
        pytest.param(campaign(html=""), "html", "at least 1", id="campaign without text"),
        pytest.param(campaign(firmId="f"), "firmId", "not the id of a firm", id="campaign of no firm"),
        pytest.param(campaign(colour="red"), "colour", "not permitted", id="campaign with an unknown field"),
    ],
)
def test_a_bad_field_is_named_with_its_path(data: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        QUEUE.check(data)
    assert caught.value.field == path
    assert f"{path}: " in str(caught.value)
    assert reason in str(caught.value)
