"""What belongs to one event loop, and says so to another.

Tasks, futures and transports of asyncio live in one loop. Touched from another thread they do not fail: they hang, as
nobody wakes the loop that waits.
"""

from __future__ import annotations

import asyncio

from toril.errors import QueueStateError


class OneLoop:
    """The event loop that something belongs to: the first that uses it, until that one is closed.

    Args:
        what: belongs to it, for the error.
    """

    __slots__ = ("_what", "loop")

    def __init__(self, what: str) -> None:
        self._what = what
        self.loop: asyncio.AbstractEventLoop | None = None

    def enter(self) -> bool:
        """Belong to the running loop; whether there was another before, which is closed now.

        Raises:
            QueueStateError: it belongs to another loop, which is not closed.
        """
        loop = asyncio.get_running_loop()
        former, self.loop = self.loop, self.loop or loop
        if former is loop or former is None:
            return False
        if not former.is_closed():
            raise self.refusal()
        self.loop = loop
        return True

    def check(self) -> None:
        """Be called from the loop it belongs to, or while that does not run.

        Raises:
            QueueStateError: that loop runs, in another thread.
        """
        if self.loop is None or not self.loop.is_running():
            return
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is not self.loop:
            raise self.refusal()

    def refusal(self) -> QueueStateError:
        """The error for another loop."""
        return QueueStateError(
            f"{self._what} is used in another event loop, which goes on; make a queue for each, or use "
            "toril.sync.Queue, which all threads can share"
        )
