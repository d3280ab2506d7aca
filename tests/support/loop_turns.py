"""How long a piece of work keeps everybody else waiting, told in a way that does not depend on the machine.

What counts is processor time, not the clock, and it is compared with work of known size that is done on the same
machine at about the same time: a busy or slow machine makes both longer.
"""

from __future__ import annotations

import asyncio
import asyncio.events
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: Parsing it takes 40 to 80 ms on the machines that the limits were found on.
_YARDSTICK: Final = json.dumps({f"field{number}": number for number in range(100_000)})

#: How many times the yardstick is half a second there.
HALF_A_SECOND: Final = 6.0

#: Times that something is tried before it counts as slow: a neighbour on the same core may cost one of them.
_TRIES: Final = 3


@dataclass(slots=True)
class Turns:
    """Attributes:
    longest: seconds of processor time of the event loop's longest turn.
    work: seconds of processor time of all threads together.
    """

    longest: float = 0.0
    work: float = 0.0


@contextmanager
def watched() -> Iterator[Turns]:
    """Watch the turns of the event loop that runs in this thread."""
    turns = Turns()
    run = asyncio.events.Handle._run  # type: ignore[attr-defined]

    def timed(handle: Any) -> None:
        began = time.thread_time()
        try:
            run(handle)
        finally:
            turns.longest = max(turns.longest, time.thread_time() - began)

    began = time.process_time()
    asyncio.events.Handle._run = timed  # type: ignore[attr-defined]
    try:
        yield turns
    finally:
        asyncio.events.Handle._run = run  # type: ignore[attr-defined]
        turns.work = time.process_time() - began


#: Seconds for which a measurement of the yardstick is good.
_GOOD_FOR: Final = 3.0

_measured: tuple[float, float] = (0.0, -_GOOD_FOR)


def yardstick(*, fresh: bool = False) -> float:
    """Seconds of processor time that work of a known size takes now, or took just before."""
    global _measured
    if fresh or time.monotonic() - _measured[1] > _GOOD_FOR:
        began = time.thread_time()
        json.loads(_YARDSTICK)
        _measured = (time.thread_time() - began, time.monotonic())
    return _measured[0]


async def keeps_nobody_waiting(what: str, do: Callable[[], Awaitable[T]]) -> T:
    """Do it, and return its result.

    Raises:
        AssertionError: it kept the event loop for half a second, or all threads together for a second: threads that
            run Python keep the others waiting too.
    """
    told = ""
    for _ in range(_TRIES):
        with watched() as turns:
            # In a task of its own: the turn that is under way began before anybody watched.
            result = await asyncio.ensure_future(do())
        unit = yardstick(fresh=bool(told))
        if turns.longest < HALF_A_SECOND * unit and turns.work < 2 * HALF_A_SECOND * unit:
            return result
        told = (
            f"{what}: a turn of {turns.longest / unit:.1f} and {turns.work / unit:.1f} in all, {HALF_A_SECOND:g} "
            f"being half a second ({turns.longest:.2f} s now)"
        )
    raise AssertionError(told)
