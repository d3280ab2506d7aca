"""SIGTERM, SIGINT and SIGHUP for all workers of a process: each is told, and it has until the last is closed."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from toril.engine.stop_deadline import StopDeadline

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(eq=False, slots=True)
class Stoppable:
    """One of those who are told.

    Attributes:
        grace: seconds that its jobs get.
        stop: called at the first signal.
        hurry: called at each further one.
        running: how many jobs run.
        goes_on: whether there is something left at the end that could keep the process.
        signals: how many it has been told of.
    """

    grace: float
    stop: Callable[[], None]
    hurry: Callable[[], None]
    running: Callable[[], int]
    goes_on: Callable[[], bool]
    signals: int = field(default=0, init=False)

    def tell(self, number: signal.Signals) -> None:
        """A signal has come."""
        if number is signal.SIGHUP and self.signals:
            return  # a terminal that is closed may say so twice, itself and through its shell
        self.signals += 1
        if self.signals == 1:
            self.stop()
        else:
            self.hurry()


class _Listening:
    """The signal handlers of an event loop, while anybody is to be told."""

    def __init__(self, first: Stoppable) -> None:
        self.loop = asyncio.get_running_loop()
        self.told: list[Stoppable] = []
        self._all: list[Stoppable] = []
        self._deadline = StopDeadline(first.grace, lambda: sum(each.running() for each in self._all))
        self._end = ExitStack()
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN or number is not signal.SIGHUP:
                self.loop.add_signal_handler(number, self._hear, number)
                self._end.callback(self.loop.remove_signal_handler, number)
        self._end.enter_context(
            self._deadline.watching(goes_on=lambda: any(each.goes_on() for each in self._all))
        )

    def add(self, who: Stoppable) -> None:
        self.told.append(who)
        self._all.append(who)
        self._deadline.allow(who.grace)

    def remove(self, who: Stoppable) -> None:
        self.told.remove(who)
        if not self.told:
            self._end.close()

    def _hear(self, number: signal.Signals) -> None:
        for who in tuple(self.told):
            who.tell(number)


_listening: _Listening | None = None


@contextmanager
def telling(who: Stoppable) -> Iterator[None]:
    """Tell it of signals meanwhile. Only the main thread can hear any."""
    global _listening
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if _listening is None or _listening.loop is not asyncio.get_running_loop():
        _listening = _Listening(who)
    ours = _listening
    ours.add(who)
    try:
        yield
    finally:
        ours.remove(who)
        if _listening is ours and not ours.told:
            _listening = None
