"""Times in services' answers: those that can be worked with, whatever the zone, and none that cannot."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.queues.sync.moments import day_of, moment_of

ZONES = [timezone(timedelta(hours=hours)) for hours in (-14, 0, 14)]


@given(
    st.one_of(
        st.datetimes(timezones=st.sampled_from(ZONES)).map(datetime.isoformat), st.integers(), st.text()
    )
)
def test_what_is_read_can_be_moved_to_every_zone(value: Any) -> None:
    found = moment_of(value, zone=UTC)
    if found is not None:
        assert all(found.astimezone(zone) == found for zone in ZONES)


@pytest.mark.parametrize(
    "value",
    [None, True, 1.5, "", "soon", "2026-03-01T09:00:00", "0001-01-01T00:00:00+03:00", 2**70, -1, "9" * 9999],
)
def test_what_is_no_time_is_none(value: Any) -> None:
    assert moment_of(value) is None


def test_times_are_read_as_services_write_them() -> None:
    nine = datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert moment_of("2026-03-01T12:00:00+03:00") == moment_of(1772355600) == nine
    assert moment_of("2026-03-01T09:00:00", zone=UTC) == nine


@pytest.mark.parametrize("value", [None, 5, "0001-01-01", "9999-12-31", "1st of May"])
def test_what_is_no_day_is_none(value: Any) -> None:
    assert day_of(value) is None
    assert day_of("2026-03-01") == date(2026, 3, 1)
