"""Being asked to stop: once for an orderly end, twice for a quick one, three times for one on the spot."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from toril.cli.streams import flush_or_drop

#: Seconds the interpreter gets to end once all is closed.
_END_WITHIN = 2.0


class StopRequests:
    """Counts the requests to stop.

    Args:
        heard: called with the count at each.
    """

    def __init__(self, heard: Callable[[int], None]) -> None:
        self._heard = heard
        self._events = (asyncio.Event(), asyncio.Event())
        self.count = 0

    def ask(self) -> None:
        """One more request."""
        self.count += 1
        if self.count <= len(self._events):
            self._events[self.count - 1].set()
        self._heard(self.count)

    async def wait(self, count: int) -> None:
        """Return when there have been this many, 1 or 2."""
        await self._events[count - 1].wait()

    @property
    def urgent(self) -> bool:
        """Whether there was more than one."""
        return self.count > 1

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as requests meanwhile, and a SIGHUP that is not ignored (``nohup``) as the first."""
        loop = asyncio.get_running_loop()
        taken = {signal.SIGINT: self.ask, signal.SIGTERM: self.ask}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            taken[signal.SIGHUP] = self._ask_first
        for number, handler in taken.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in taken:
                loop.remove_signal_handler(number)

    def _ask_first(self) -> None:
        """A terminal that is closed may say so twice, itself and through its shell: nobody is in a hurry."""
        if self.count == 0:
            self.ask()


def end_now(code: int) -> NoReturn:
    """End the process without waiting for anybody."""
    flush_or_drop()
    os._exit(code)


def see_to_the_end(code: int, stuck: Callable[[list[str]], None]) -> None:
    """Let the process end with ``code`` even if threads of stopped jobs, which nobody can end, would keep it.

    Args:
        stuck: called with the names of such threads before the process ends without them.
    """

    def end() -> None:
        others = [each for each in threading.enumerate() if each is not threading.main_thread()]
        stuck([each.name for each in others if not each.daemon])
        end_now(code)

    timer = threading.Timer(_END_WITHIN, end)
    timer.daemon = True
    timer.start()
