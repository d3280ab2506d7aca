"""Repeat options, schedule keys, run ids and run times, against what Bull 4.16.5 stored for the same adds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.engine.repeat import Repeat, instance_id, instance_prefix, next_run, parse_repeat_key, repeat_key
from toril.errors import OptionError

NOW = 1_772_359_200_001  # 2026-03-01T10:00:00.001Z

#: name, repeat as stored, time of the add, time of the run, key, md5 in the run's id
STORED: list[tuple[str, dict[str, Any], int, int, str, str]] = [
    (
        "__default__",
        {"every": 5000},
        NOW,
        1_772_359_205_000,
        "__default__:::5000",
        "7729b1ad9ed140f3e391e51abb0810e4",
    ),
    (
        "__default__",
        {"every": 300},
        NOW,
        1_772_359_200_300,
        "__default__:::300",
        "7df0ef73e4c26ab9a378cb0168b1c463",
    ),
    ("fifth", {"every": 7563}, 0, 7_563, "fifth:::7563", "4bc18abc27e257721b1fe982fec74a81"),
    (
        "nm",
        {"cron": "*/2 * * * * *"},
        NOW,
        1_772_359_202_000,
        "nm::::*/2 * * * * *",
        "f7eb1ab33d8041cc702fe68ce77db844",
    ),
    (
        "first",
        {"cron": "10 * * * * *"},
        0,
        10_000,
        "first::::10 * * * * *",
        "484ff2c3db0b90a7986aae7b4733ed77",
    ),
    (
        "second",
        {"cron": "2 10 * * * *", "endDate": 610_000},
        0,
        602_000,
        "second::610000::2 10 * * * *",
        "5728a20c357c5cee93692762ac1e3d76",
    ),
    (
        "fourth",
        {"cron": "2 * * 4 * *", "tz": "Africa/Accra"},
        0,
        259_202_000,
        "fourth:::Africa/Accra:2 * * 4 * *",
        "2f9097dc708852cf936fe4d8027a8dce",
    ),
    (
        "__default__",
        {"cron": "0 9 * * *", "tz": "Europe/Athens", "endDate": "2031-01-01T00:00:00.000Z", "jobId": "myid"},
        NOW - 1,
        1_772_434_800_000,
        "__default__:myid:1924992000000:Europe/Athens:0 9 * * *",
        "590e1949156bc7b9feb7e852b4995113",
    ),
    (
        "nm",
        {
            "cron": "0 9 * * *",
            "tz": "America/New_York",
            "startDate": "2026-03-05T10:00:00-05:00",
            "endDate": "2031-01-01",
            "jobId": "a:b",
        },
        NOW - 1,
        1_772_805_600_000,
        "nm:a:b:1924992000000:America/New_York:0 9 * * *",
        "dbccab5871e0380ecc640a38a586a382",
    ),
    (
        "n:m",
        {"every": 5000, "count": 3, "limit": 4},
        NOW,
        1_772_359_205_000,
        "n:m:::5000",
        "20a09c3d7a321bb758ecdc673dbb9b18",
    ),
    (
        "n",
        {"cron": "5", "tz": "UTC+05:30"},
        NOW,
        1_772_735_400_000,
        "n:::UTC+05:30:5",
        "9c5e03e93880f637e78187550ba01d41",
    ),
    (
        "n",
        {"every": 5000, "endDate": "Wed, 01 Jan 2031 00:00:00 GMT"},
        NOW,
        1_772_359_205_000,
        "n::1924992000000:5000",
        "8ab5790e35a4b194249c4c2b60ecfc0b",
    ),
    (
        "إرسال",
        {"every": 300, "jobId": "ü"},
        NOW,
        1_772_359_200_300,
        "إرسال:ü::300",
        "8ab14d4abc2bdf8aedd12085cdce3ceb",
    ),
    (
        "n",
        {"cron": "@daily", "utc": True, "tz": "Asia/Riyadh"},
        NOW,
        1_772_409_600_000,
        "n:::Asia/Riyadh:@daily",
        "c6b8e4f204c63a74d843c6a2fe0d0f8b",
    ),
]


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the zone of this process: UTC at first, or another."""

    def become(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    become("UTC")
    yield become
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("name", "repeat", "now_ms", "run_ms", "key", "md5"), STORED)
def test_keys_ids_and_times_are_those_bull_stored(
    name: str, repeat: dict[str, Any], now_ms: int, run_ms: int, key: str, md5: str
) -> None:
    assert repeat_key(name, repeat) == key
    assert next_run(repeat, now_ms=now_ms) == run_ms
    assert instance_id(name, repeat, run_ms) == f"repeat:{md5}:{run_ms}"
    assert instance_prefix(name, repeat.get("jobId"), key) == f"repeat:{md5}:"


