"""The scripts that read a queue."""

from __future__ import annotations

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.script_runs import Scripts, new_scripts

WINDOW = 512


def place_range(ids: list[str], start: int, stop: int) -> list[str]:
    """What a range is: both ends included, negative ones counted from the end."""
    total = len(ids)
    start = max(0, start + total) if start < 0 else start
    stop = stop + total if stop < 0 else stop
    return ids[start : stop + 1] if stop >= start else []


BOUND = st.one_of(st.integers(-720, 720), st.sampled_from([-1, 0, WINDOW - 1, WINDOW, 10**6, -(10**6)]))


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(bounds=st.lists(st.tuples(BOUND, BOUND, st.booleans()), min_size=5, max_size=5), paused=st.booleans())
def test_any_range_over_window_overflow_and_rest_is_right(
    overflowing: Scripts, bounds: list[tuple[int, int, bool]], paused: bool
) -> None:
    ids = ORDER[overflowing.keys.base]
    overflowing.run("pause", int(paused))
    for start, stop, asc in bounds:
        expected = place_range(ids if asc else ids[::-1], start, stop)
        assert (
            overflowing.run("list_ids", "paused" if paused else "waiting", start, stop, int(asc)) == expected
        )
        assert overflowing.run("list_ids", "waiting" if paused else "paused", start, stop, int(asc)) == []


#: Base of the keys → ids in the order of service.
ORDER: dict[str, list[str]] = {}


@pytest.fixture
def overflowing(client: redis.Redis) -> Scripts:
    """Window, overflow and unprioritised jobs, all in use."""
    scripts = new_scripts(client)
    scripts.beat()
    rest = scripts.add(*[0] * 40)
    prioritised = scripts.add(*[2] * (WINDOW + 140))
    ORDER[scripts.keys.base] = prioritised + rest
    return scripts


@pytest.mark.parametrize("state", ["delayed", "completed", "failed", "active"])
@pytest.mark.parametrize("asc", [0, 1])
def test_ranges_of_other_states_count_the_same_way(scripts: Scripts, state: str, asc: int) -> None:
    names = [f"j{number:02}" for number in range(10)]
    if state == "active":
        scripts.client.lpush(scripts.keys.of(state), *names)
    else:
        scripts.client.zadd(scripts.keys.of(state), {name: place for place, name in enumerate(names)})
    ordered = names if asc else names[::-1]
    for start, stop in ((0, -1), (2, 4), (-3, -1), (-300, 99_999), (5, 3), (11, 20)):
        assert scripts.run("list_ids", state, start, stop, asc) == place_range(ordered, start, stop)


def test_the_order_is_told_right_while_jobs_are_put_back(scripts: Scripts) -> None:
    scripts.beat()
    ids = scripts.add(*[2] * 2000)
    scripts.client.delete(scripts.keys.of("toril:workers"))
    ids += scripts.add(2)  # puts back some of the overflow
    assert 0 < len(scripts.overflow()) < 2000 - WINDOW
    assert scripts.waiting() == ids


def test_counts_of_priorities_include_the_overflow(overflowing: Scripts) -> None:
    overflowing.add(1, 1, 3)
    assert overflowing.run("count_priorities", 0, 1, 2, 3, 4) == [40, 2, WINDOW + 140, 1, 0]


def test_counts_tell_where_the_overflow_belongs(overflowing: Scripts) -> None:
    total = WINDOW + 180
    assert overflowing.run("count_jobs") == [total, 0, 0, 0, 0, 0]
    overflowing.run("pause", 1)
    assert overflowing.run("count_jobs") == [0, 0, 0, 0, 0, total]
