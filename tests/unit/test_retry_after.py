"""The HTTP header Retry-After."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toril.queues.retry_after import retry_after_seconds

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(None, None, id="absent"),
        pytest.param("7", 7.0, id="seconds"),
        pytest.param(" 0.5 ", 0.5, id="fraction"),
        pytest.param("86400", 3600.0, id="capped"),
        pytest.param("9" * 400, 3600.0, id="absurd"),
        pytest.param("Sun, 01 Mar 2026 12:01:30 GMT", 90.0, id="date"),
        pytest.param("Sun, 01 Mar 2026 15:01:30 +0300", 90.0, id="date with a zone"),
        pytest.param("Sun, 01 Mar 2026 11:00:00 GMT", 0.0, id="date gone by"),
        pytest.param("Sun, 01 Mar 2099 11:00:00 GMT", 3600.0, id="date far away"),
        pytest.param("-5", None, id="negative"),
        pytest.param("soon", None, id="words"),
        pytest.param("", None, id="empty"),
        pytest.param("٧", None, id="digits of another script"),
    ],
)
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, now=NOW) == seconds


@settings(deadline=None)
@given(
    st.text()
    | st.from_regex(r"[0-9.]{1,8}|[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,5} [0-9:]{1,9} GMT")
)
def test_any_header_gives_a_bounded_wait_or_none(value: str) -> None:
    seconds = retry_after_seconds(value, now=NOW, cap=60)
    assert seconds is None or 0 <= seconds <= 60
