"""Has jobs that are handed back at the end wait for each other: what goes together keeps its order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_NEXT_WITHIN = 2.0  # seconds

#: Seconds by which the event loop is late when it was blocked, or the process stopped: who was to come could not.
_BLOCKED = 0.2


class Gathering:
    """A wait that begins again with each job that comes.

    Args:
        most_s: seconds it may take in all.
        wake: called when it is time to ask again.
    """

    def __init__(self, most_s: float, wake: Callable[[], None]) -> None:
        self._most_s, self._wake = most_s, wake
        self._timer: asyncio.TimerHandle | None = None
        self._until, self._count = 0.0, 0

    def enough(self, count: int) -> bool:
        """Whether ``count`` jobs have waited long enough for more; begins the wait."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._until = loop.time() + self._most_s
        if self._timer is None or count != self._count:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(min(loop.time() + _NEXT_WITHIN, self._until), self._wake)
            self._count = count
        if (late := loop.time() - self._timer.when()) < 0:
            return False
        if late > _BLOCKED:
            self._until += late
            self._timer = loop.call_at(min(loop.time() + _NEXT_WITHIN, self._until), self._wake)
            return False
        self._timer = None
        return True
