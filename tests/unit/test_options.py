from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.engine.backoff import Backoff
from toril.engine.options import Debounce, JobOptions, Keep, OptionArguments, keep_policy
from toril.engine.repeat import Repeat
from toril.errors import OptionError


def test_options_become_bulls_names_and_milliseconds() -> None:
    options = JobOptions(
        attempts=5,
        backoff=Backoff.exponential(2),
        delay=timedelta(seconds=1.5),
        priority=3,
        timeout=60,
        lifo=True,
        job_id="order-7",
        remove_on_complete=Keep(count=10, age=3600),
        remove_on_fail=True,
        stack_trace_limit=2,
        debounce=Debounce("d", 5),
        timestamp=datetime(2026, 3, 1, tzinfo=UTC),
    )
    assert options.to_bull() == {
        "attempts": 5,
        "backoff": {"type": "exponential", "delay": 2000},
        "delay": 1500,
        "priority": 3,
        "timeout": 60_000,
        "lifo": True,
        "jobId": "order-7",
        "removeOnComplete": {"age": 3600, "count": 10},
        "removeOnFail": True,
        "stackTraceLimit": 2,
        "debounce": {"id": "d", "ttl": 5000},
        "timestamp": 1772323200000,
    }


def test_only_what_was_given_is_written() -> None:
    assert JobOptions().to_bull() == {}
    assert JobOptions(attempts=1, remove_on_fail=False).to_bull() == {"attempts": 1, "removeOnFail": False}


def test_a_number_is_a_fixed_backoff() -> None:
    assert JobOptions(backoff=5).to_bull()["backoff"] == {"type": "fixed", "delay": 5000}


