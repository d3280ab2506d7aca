"""Answers of outside services: exact numbers, what may be shown of them, and what they mean for a job."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from toril.errors import (
    NotConfiguredError,
    RetryableError,
    TorilError,
    UnknownOutcomeError,
    UnrecoverableError,
)
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain


def answer(
    status: int = 200,
    content: bytes = b"",
    *,
    repeatable: bool = True,
    secrets: tuple[str, ...] = (),
    **headers: str,
) -> VendorAnswer:
    return VendorAnswer(
        vendor="Acme",
        operation="reading a payment",
        status=status,
        headers=httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}),
        content=content,
        repeatable=repeatable,
        secrets=secrets,
    )


def test_numbers_stay_exact() -> None:
    assert answer(content=b'{"amount": 0.10}').json() == {"amount": Decimal("0.10")}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>busy</html>",
        b'{"cut": ',
        b"NaN",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"amount": 1e99999999999999999999}',
    ],
    ids=["empty", "html", "cut", "nan", "deep", "not-utf8", "beyond-decimals"],
)
def test_a_body_that_is_no_json_is_asked_for_again(content: bytes) -> None:
    with pytest.raises(RetryableError, match="instead of JSON"):
        answer(content=content).json()


def test_a_write_whose_answer_makes_no_sense_is_not_repeated() -> None:
    with pytest.raises(UnknownOutcomeError, match="leaves open whether it was done"):
        answer(content=b"<html>", repeatable=False).json()


def test_null_is_json_but_no_object() -> None:
    assert answer(content=b"null").json() is None
    with pytest.raises(RetryableError, match="no object"):
        answer(content=b"null").object()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(
            b'{"error": {"type": "bad_key", "message": "no such key"}}', "bad_key; no such key", id="nested"
        ),
        pytest.param(b'{"errors": [{"code": 42, "detail": "closed"}]}', "42; closed", id="list"),
        pytest.param(b'{"message": "for SA0380000000608010167519 only"}', "for …7519 only", id="iban"),
        pytest.param(b'{"message": "id 1012345678"}', "id …5678", id="national id"),
        pytest.param(b'{"message": "key sk_live_abc refused"}', "key [secret] refused", id="our key"),
        pytest.param(b'{"message": "a\\u202eb\\nc"}', "a b c", id="control characters"),
        pytest.param(b"<html>", "", id="html"),
        pytest.param(b'{"data": "personal"}', "", id="no saying"),
    ],
)
def test_what_is_shown_of_an_answer(body: bytes, said: str) -> None:
    assert answer(400, body, secrets=("sk_live_abc",)).said() == said


def test_a_long_saying_is_cut() -> None:
    assert len(answer(400, b'{"message": "%s"}' % (b"long " * 1000)).said()) == 300


@pytest.mark.parametrize(
    ("status", "repeatable", "kind"),
    [
        (400, True, UnrecoverableError),
        (401, True, NotConfiguredError),
        (403, False, NotConfiguredError),
        (302, True, NotConfiguredError),
        (404, True, UnrecoverableError),
        (408, True, RetryableError),
        (408, False, UnknownOutcomeError),
        (429, False, RetryableError),
        (500, True, RetryableError),
        (502, False, UnknownOutcomeError),
        (503, False, RetryableError),
    ],
)
def test_what_a_status_means(status: int, repeatable: bool, kind: type[TorilError]) -> None:
    error = explain(answer(status, b'{"message": "because"}', repeatable=repeatable), settings="ACME_KEY")
    assert type(error) is kind
    assert "Acme" in str(error)
    assert "because" in str(error)
    assert ("ACME_KEY" in str(error)) is (kind is NotConfiguredError)


def test_retry_after_is_honoured_with_jitter() -> None:
    error = explain(answer(429, retry_after="40"), settings="")
    assert isinstance(error, RetryableError)
    assert error.retry_after is not None
    assert 40 <= error.retry_after <= 50


def test_halves_of_characters_can_be_shown() -> None:
    assert answer(400, content=b'{"message": "broken \\ud83d"}').said() == "broken ?"
