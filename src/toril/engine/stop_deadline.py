"""Ends a process that was asked to stop and does not, whatever runs in it.

An orderly end needs the event loop. A job can hold it: with a call that blocks, a loop without an ``await``, a regular
expression that never ends. So the request is heard and timed beside the loop:

- in a thread, which the C half of Python's signal handling wakes by a socket although the main thread is held;
- in the main thread, for what holds the interpreter's lock and looks for signals now and then, as regular
  expressions do. That arms a timer of ``faulthandler``, which needs no lock, shortly behind the thread's.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final, NoReturn

log = logging.getLogger("toril.worker")

#: Seconds beyond the grace period in which stopped jobs may clean up, and what ended is recorded.
MARGIN_S = 10.0
#: Seconds after a second request to stop.
HURRY_S = 6.0
#: After a third one, which the event loop answers by itself unless it is held.
_AT_ONCE_S = 0.3
_BACKSTOP_S = 2.0

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # where the loop has a handler for them
_FAILED, _INTERRUPTED = 1, 130  # exit codes
_STDERR: Final = 2


class StopDeadline:
    """From the first SIGTERM or SIGINT on, the process has the grace period and ``MARGIN_S`` to end.

    Args:
        grace: seconds that running jobs get.
        running: how many jobs run, for the log.
    """

    def __init__(self, grace: float, running: Callable[[], int]) -> None:
        self._grace, self._running = grace, running
        self._ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        self._forward = -1  # where the event loop reads of signals
        self._deadline = math.inf  # monotonic
        self._armed = False
        self._requests = 0

    @contextlib.contextmanager
    def watching(self, *, goes_on: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Watch meanwhile. Enter it when the loop's own signal handlers are in place.

        Args:
            goes_on: whether there is something left at the end that could keep the process; then the watch goes on.
        """
        in_main = threading.current_thread() is threading.main_thread()
        handlers = {
            number: handler
            for number in (_SIGNALS if in_main else ())
            if callable(handler := signal.getsignal(number))
        }
        if in_main:
            self._forward = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
            for number, handler in handlers.items():
                signal.signal(number, self._beside(handler))
                signal.siginterrupt(number, False)
        threading.Thread(target=self._watch, name="toril-stop-deadline", daemon=True).start()
        try:
            yield
        finally:
            if in_main:
                if (now := signal.set_wakeup_fd(self._forward)) != self._theirs.fileno():
                    signal.set_wakeup_fd(now)  # somebody else took it over meanwhile
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                    signal.siginterrupt(number, False)
            if not (self._armed and goes_on()):
                self._call_off()

    def allow(self, grace: float) -> None:
        """Let the grace period be no shorter than this, for jobs of others; before the first signal."""
        self._grace = max(self._grace, grace)

    def begin(self) -> None:
        """Begin to count, as after a signal. May be called twice."""
        self._arm(self._grace + MARGIN_S)
        with contextlib.suppress(OSError):
            self._theirs.send(b"\0")

    def _beside(self, handler: Any) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            self._arm(self._grace + MARGIN_S)
            handler(number, frame)

        return handle

    def _arm(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        if deadline < self._deadline:
            self._deadline, self._armed = deadline, True
            faulthandler.dump_traceback_later(seconds + _BACKSTOP_S, exit=True, file=_STDERR)

    def _call_off(self) -> None:
        if self._armed:
            faulthandler.cancel_dump_traceback_later()
        self._theirs.close()  # which ends the thread

    def _watch(self) -> None:
        with self._ours:
            while True:
                left = self._deadline - time.monotonic()
                self._ours.settimeout(None if left == math.inf else max(0.01, left))
                try:
                    data = self._ours.recv(64)
                except TimeoutError:
                    self._end()
                if not data:
                    return
                self._hear(data)

    def _hear(self, data: bytes) -> None:
        for number in data:
            # A closed terminal may say so several times; only a person repeats the others.
            if number in _SIGNALS and not (number == signal.SIGHUP and self._requests):
                self._requests += 1
                left = (self._grace + MARGIN_S, HURRY_S, _AT_ONCE_S)[min(self._requests, 3) - 1]
                self._arm(left)
        if self._forward >= 0 and (signals := data.replace(b"\0", b"")):
            with contextlib.suppress(OSError):  # full: it will look anyway; closed: the loop has ended
                os.write(self._forward, signals)

    def _end(self) -> NoReturn:
        code = _INTERRUPTED if self._requests > 1 else _FAILED
        log.error(
            "stop_deadline_passed: jobs did not stop in time, so the process ends without them; they run again when "
            "they are found stalled",
            extra={"running": self._running(), "grace": self._grace, "main_thread_at": _main_thread_at()},
        )
        os._exit(code)


def _main_thread_at() -> str:
    """Where the main thread is, which tells who holds the event loop."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    if frame is None:
        return "nowhere"
    where = traceback.extract_stack(frame)[-1]
    return f"{where.filename}:{where.lineno} in {where.name}"