def test_an_empty_job_id_end_or_zone_is_as_good_as_none() -> None:
    bare = {"cron": "* * * * *"}
    assert repeat_key("n", bare | {"jobId": "", "endDate": "", "tz": "", "every": 0}) == repeat_key("n", bare)
    assert repeat_key("n", bare | {"jobId": None, "endDate": None, "tz": None}) == repeat_key("n", bare)


# --- when the next run is


@pytest.mark.parametrize(
    ("limit", "count", "runs"),
    [(1, None, True), (1, 0, True), (1, 1, False), (5, 4, True), (5, 5, False), (5, 6, False)],
)
def test_the_limit_is_the_number_of_runs(limit: int, count: int | None, runs: bool) -> None:
    repeat = {"every": 5000, "limit": limit, "count": count}
    assert (next_run(repeat, now_ms=NOW) is not None) == runs


def test_every_is_aligned_to_1970_and_later_than_now_and_the_run_before() -> None:
    repeat = {"every": 5000}
    assert next_run(repeat, now_ms=4_999) == 5_000
    assert next_run(repeat, now_ms=5_000) == 10_000
    assert next_run(repeat, now_ms=5_001, prev_ms=10_000) == 15_000
    assert next_run(repeat, now_ms=52_000, prev_ms=10_000) == 55_000


def test_every_ignores_the_start_as_bull_does() -> None:
    assert next_run({"every": 5000, "startDate": "2099-01-01"}, now_ms=NOW) == 1_772_359_205_000


def test_a_part_of_a_millisecond_is_rounded_up() -> None:
    repeat = {"every": 514_285.714285}
    first = next_run(repeat, now_ms=NOW)
    assert first == 1_772_359_714_284
    assert repeat_key("n", repeat) == "n:::514285.714285"
    second = next_run(repeat, now_ms=first, prev_ms=first)
    assert second is not None
    assert 514_285 <= second - first <= 514_287


def test_an_end_that_is_now_has_not_passed() -> None:
    assert next_run({"every": 5000, "endDate": NOW}, now_ms=NOW) == 1_772_359_205_000
    assert next_run({"every": 5000, "endDate": NOW - 1}, now_ms=NOW) is None


def test_the_end_is_held_against_a_run_of_cron_but_not_of_every() -> None:
    end = {"endDate": NOW + 1_000}
    assert next_run({"every": 5000} | end, now_ms=NOW) == 1_772_359_205_000
    assert next_run({"cron": "*/5 * * * * *"} | end, now_ms=NOW) is None


def test_every_100_ms_for_a_second_is_ten_runs() -> None:
    repeat, now, prev, runs = {"every": 100, "endDate": 1_000}, 1, None, 0
    while (run := next_run(repeat, now_ms=now, prev_ms=prev)) is not None:
        now, prev, runs = run + 1, run, runs + 1
    assert runs == 10


def test_daily_for_five_days_is_five_runs() -> None:
    day = 86_400_000
    repeat = {"cron": "0 13 * * *", "tz": "UTC", "endDate": NOW + 5 * day}
    now, runs = NOW, 0
    while (run := next_run(repeat, now_ms=now, prev_ms=now)) is not None:
        now, runs = run, runs + 1
    assert runs == 5


