"""How long to wait before the next attempt."""

from __future__ import annotations

import asyncio
import inspect
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from toril.errors import OptionError

#: A custom strategy: (attempts made, error, the backoff's own options) → milliseconds; -1 fails the job now.
BackoffStrategy = Callable[[int, BaseException, Any], float | Awaitable[float]]

#: Seconds a custom strategy may think: meanwhile its job holds a slot of the worker.
STRATEGY_WITHIN_S = 30.0

_LONGEST_MS = 365 * 86_400_000.0


def seconds(value: float | timedelta, what: str) -> float:
    """A duration as seconds.

    Raises:
        OptionError: it is not a finite number of at least 0.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(f"{what} must be seconds (a number or a timedelta), got {value!r}")
    if not 0 <= value < 1e11:
        raise OptionError(f"{what} must be at least 0 seconds and finite, got {value!r}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Wait between attempts. Make one with ``Backoff.fixed``, ``.exponential`` or ``.custom``.

    Attributes:
        type: ``fixed``, ``exponential``, or the name of a strategy given to the worker.
        delay: seconds; the unit the strategy starts from.
        jitter: 0..1, the share of the wait that is drawn at random, so that failures do not return in step.
        longest: seconds; no wait is longer. Node's Bull knows neither jitter nor this and ignores both.
        options: handed to a custom strategy.
    """

    type: str
    delay: float = 0.0
    jitter: float = 0.0
    longest: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        seconds(self.delay, "backoff delay")
        if not isinstance(self.type, str) or not self.type:
            raise OptionError(f"backoff type must be a text such as 'exponential', got {self.type!r}")
        if not 0 <= self.jitter <= 1:
            raise OptionError(f"backoff jitter must be from 0 to 1, got {self.jitter!r}")
        if self.longest is not None:
            seconds(self.longest, "backoff longest")

    @classmethod
    def fixed(cls, delay: float | timedelta, *, jitter: float = 0.0) -> Backoff:
        """The same wait before each attempt."""
        return cls(type="fixed", delay=seconds(delay, "backoff delay"), jitter=jitter)

    @classmethod
    def exponential(
        cls, delay: float | timedelta, *, jitter: float = 0.0, longest: float | timedelta | None = None
    ) -> Backoff:
        """``delay`` × 1, 3, 7, 15, … (2ⁿ - 1, as Bull computes it)."""
        most = None if longest is None else seconds(longest, "backoff longest")
        return cls(type="exponential", delay=seconds(delay, "backoff delay"), jitter=jitter, longest=most)

    @classmethod
    def custom(cls, name: str, **options: Any) -> Backoff:
        """A strategy registered with ``Worker(backoff_strategies={name: fn})``."""
        return cls(type=name, options=options)

    def to_bull(self) -> dict[str, Any]:
        """As Bull stores it, in milliseconds."""
        bull: dict[str, Any] = {"type": self.type}
        if self.type in ("fixed", "exponential") or self.delay:
            bull["delay"] = to_ms(self.delay)
        if self.jitter:
            bull["jitter"] = self.jitter
        if self.longest is not None:
            bull["longest"] = to_ms(self.longest)
        if self.options:
            bull["options"] = dict(self.options)
        return bull

    @classmethod
    def from_bull(cls, raw: Any) -> Backoff:
        """Read Bull's form: a number of milliseconds, or an object with ``type`` and ``delay``.

        Raises:
            OptionError: neither of them.
        """
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            return cls.fixed(raw / 1000)
        if not isinstance(raw, Mapping):
            raise OptionError(f"backoff must be milliseconds or an object with type and delay, got {raw!r}")
        unknown = sorted(set(raw) - {"type", "delay", "jitter", "longest", "options"})
        if unknown:
            raise OptionError(
                f"backoff has no option {unknown[0]!r}; it takes type, delay, jitter, longest, options"
            )
        for name in ("delay", "jitter", "longest"):
            value = raw.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise OptionError(f"backoff {name} must be a number, got {value!r}")
        longest = raw.get("longest")
        return cls(
            type=raw.get("type", "fixed"),
            delay=(raw.get("delay") or 0) / 1000,
            jitter=raw.get("jitter") or 0.0,
            longest=None if longest is None else longest / 1000,
            options=raw.get("options") or {},
        )


def to_ms(value: float | timedelta) -> int | float:
    """Seconds as milliseconds; whole numbers stay whole, as JSON and Redis show them."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    ms = value * 1000
    return round(ms) if abs(ms - round(ms)) < 1e-6 else ms


def bounded_ms(wait: float) -> float:
    """A wait that a score can hold.

    Raises:
        OptionError: it is NaN.
    """
    if math.isnan(wait):
        raise OptionError(
            "the backoff is NaN; it must be a number of milliseconds, or -1 for no further attempt"
        )
    return min(wait, _LONGEST_MS)


async def wait_ms(
    raw: Any,
    attempts_made: int,
    error: BaseException,
    strategies: Mapping[str, BackoffStrategy],
) -> float:
    """Milliseconds until the next attempt, for a job's stored ``backoff``.

    Args:
        raw: the stored option; anything but an object with a known ``type`` is an error, as in Bull.
        attempts_made: failures so far, this one included; at least 1.

    Returns:
        0 for at once, -1 for no further attempt.

    Raises:
        OptionError: the strategy is not known.
        TimeoutError: a custom strategy gave no answer in time.
    """
    if raw is None:
        return 0.0
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return bounded_ms(float(raw))
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    if (strategy := strategies.get(str(kind))) is not None:
        answer = strategy(attempts_made, error, raw.get("options"))
        return bounded_ms(float(await _within(answer, kind) if inspect.isawaitable(answer) else answer))
    if kind not in ("fixed", "exponential"):
        raise OptionError(
            f"Unknown backoff strategy {kind}. If a custom backoff strategy is used, give it to the worker: "
            "Worker(…, backoff_strategies={name: function})"
        )
    assert isinstance(raw, Mapping)
    wait = float(raw.get("delay") or 0)
    if kind == "exponential":
        # 2**1023 is the last power a float holds; every cap lies far below.
        wait = float(round(bounded_ms((2.0 ** min(attempts_made, 1000) - 1) * wait)))
    wait = min(bounded_ms(wait), float(raw.get("longest") or _LONGEST_MS))
    if jitter := float(raw.get("jitter") or 0):
        wait -= wait * jitter * random.random()  # noqa: S311 - jitter
    return wait


async def _within(answer: Awaitable[float], kind: Any) -> float:
    # A task, since a strategy that swallows its cancelling could not be left by `asyncio.timeout`.
    task = asyncio.ensure_future(_answer_of(answer))
    try:
        done, _ = await asyncio.wait({task}, timeout=STRATEGY_WITHIN_S)
    finally:
        task.cancel()
    if not done:
        raise TimeoutError(f"the backoff strategy {kind!r} gave no answer within {STRATEGY_WITHIN_S:g} s")
    return task.result()


async def _answer_of(answer: Awaitable[float]) -> float:
    try:
        return await answer
    except (KeyboardInterrupt, SystemExit) as error:  # a task would end the whole event loop with these
        raise RuntimeError(f"the backoff strategy raised {type(error).__name__}") from error
