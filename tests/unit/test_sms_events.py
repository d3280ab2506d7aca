"""What SMS providers say in their webhooks."""

from __future__ import annotations

import pytest

from toril.web.sms_events import Wish, read_any, read_form, report_of, signed_by_twilio, wish_of


def test_a_signature_is_over_the_address_and_all_fields() -> None:
    # The example of Twilio's documentation.
    fields = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ]
    url, good = "https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert signed_by_twilio("12345", url, fields[::-1], good)
    assert not signed_by_twilio("12345", url, [*fields, ("More", "1")], good)
    assert not signed_by_twilio("12345", url.replace("bar", "baz"), fields, good)
    assert not signed_by_twilio("12346", url, fields, good)
    assert not signed_by_twilio("12345", url, fields, "é")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"MessageSid=SM1&MessageStatus=delivered", "application/x-www-form-urlencoded", "delivered"),
        (b"MessageID=SM1&DLR=Undeliverable", "", "failed"),
        (b'{"MessageID": "SM1", "DLR": "Delivered", "more": {"a": [1]}}', "application/json", "delivered"),
        (b'{"msgid": "SM1", "deliveryStatus": "DELIVERED"}', "text/plain", "delivered"),
    ],
)
def test_reports_are_read_however_they_are_written(body: bytes, kind: str, status: str) -> None:
    fields = read_any(body, kind)
    assert fields is not None
    report = report_of(fields)
    assert report is not None
    assert (report.message_id, report.status) == ("SM1", status)


@pytest.mark.parametrize(
    "body",
    [b"\xff=1", b"{", b"[]", b"a", b"a=1&" * 500, b'{"a":' * 100_000, b"{" + b'"a":1,' * 500 + b'"b":2}'],
)
def test_what_no_provider_sends_is_none(body: bytes) -> None:
    fields = read_any(body, "application/json" if body[:1] in b"{[" else "")
    assert fields is None or report_of(fields) is None
    assert read_form(b"a=1&" * 500) is None


def test_states_on_the_way_are_no_reports() -> None:
    assert report_of({"messagesid": "SM1", "messagestatus": "sending"}) is None
    assert report_of({"messagestatus": "delivered"}) is None
    assert report_of({"messagesid": "x" * 257, "messagestatus": "delivered"}) is None


@pytest.mark.parametrize("text", ["STOP", " stop. ", "Unsubscribe!", "توقف", "إلغاء", "الغاء  الاشتراك"])
def test_words_that_everybody_knows_end_messages(text: str) -> None:
    assert wish_of({"from": "+966512345678", "body": text}) == Wish(number="+966512345678", wants=False)


@pytest.mark.parametrize(
    "text", ["Please stop by at ten", "", "cancel the appointment", "نعم", "x" * 100_000]
)
def test_other_messages_end_nothing(text: str) -> None:
    assert wish_of({"from": "+966512345678", "body": text}) is None


def test_twilio_says_itself_what_a_message_meant() -> None:
    wish = wish_of({"from": "0512345678", "body": "Arrêt", "optouttype": "STOP"})
    assert wish == Wish(number="+966512345678", wants=False)
    assert wish_of({"from": "OFFICE", "body": "STOP"}) is None
    again = wish_of({"from": "+966512345678", "body": "START"})
    assert again is not None
    assert again.wants