def test_runs_start_after_a_start_in_the_future_and_now_after_one_in_the_past() -> None:
    repeat = {"cron": "*/2 * * * * *", "tz": "UTC"}
    assert next_run(repeat | {"startDate": NOW + 9_999}, now_ms=NOW) == 1_772_359_212_000
    assert next_run(repeat | {"startDate": "2020-01-01"}, now_ms=NOW) == 1_772_359_202_000


def test_an_end_without_zone_is_read_in_utc_against_now_and_in_the_zone_against_the_run() -> None:
    repeat = {"cron": "0 21 * * *", "tz": "America/New_York", "endDate": "2026-03-02"}
    assert repeat_key("n", repeat) == "n::1772409600000:America/New_York:0 21 * * *"
    assert next_run(repeat, now_ms=NOW) == 1_772_416_800_000
    assert next_run(repeat | {"endDate": 1_772_409_600_000}, now_ms=NOW) is None
    assert next_run(repeat, now_ms=1_772_409_600_001) is None


def test_without_zone_cron_is_in_this_processs_zone(zone: Callable[[str], None]) -> None:
    zone("America/New_York")
    assert next_run({"cron": "0 9 * * *"}, now_ms=NOW) == 1_772_373_600_000


@pytest.mark.parametrize(
    ("repeat", "says"),
    [
        ({}, "needs every, or cron"),
        ({"limit": 4}, "needs every, or cron"),
        ({"cron": 5}, "needs every, or cron"),
        ({"cron": "* * * * *", "every": 5000}, "both cron and every"),
        ({"every": -1}, "above 0"),
        ({"every": True}, "every must be a number"),
        ({"every": "soon"}, "every must be a number"),
        ({"every": float("inf")}, "every must be a number"),
        ({"every": 5000, "limit": "many"}, "limit must be a number"),
        ({"every": 5000, "count": [1]}, "count must be a number"),
        ({"every": 5000, "endDate": "never"}, "endDate must be"),
        ({"cron": "61 * * * *"}, "minute '61' is outside"),
        ({"cron": "* * * * *", "tz": "Bad/Zone"}, "no time zone 'Bad/Zone'"),
        ({"cron": "* * * * *", "startDate": {}}, "startDate must be"),
    ],
)
def test_a_bad_stored_schedule_says_what_is_wrong(repeat: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        next_run(repeat, now_ms=NOW)


def test_numbers_that_node_stored_as_text_are_numbers() -> None:
    assert next_run({"every": "5000", "limit": "2", "count": "1"}, now_ms=NOW) == 1_772_359_205_000
    assert next_run({"every": "5000", "limit": "1", "count": "1"}, now_ms=NOW) is None


@given(every=st.integers(1, 10**9), now=st.integers(0, 10**13), prev=st.integers(0, 10**13))
def test_a_run_of_every_is_the_first_multiple_after_both(every: int, now: int, prev: int) -> None:
    run = next_run({"every": every}, now_ms=now, prev_ms=prev)
    assert run is not None
    assert run % every == 0
    assert run - every <= max(now, prev) < run


# --- keys, read back


def said(key: str, score: float = 7.0) -> dict[str, Any]:
    return {name: value for name, value in parse_repeat_key(key, score).items() if value is not None}


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("nm::::*/2 * * * * *", {"name": "nm", "cron": "*/2 * * * * *"}),
        ("second::610000::2 10 * * * *", {"name": "second", "endDate": 610_000, "cron": "2 10 * * * *"}),
        ("n:j::5000", {"name": "n", "id": "j", "every": 5000}),
        ("n:j:-5:5000", {"name": "n", "id": "j", "endDate": -5, "every": 5000}),
        ("n:::514285.714285", {"name": "n", "every": 514285.714285}),
        (
            "n:my:1924992000000:Europe/Athens:0 9 * * *",
            {
                "name": "n",
                "id": "my",
                "endDate": 1_924_992_000_000,
                "tz": "Europe/Athens",
                "cron": "0 9 * * *",
            },
        ),
        ("n::::5", {"name": "n", "cron": "5"}),
        ("n:::5", {"name": "n", "every": 5}),
        # Bull reads the following wrong.
        ("area:verb:::5000", {"name": "area:verb", "every": 5000}),
        ("a:b::1924992000000:5000", {"name": "a:b", "endDate": 1_924_992_000_000, "every": 5000}),
        ("a:b::1924992000000:5", {"name": "a:b", "endDate": 1_924_992_000_000, "every": 5}),
        ("a:b::::0 9 * * *", {"name": "a:b", "cron": "0 9 * * *"}),
        ("n:::UTC+05:30:0 9 * * *", {"name": "n", "tz": "UTC+05:30", "cron": "0 9 * * *"}),
        ("a:b:::utc-3:30:5", {"name": "a:b", "tz": "utc-3:30", "cron": "5"}),
        ("n:user:42:::0 9 * * *", {"name": "n", "id": "user:42", "cron": "0 9 * * *"}),
        # These are no keys of a schedule.
        ("odd", {"name": "odd"}),
        ("", {"name": ""}),
        ("a:b:c:d", {"name": "a:b:c:d"}),
        ("a:b:5000", {"name": "a:b:5000"}),
    ],
)
def test_a_key_is_taken_apart(key: str, found: dict[str, Any]) -> None:
    assert said(key) == {"key": key, "next": 7} | found


