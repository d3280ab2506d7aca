"""Dates as they stand in Bull's options."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.engine.dates import date_ms, iso_text
from toril.engine.zone import local_clock
from toril.errors import OptionError


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (1_772_359_200_001.9, 1_772_359_200_001),
        (-5.5, -5),
        ("2026-03-01", 1_772_323_200_000),
        ("2026-03-01T10:00Z", 1_772_359_200_000),
        ("2026-03-01T10:00:00.001Z", 1_772_359_200_001),
        ("2026-03-01T10:00:00.001999Z", 1_772_359_200_001),
        ("2026-03-01T13:00:00+03:00", 1_772_359_200_000),
        ("2026-03-01 13:00:00+0300", 1_772_359_200_000),
        ("2026-03-01T05:00:00", 1_772_359_200_000),
        ("2026-03-01 05:00", 1_772_359_200_000),
        ("Sun, 01 Mar 2026 10:00:00 GMT", 1_772_359_200_000),
        ("1 Mar 2026 13:00 +0300", 1_772_359_200_000),
        ("01 Mar 2026 10:00:00 -0000", 1_772_359_200_000),
    ],
)
def test_dates_are_read_as_javascript_reads_them(in_new_york: None, value: Any, expected: int) -> None:
    assert date_ms(value, "end") == expected


def test_dates_without_a_zone_can_be_read_in_one() -> None:
    riyadh = local_clock("Asia/Riyadh")
    assert date_ms("2026-03-01", "end", riyadh) == 1_772_312_400_000
    assert date_ms("2026-03-01T13:00:00.5", "end", riyadh) == 1_772_359_200_500
    assert date_ms("2026-03-01T13:00:00Z", "end", riyadh) == 1_772_370_000_000


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "soon",
        "2026",
        "2026-13-01",
        "2026-02-30",
        "2026-03-01T25:00Z",
        "2026-03-01Z",
        "٢٠٢٦-03-01",
        "1 Foo 2026 10:00 GMT",
        float("nan"),
        float("inf"),
        1e17,
        [],
        {},
    ],
)
def test_what_is_no_date_is_refused(value: Any) -> None:
    with pytest.raises(OptionError, match="end must be Unix milliseconds"):
        date_ms(value, "end")


@given(st.integers(0, 250_000_000_000_000))
def test_a_written_date_reads_back(moment_ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment_ms)
    assert date_ms(iso_text(moment), "end") == moment_ms