def test_a_moment_is_a_delay_from_now() -> None:
    delay = JobOptions(delay=datetime.now(UTC) + timedelta(seconds=10)).to_bull()["delay"]
    assert 9_000 < delay <= 10_000
    assert JobOptions(delay=datetime(2020, 1, 1, tzinfo=UTC)).to_bull()["delay"] == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"attempts": 0}, "attempts must be from 1"),
        ({"attempts": "3"}, "attempts must be a whole number"),
        ({"attempts": True}, "attempts must be a whole number"),
        ({"attempts": 1.5}, "attempts must be a whole number"),
        ({"delay": -1}, "delay must be at least 0"),
        ({"delay": float("nan")}, "delay must be at least 0"),
        ({"delay": "5"}, "delay must be seconds"),
        ({"delay": datetime(2026, 1, 1)}, "with a time zone"),  # noqa: DTZ001
        ({"priority": -1}, "priority must be from 0"),
        ({"priority": 2**21}, "priority must be from 0"),
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"lifo": 1}, "lifo must be True or False"),
        ({"job_id": "wait"}, "reserved"),
        ({"job_id": 7}, "job_id must be a text"),
        ({"remove_on_complete": -1}, "remove_on_complete must be from 0"),
        ({"remove_on_fail": "yes"}, "remove_on_fail must be a whole number"),
        ({"backoff": -1}, "backoff must be at least 0"),
        ({"backoff": "exponential"}, "backoff must be seconds"),
        ({"repeat": {"cron": "* * * * *"}}, "repeat must be a Repeat"),
        ({"debounce": "d"}, "debounce must be a Debounce"),
        ({"expires": -5}, "expires must be at least 0"),
        ({"stack_trace_limit": -1}, "stack_trace_limit must be from 0"),
        ({"atempts": 3}, "did you mean 'attempts'"),
        ({"removeOnComplete": True}, "did you mean 'remove_on_complete'"),
        ({"zzz": 1}, "unknown option 'zzz'; known:"),
        ({"extra": {}}, "unknown option 'extra'"),
    ],
)
def test_bad_options_are_refused_with_their_name(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        JobOptions.from_dict(options)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"atempts": 3}, "did you mean 'attempts'"),
        ({"delay": -5}, "delay must be at least 0"),
        ({"delay": "5"}, "delay must be a number of milliseconds"),
        ({"backoff": "50"}, "backoff must be milliseconds or an object"),
        ({"backoff": {"type": "fixed", "dely": 5}}, "no option 'dely'"),
        ({"backoff": {"type": "fixed", "delay": "5"}}, "backoff delay must be a number"),
        ({"removeOnComplete": "yes"}, "removeOnComplete must be true, false"),
        ({"removeOnFail": {}}, "removeOnFail must be true, false"),
        ({"repeat": {"cron": "nonsense"}}, "nonsense"),
        ({"debounce": {}}, "debounce must be an object with id"),
        ([], "options must be an object"),
        ({"timestamp": 1e18}, "timestamp must be a moment in ms"),
        ({"timestamp": float("nan")}, "timestamp must be a moment in ms"),
        ({"expiresAt": 10**20}, "expiresAt must be a moment in ms"),
    ],
)
def test_bad_options_in_bulls_form_are_refused(raw: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        JobOptions.from_bull(raw)


def test_unknown_options_are_carried_when_asked() -> None:
    options = JobOptions.from_bull({"attempts": 2, "custom": [1]}, strict=False)
    assert options.to_bull() == {"attempts": 2, "custom": [1]}


def test_nulls_mean_not_given() -> None:
    assert JobOptions.from_bull({"removeOnComplete": None, "delay": None}).to_bull() == {}


_keep = st.one_of(
    st.booleans(),
    st.integers(0, 1000),
    st.builds(Keep, count=st.integers(0, 100), age=st.none() | st.integers(0, 10_000)),
)
_options = st.builds(
    JobOptions,
    attempts=st.none() | st.integers(1, 100),
    backoff=st.none()
    | st.builds(Backoff.exponential, st.integers(0, 1000), jitter=st.sampled_from([0.0, 0.5, 1.0])),
    delay=st.none() | st.integers(0, 10**6),
    priority=st.none() | st.integers(0, 2**21 - 1),
    timeout=st.none() | st.integers(1, 10**6),
    lifo=st.none() | st.booleans(),
    remove_on_complete=st.none() | _keep,
    remove_on_fail=st.none() | _keep,
    repeat=st.none() | st.builds(lambda n: Repeat(every=n), st.integers(1, 10**6)),
    debounce=st.none() | st.builds(Debounce, st.text("ab", min_size=1), st.none() | st.integers(1, 100)),
)


@given(_options)
def test_bulls_form_read_back_is_the_same(options: JobOptions) -> None:
    bull = options.to_bull()
    assert JobOptions.from_bull(bull).to_bull() == bull


@pytest.mark.parametrize(
    ("raw", "policy"),
    [
        (None, (-1, -1)),
        (False, (-1, -1)),
        (True, (0, -1)),
        (0, (0, -1)),
        (5, (5, -1)),
        ({"age": 7}, (-1, 7)),
        ({"count": 5}, (5, -1)),
        ({"age": 7, "count": 5}, (5, 7)),
        ({"count": 0}, (0, -1)),
        ("yes", (0, -1)),
        ({}, (-1, -1)),
    ],
)
def test_keep_policies_mean_what_bull_means(raw: Any, policy: tuple[int, int]) -> None:
    assert keep_policy(raw) == policy


def test_keep_needs_a_bound() -> None:
    with pytest.raises(OptionError, match="count, age or both"):
        Keep()
    with pytest.raises(OptionError, match="at least 0"):
        Keep(count=-1)


def test_type_checkers_are_told_the_same_options() -> None:
    fields = {field.name: field.type for field in dataclasses.fields(JobOptions) if field.name != "extra"}
    assert OptionArguments.__annotations__.keys() == fields.keys()
    assert {name: ref.__forward_arg__ for name, ref in OptionArguments.__annotations__.items()} == fields