names = st.text(max_size=12).map(lambda text: text.replace("\x00", ""))
plain_names = names.map(lambda text: text.replace(":", ""))


@given(
    name=names,
    job_id=st.none() | plain_names.filter(bool),
    end=st.none() | st.integers(1, 10**15),
    tz=st.sampled_from([None, "UTC", "Europe/Athens", "UTC+05:30"]),
    cron=st.sampled_from(["* * * * *", "@daily", "*/5 0 9 * * 1-5"]),
)
def test_a_key_of_cron_says_what_it_was_made_of(
    name: str, job_id: str | None, end: int | None, tz: str | None, cron: str
) -> None:
    name = name if job_id is None else name.replace(":", "")
    key = repeat_key(name, {"cron": cron, "tz": tz, "endDate": end, "jobId": job_id})
    given_parts = {"name": name, "id": job_id, "endDate": end, "tz": tz, "cron": cron}
    assert said(key) == {"key": key, "next": 7} | {k: v for k, v in given_parts.items() if v is not None}


@given(
    name=names,
    job_id=st.none() | plain_names.filter(bool),
    end=st.none() | st.integers(1, 10**15),
    every=st.integers(8, 10**12),
)
def test_a_key_of_every_says_what_it_was_made_of(
    name: str, job_id: str | None, end: int | None, every: int
) -> None:
    name = name if job_id is None else name.replace(":", "")
    key = repeat_key(name, {"every": every, "endDate": end, "jobId": job_id})
    given_parts = {"name": name, "id": job_id, "endDate": end, "every": every}
    assert said(key) == {"key": key, "next": 7} | {k: v for k, v in given_parts.items() if v is not None}


# --- Repeat


def test_options_are_stored_as_bull_stores_them() -> None:
    repeat = Repeat(
        cron="0 9 * * *",
        tz="Europe/Athens",
        limit=5,
        start_date=datetime(2026, 3, 1, 13, tzinfo=ZoneInfo("Asia/Riyadh")),
        end_date=datetime(2031, 1, 1, tzinfo=UTC),
        job_id="my",
    )
    assert repeat.to_bull() == {
        "cron": "0 9 * * *",
        "tz": "Europe/Athens",
        "limit": 5,
        "startDate": "2026-03-01T10:00:00.000Z",
        "endDate": "2031-01-01T00:00:00.000Z",
        "jobId": "my",
    }
    assert Repeat(every=1.5).to_bull() == {"every": 1500}
    assert Repeat(every=timedelta(hours=1), end_date=NOW).to_bull() == {"every": 3_600_000, "endDate": NOW}
    assert Repeat(cron="@daily", end_date="2031-01-01").to_bull() == {
        "cron": "@daily",
        "endDate": "2031-01-01",
    }


