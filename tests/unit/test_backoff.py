from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toril.engine.backoff import Backoff, seconds, to_ms, wait_ms
from toril.errors import OptionError

ERROR = RuntimeError("x")


@pytest.mark.parametrize(
    ("raw", "made", "expected"),
    [
        (None, 1, 0),
        (250, 3, 250),
        ({"type": "fixed", "delay": 500}, 1, 500),
        ({"type": "fixed", "delay": 500}, 9, 500),
        ({"type": "exponential", "delay": 1000}, 1, 1000),
        ({"type": "exponential", "delay": 1000}, 2, 3000),
        ({"type": "exponential", "delay": 1000}, 3, 7000),
        ({"type": "exponential", "delay": 1000}, 4, 15000),
        ({"type": "exponential", "delay": 1000, "longest": 5000}, 4, 5000),
        ({"type": "exponential"}, 4, 0),
    ],
)
async def test_waits_are_bulls(raw: Any, made: int, expected: float) -> None:
    assert await wait_ms(raw, made, ERROR, {}) == expected


@given(made=st.integers(1, 10**6), delay=st.integers(1, 10**6), jitter=st.floats(0, 1))
async def test_jitter_only_shortens_and_nothing_overflows(made: int, delay: int, jitter: float) -> None:
    full = await wait_ms({"type": "exponential", "delay": delay}, made, ERROR, {})
    drawn = await wait_ms({"type": "exponential", "delay": delay, "jitter": jitter}, made, ERROR, {})
    assert full * (1 - jitter) - 1e-6 * full <= drawn <= full
    assert full <= 366 * 86_400_000


async def test_custom_strategies_get_attempts_error_and_options() -> None:
    seen = []

    def strategy(made: int, error: BaseException, options: Any) -> float:
        seen.append((made, error, options))
        return 42

    raw = Backoff.custom("mine", step=3).to_bull()
    assert await wait_ms(raw, 2, ERROR, {"mine": strategy}) == 42
    assert seen == [(2, ERROR, {"step": 3})]


async def test_custom_strategies_may_be_async_and_shadow_the_built_in() -> None:
    async def strategy(made: int, error: BaseException, options: Any) -> float:
        return -1

    assert await wait_ms({"type": "fixed", "delay": 5}, 1, ERROR, {"fixed": strategy}) == -1


@pytest.mark.parametrize("raw", ["50", {"type": "mine"}, {}, [1]])
async def test_unknown_strategies_are_named(raw: Any) -> None:
    with pytest.raises(OptionError, match="Unknown backoff strategy"):
        await wait_ms(raw, 1, ERROR, {})


def test_durations_are_seconds_and_become_whole_milliseconds() -> None:
    assert to_ms(1.5) == 1500
    assert isinstance(to_ms(0.1 + 0.2), int)
    assert to_ms(0.0015) == 1.5
    for bad in (-1, True, "1", float("inf"), float("nan"), None):
        with pytest.raises(OptionError):
            seconds(bad, "delay")  # type: ignore[arg-type]


def test_backoff_options_are_checked() -> None:
    with pytest.raises(OptionError, match="jitter"):
        Backoff.fixed(1, jitter=2)
    with pytest.raises(OptionError, match="delay"):
        Backoff.fixed(-1)
    with pytest.raises(OptionError, match="type"):
        Backoff(type="")
