"""Not asking a server again and again that is known to be away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from toril.errors import QueueUnavailableError

#: Seconds during which nobody asks after a failure; then one request does, and the rest still get their answer at once.
PAUSE: Final = 1.0


class StillAwayError(QueueUnavailableError):
    """The server was away a moment ago, so this request did not ask it."""


class Breaker:
    """Refuses at once while the queue server is away, so that requests do not queue up behind attempts to connect.

    Args:
        connected: whether a connection to the server stands at this moment.
    """

    def __init__(self, connected: Callable[[], bool]) -> None:
        self._connected = connected
        self._away = False
        self._asked_at = 0.0

    def check(self) -> None:
        """Let this request through, or not.

        Raises:
            StillAwayError: the server was away a moment ago.
        """
        if not self._away:
            return
        if self._connected():
            self._away = False
            return
        now = time.monotonic()
        if now < self._asked_at + PAUSE:
            raise StillAwayError("the queue server was away a moment ago")
        self._asked_at = now  # this request asks, the others wait for what it finds

    def failed(self) -> None:
        """A request could not reach the server."""
        self._away, self._asked_at = True, time.monotonic()