@pytest.mark.parametrize(
    "stored",
    [
        {
            "count": 1,
            "key": "nm::::0 9 * * *",
            "cron": "0 9 * * *",
            "tz": "Europe/Athens",
            "limit": 5,
            "utc": False,
        },
        {"count": 4, "key": "n:m:::5000", "every": 5000, "tz": "UTC", "limit": 4},
        {
            "cron": "0 9 * * *",
            "startDate": "2026-03-05T10:00:00",
            "endDate": 1_924_992_000_000,
            "jobId": "a:b",
        },
        {"every": 7563, "strange": {"a": [1]}},
        {"every": 0.25 * 8, "endDate": "2031-01-01"},
    ],
)
def test_what_bull_stored_comes_back_whole(stored: dict[str, Any]) -> None:
    assert Repeat.from_bull(stored).to_bull() == stored


def test_reading_bulls_form_leaves_out_what_has_no_effect() -> None:
    read = Repeat.from_bull({"every": 5000, "startDate": "2031-01-01", "limit": None, "jobId": 7, "cron": ""})
    assert read == Repeat(every=5, job_id="7")


def test_keys_that_have_no_option_are_kept_apart() -> None:
    repeat = Repeat.from_bull({"cron": "@daily", "utc": True})
    assert repeat.extra == {"utc": True}
    assert next_run(repeat.to_bull(), now_ms=NOW) == 1_772_409_600_000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "either cron or every, got neither"),
        ({"cron": "* * * * *", "every": 5}, "either cron or every, got both"),
        ({"cron": "* * * *  * * *"}, "has 7 fields"),
        ({"cron": "0 0 31 4,6 *"}, "never run"),
        ({"cron": ""}, "cron must be a text"),
        ({"cron": ["* * * * *"]}, "cron must be a text"),
        ({"cron": "* * * * *", "tz": "Bad/Zone"}, "no time zone 'Bad/Zone'"),
        ({"every": 5, "tz": "Bad/Zone"}, "no time zone 'Bad/Zone'"),
        ({"cron": "* * * * *", "tz": 3}, "tz must be a text"),
        ({"every": 0}, "at least 0.001"),
        ({"every": -5}, "at least 0.001"),
        ({"every": 0.0001}, "at least 0.001"),
        ({"every": float("nan")}, "at least 0.001"),
        ({"every": True}, "every must be seconds"),
        ({"every": "5"}, "every must be seconds"),
        ({"every": timedelta(0)}, "at least 0.001"),
        ({"every": 5, "limit": 0}, "limit must be a whole number of at least 1"),
        ({"every": 5, "limit": 1.5}, "limit must be a whole number"),
        ({"every": 5, "limit": True}, "limit must be a whole number"),
        ({"every": 5, "count": -1}, "count must be a whole number of at least 0"),
        ({"every": 5, "job_id": ""}, "job_id must be a text"),
        ({"every": 5, "start_date": NOW}, "start_date has no effect on every"),
        ({"every": 5, "end_date": "soon"}, "got 'soon'"),
        ({"every": 5, "end_date": datetime(2031, 1, 1)}, "has no zone"),  # noqa: DTZ001 - that is what is wrong
        ({"cron": "@daily", "start_date": NOW, "end_date": NOW}, "is not after start_date"),
        ({"cron": "@daily", "start_date": "2031-01-02", "end_date": "2031-01-01"}, "is not after start_date"),
        ({"every": 5, "extra": {"endDate": 5}}, "an option of its own"),
    ],
)
def test_bad_options_are_refused_when_given(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Repeat(**options)


@pytest.mark.parametrize("raw", [None, 5, "* * * * *", [], {"every": "x"}, {"cron": "x"}, {}, {"every": 0}])
def test_bulls_form_is_refused_when_it_is_no_schedule(raw: Any) -> None:
    with pytest.raises(OptionError):
        Repeat.from_bull(raw)
