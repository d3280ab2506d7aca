"""When to leave a provider alone that is away, and when to ask it again."""

from __future__ import annotations

import time
from collections.abc import Callable


class Circuit:
    """Closed while the provider works. Some faults in a row open it; after a while one call tries again.

    Args:
        opens_after: faults in a row.
        rest: seconds until the next try; twice as long after each try that fails, up to ``longest``.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        opens_after: int = 3,
        rest: float = 30.0,
        longest: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.opens_after, self.rest, self.longest = opens_after, rest, longest
        self._clock = clock
        self._faults = 0
        self._open_until: float | None = None

    def lets_through(self) -> bool:
        """Whether to ask the provider. Of those who wait for the end of a rest, one is told yes."""
        if self._open_until is None:
            return True
        if self._clock() < self._open_until:
            return False
        # Until this one knows, the others stay away.
        self._open_until = self._clock() + self.rest
        return True

    def works(self) -> None:
        """The provider answered as one that works."""
        self._faults, self._open_until = 0, None

    def fails(self, *, rest: float | None = None) -> None:
        """It did not.

        Args:
            rest: seconds until it can work again, where that is known; then the circuit opens at once.
        """
        self._faults += 1
        over = self._faults - self.opens_after
        if rest is not None:
            self._open_until = self._clock() + rest
        elif over >= 0:
            self._open_until = self._clock() + min(self.rest * 2.0 ** min(over, 20), self.longest)
