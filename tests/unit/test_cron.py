"""The moments cron expressions name, against answers of Node's cron-parser 4.9.0."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from toril.engine.cron import next_time_ms, validate
from toril.engine.zone import local_clock
from toril.errors import OptionError

#: expression, zone, after, next; the last column is what cron-parser 4.9.0 answered.
FIELDS = [
    ("*/5 * * * *", "UTC", "2026-03-01T10:05:00Z", "2026-03-01T10:10:00Z"),
    ("*/10 * * * * *", "UTC", "2026-03-01T10:05:00.001Z", "2026-03-01T10:05:10Z"),
    ("0 9 * * *", "Europe/Athens", "2026-03-01T08:00:00Z", "2026-03-02T07:00:00Z"),
    ("30 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-08T07:30:00Z"),
    ("30 1 * * *", "America/New_York", "2026-11-01T05:45:00Z", "2026-11-02T06:30:00Z"),
    ("0 0 31 * *", "UTC", "2026-04-01T00:00:00Z", "2026-05-31T00:00:00Z"),
    ("0 0 29 2 *", "UTC", "2026-04-01T00:00:00Z", "2028-02-29T00:00:00Z"),
    ("0 0 1 * 1", "UTC", "2026-04-02T00:00:00Z", "2026-04-06T00:00:00Z"),
    ("0 0 L * *", "UTC", "2026-02-10T00:00:00Z", "2026-02-28T00:00:00Z"),
    ("0 0 * * 5L", "UTC", "2026-02-10T00:00:00Z", "2026-02-27T00:00:00Z"),
    ("0 0 * * 1#2", "UTC", "2026-02-01T00:00:00Z", "2026-02-09T00:00:00Z"),
    ("0 0 * JAN MON", "UTC", "2026-02-01T00:00:00Z", "2027-01-04T00:00:00Z"),
    ("0 0 * * 7", "UTC", "2026-02-02T00:00:00Z", "2026-02-08T00:00:00Z"),
    ("1-5/2 * * * *", "UTC", "2026-02-02T00:04:00Z", "2026-02-02T00:05:00Z"),
    ("@hourly", "UTC", "2026-02-02T00:04:00Z", "2026-02-02T01:00:00Z"),
    ("@daily", "Asia/Riyadh", "2026-02-02T00:04:00Z", "2026-02-02T21:00:00Z"),
    ("@weekly", "UTC", "2026-02-02T00:04:00Z", "2026-02-08T00:00:00Z"),
    ("@monthly", "UTC", "2026-02-02T00:04:00Z", "2026-03-01T00:00:00Z"),
    ("@yearly", "UTC", "2026-02-02T00:04:00Z", "2027-01-01T00:00:00Z"),
    ("1", "UTC", "2026-02-03T00:04:30Z", "2026-02-09T00:00:00Z"),
    ("2 1", "UTC", "2026-02-03T00:04:30Z", "2026-02-09T00:00:00Z"),
    ("15 2 1", "UTC", "2026-02-03T00:04:30Z", "2026-02-09T00:00:00Z"),
    ("* * * *", "UTC", "2026-02-03T00:04:30Z", "2026-02-03T00:05:00Z"),
    ("0 0 ? * ?", "UTC", "2026-02-03T00:04:30Z", "2026-02-04T00:00:00Z"),
    ("0 0 ?/10 * *", "UTC", "2026-02-03T00:04:30Z", "2026-02-11T00:00:00Z"),
    ("0 0 10 * 1-7", "UTC", "2026-02-03T00:00:00Z", "2026-02-10T00:00:00Z"),
    ("0 0 10 * 0-6", "UTC", "2026-02-03T00:00:00Z", "2026-02-04T00:00:00Z"),
    ("0 0 1-30 * 1", "UTC", "2026-04-07T00:00:00Z", "2026-04-13T00:00:00Z"),
    ("0 0 1-30 * 1", "UTC", "2026-03-31T00:00:00Z", "2026-04-06T00:00:00Z"),
    ("0 0 1-30 * 1", "UTC", "2026-05-30T00:00:00Z", "2026-06-01T00:00:00Z"),
    ("0 0 2-31 4 1", "UTC", "2026-04-07T00:00:00Z", "2026-04-08T00:00:00Z"),
    ("0 0 1-29,L 4 1", "UTC", "2026-04-07T00:00:00Z", "2026-04-13T00:00:00Z"),
    ("0 0 1-29,L 5 1", "UTC", "2026-05-05T00:00:00Z", "2026-05-06T00:00:00Z"),
    ("0 0 7 * 0L,1L,2L,3L,4L,5L,6L,0", "UTC", "2026-05-05T00:00:00Z", "2026-05-07T00:00:00Z"),
    ("* 1,1,1 * * *", "UTC", "2026-05-05T01:59:00Z", "2026-05-06T01:00:00Z"),
    ("0 0 15 * 1#2", "UTC", "2026-02-03T00:00:00Z", "2026-02-09T00:00:00Z"),
    ("0 0 13 * friL", "UTC", "2026-02-14T00:00:00Z", "2026-02-27T00:00:00Z"),
    ("0 0 * * 1-7/2", "UTC", "2026-02-07T00:00:00Z", "2026-02-08T00:00:00Z"),
    ("0 0 1,L * *", "UTC", "2026-02-03T00:00:00Z", "2026-02-28T00:00:00Z"),
    ("30 9 * * mon-fri", "Asia/Riyadh", "2026-02-06T06:30:00Z", "2026-02-09T06:30:00Z"),
    ("5/20 * * * *", "UTC", "2026-02-03T00:46:00Z", "2026-02-03T01:05:00Z"),
    ("0 0 * 2 1#5", "UTC", "2026-02-03T00:00:00Z", "2044-02-29T00:00:00Z"),
    ("0 0 29,31 2 *", "UTC", "2026-02-03T00:00:00Z", "2028-02-29T00:00:00Z"),
]
#: The same where clocks jump: hours left out or repeated, whole or half, also at midnight; a day left out.
CLOCKS = [
    ("*/30 * * * *", "America/New_York", "2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"),
    ("0 3 * * *", "America/New_York", "2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"),
    ("0 2,3 * * *", "America/New_York", "2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"),
    ("45 2 * * *", "America/New_York", "2026-03-08T07:30:00Z", "2026-03-09T06:45:00Z"),
    ("30 * * * *", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"),
    ("30 0-23 * * *", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"),
    ("0 0-23,4 * * *", "America/New_York", "2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z"),
    ("30 1 * * *", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z"),
    ("*/20 1 * * *", "America/New_York", "2026-11-01T05:40:00Z", "2026-11-02T06:00:00Z"),
    ("30 1,2 * * *", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T07:30:00Z"),
    ("30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", "2026-11-01T06:30:00Z"),
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", "2026-10-04T15:15:00Z"),
    ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:30:00Z", "2026-04-04T14:45:00Z"),
    ("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:50:00Z", "2026-04-04T15:00:00Z"),
    ("30 0 * * *", "Africa/Cairo", "2026-04-23T20:00:00Z", "2026-04-24T21:30:00Z"),
    ("0 1 * * *", "Africa/Cairo", "2026-04-23T20:00:00Z", "2026-04-23T22:00:00Z"),
    ("0 0 * * *", "Africa/Cairo", "2026-04-23T20:00:00Z", "2026-04-24T21:00:00Z"),
    ("30 23 * * *", "Africa/Cairo", "2026-10-29T18:00:00Z", "2026-10-29T20:30:00Z"),
    ("5 23 * * *", "America/Nuuk", "2026-03-28T23:00:00Z", "2026-03-30T00:05:00Z"),
    ("5 1-23/2 * * *", "America/Nuuk", "2026-03-28T23:57:48Z", "2026-03-29T02:05:00Z"),
    ("5 22,0 * * *", "America/Nuuk", "2026-03-28T23:00:00Z", "2026-03-29T00:05:00Z"),
    ("5 23 * * *", "America/Nuuk", "2026-10-24T12:00:00Z", "2026-10-25T00:05:00Z"),
    ("5 23 * * *", "America/Nuuk", "2026-10-25T00:05:00Z", "2026-10-26T01:05:00Z"),
    ("0 0 * * *", "America/Havana", "2026-10-31T16:00:00Z", "2026-11-01T04:00:00Z"),
    ("0 0 1 * *", "America/Havana", "2026-10-01T16:00:00Z", "2026-11-01T04:00:00Z"),
    ("0 0 * 11 *", "America/Havana", "2026-10-15T16:00:00Z", "2026-11-01T05:00:00Z"),
    ("30 0 * * *", "America/Havana", "2026-11-01T04:45:00Z", "2026-11-02T05:30:00Z"),
    ("30 3 * * *", "Europe/London", "2026-03-28T12:00:00Z", "2026-03-29T02:30:00Z"),
    ("30 1 * * *", "Europe/London", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
    ("30 1 * * *", "Europe/Dublin", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"),
    ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2012-12-29T22:00:00Z"),
    ("0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z", "2011-12-30T22:00:00Z"),
    ("0 9 * * *", "UTC+5:30", "2026-02-03T00:00:00Z", "2026-02-03T03:30:00Z"),
    ("0 9 * * *", "utc-3", "2026-02-03T00:00:00Z", "2026-02-03T12:00:00Z"),
    ("0 9 * * *", "asia/kolkata", "2026-02-03T00:00:00Z", "2026-02-03T03:30:00Z"),
    ("0 9 * * *", "gmt", "2026-02-03T00:00:00Z", "2026-02-03T09:00:00Z"),
    ("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
    ("0 9 * * *", "America/New_York", "2050-07-01T00:00:00Z", "2050-07-01T13:00:00Z"),
    ("0 * * * * *", "UTC", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
]


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("expression", "tz", "after", "expected"), FIELDS)
def test_fields_name_the_moments_cron_parser_finds(
    expression: str, tz: str, after: str, expected: str
) -> None:
    assert next_time_ms(expression, after_ms=ms(after), tz=tz) == ms(expected)


@pytest.mark.parametrize(("expression", "tz", "after", "expected"), CLOCKS)
def test_jumping_clocks_give_the_moments_cron_parser_finds(
    expression: str, tz: str, after: str, expected: str
) -> None:
    assert next_time_ms(expression, after_ms=ms(after), tz=tz) == ms(expected)


def test_without_a_zone_the_process_is_asked_as_in_bull(in_new_york: None) -> None:
    for tz in (None, "local", "System", "default"):
        found = next_time_ms("30 2 * * *", after_ms=ms("2026-03-08T05:00:00Z"), tz=tz)
        assert found == ms("2026-03-08T07:30:00Z")


def test_a_year_in_a_zone_has_one_run_a_day() -> None:
    zone = ZoneInfo("Europe/Athens")
    now, days = ms("2026-01-01T00:00:00Z"), []
    for _ in range(365):
        now = next_time_ms("30 3 * * *", after_ms=now, tz="Europe/Athens") or 0
        days.append(datetime.fromtimestamp(now / 1_000, zone).date())
    assert len(set(days)) == 365


def test_the_result_is_later_than_the_start() -> None:
    after, start = ms("2026-03-01T10:00:00Z"), ms("2026-03-05T09:00:00Z")
    assert next_time_ms("0 9 * * *", after_ms=after, tz="UTC", start_ms=start) == ms("2026-03-06T09:00:00Z")
    assert next_time_ms("0 9 * * *", after_ms=start, tz="UTC", start_ms=after) == ms("2026-03-06T09:00:00Z")


def test_the_end_is_the_last_moment_that_counts() -> None:
    after, run = ms("2026-03-01T10:00:00Z"), ms("2026-03-02T09:00:00Z")
    assert next_time_ms("0 9 * * *", after_ms=after, tz="UTC", end_ms=run) == run
    assert next_time_ms("0 9 * * *", after_ms=after, tz="UTC", end_ms=run - 1) is None
    assert next_time_ms("0 9 * * *", after_ms=after, tz="UTC", end_ms=after - 1) is None


def test_fractions_of_a_millisecond_are_passed_over() -> None:
    assert next_time_ms("* * * * * *", after_ms=999.999, tz="UTC") == 1_000
    assert next_time_ms("* * * * * *", after_ms=1_000.0, tz="UTC") == 2_000


@pytest.mark.parametrize("expression", ["0 0 31 4,6 *", "* * 30,31 2,2 *", "0 0 5 * *#2", "* * * * * 5L#1"])
def test_a_date_that_never_comes_is_no_next_run(expression: str) -> None:
    assert next_time_ms(expression, after_ms=ms("2026-01-01T00:00:00Z"), tz="UTC") is None
    with pytest.raises(OptionError, match="would never run"):
        validate(expression)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "must be a text"),
        ("   ", "must be a text"),
        ("60 * * * *", "minute '60' is outside 0-59"),
        ("* 24 * * *", "hour '24' is outside 0-23"),
        ("* * 0 * *", "day of month '0' is outside 1-31"),
        ("* * * 13 *", "month '13' is outside 1-12"),
        ("* * * * 8", "day of week '8' is outside 0-7"),
        ("* * * * 5-8", "day of week '5-8' is outside 0-7"),
        ("1 2 3 4 5 6 7", "has 7 fields"),
        ("xx", "day of week 'xx' is not a number"),
        ("* * * foo *", "'foo' is not one of jan, feb"),
        ("* * * * monday", "'day' is not one of sun, mon"),
        ("@midnight", "is not one of sun"),
        ("@hourly ", "is not one of sun"),
        ("5-1 * * * *", "runs backwards"),
        ("* * * * sat-sun", "runs backwards"),
        ("*/0 * * * *", "step must be at least 1"),
        ("1/2/3 * * * *", "minute '1/2/3' is not a number"),
        ("1,,2 * * * *", "minute '' is not a number"),
        ("1-5-7 * * * *", "minute '1-5-7' is not a number"),
        ("-5 * * * *", "minute '-5' is not a number"),
        ("5* * * * *", r"minute '5\*' is not a number"),
        ("? * * * *", r"'\?' stands alone"),
        ("* * *,? * *", r"'\?' stands alone"),
        ("* * 15W * *", "'W' and 'H' are not supported"),
        ("H * * * *", "'W' and 'H' are not supported"),
        ("* * 5L * *", "'L' is written alone as day of month"),
        ("* * * * L", "after a weekday as in '5L'"),
        ("* * * * 8L", "after a weekday as in '5L'"),
        ("* * * * 1#6", "one number 1-5"),
        ("* * * * 1#", "one number 1-5"),
        ("* * * * 1,2#3", "one day and one number"),
        ("* * * * 1#2#3", "one number 1-5"),
        ("0 0 31 2 *", "month 2 never has a day 31"),
        ("0 0 30,31 feb *", "month 2 never has a day 30"),
        ("\u0660 * * * *", "is not a number"),
        ("0\x1f9 * * *", "is not a number"),
        ("9" * 500 + " * * * *", "is not a number"),
        ("*," * 600 + "* * * * *", "longer than 1000"),
    ],
)
def test_a_bad_expression_is_named_with_what_is_wrong(expression: str, says: str) -> None:
    with pytest.raises(OptionError, match=says) as caught:
        validate(expression)
    assert repr(expression)[:40] in str(caught.value)
    with pytest.raises(OptionError, match=says):
        next_time_ms(expression, after_ms=0)


@pytest.mark.parametrize("tz", ["Bad/Zone", "", "UTC+", "../../etc/passwd", "Europe", "Factory", "+03:00"])
def test_an_unknown_zone_is_named(tz: str) -> None:
    with pytest.raises(OptionError, match="no time zone") as caught:
        validate("* * * * *", tz)
    assert repr(tz) in str(caught.value)


def test_a_misspelt_zone_gets_a_hint() -> None:
    with pytest.raises(OptionError, match="did you mean 'Europe/Athens'"):
        next_time_ms("* * * * *", after_ms=0, tz="Europe/Atens")


@pytest.mark.parametrize("after_ms", [float("nan"), float("inf"), -float("inf"), 1e18, -1e18])
def test_a_moment_beyond_the_calendar_is_refused(after_ms: float) -> None:
    with pytest.raises(OptionError, match="not within the years"):
        next_time_ms("* * * * *", after_ms=after_ms)


def test_the_search_ends_before_the_calendar_does() -> None:
    last = ms("8999-12-31T00:00:00Z")
    assert next_time_ms("0 0 31 4,6 *", after_ms=last, tz="Pacific/Auckland") is None
    assert next_time_ms("0 0 * 2 1#5", after_ms=last, tz="UTC") is not None


@pytest.mark.parametrize(
    ("tz", "hours"),
    [
        ("UTC", 0),
        ("utc", 0),
        ("GMT", 0),
        ("UTC+3", 3),
        ("utc-11", -11),
        ("UTC+05:30", 5.5),
        ("UTC-0:30", -0.5),
    ],
)
def test_fixed_offsets_are_zones(tz: str, hours: float) -> None:
    assert local_clock(tz).offset(0) == hours * 3_600


def test_a_reading_left_out_is_moved_and_one_repeated_follows_the_offset() -> None:
    clock = local_clock("America/New_York")
    east, standard = -4 * 3_600, -5 * 3_600
    gap = ms("2026-03-08T02:30:00Z") // 1_000
    assert clock.reading(clock.instant(gap, standard)) == gap + 3_600
    assert clock.instant(gap, east) == clock.instant(gap, standard)
    fold = ms("2026-11-01T01:30:00Z") // 1_000
    assert clock.instant(fold, standard) - clock.instant(fold, east) == 3_600
