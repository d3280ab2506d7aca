"""What the engine announces, and who listens: local events, logging, metrics and traces plug in here.

| event | arguments |
| --- | --- |
| waiting | job id: this queue object added it, or promoted or retried it |
| active | job |
| progress | job id, value |
| completed | job, return value |
| failed | job (None if it is gone), error; after every failed attempt, and not when a job is put off |
| retrying | job, error, wait (ms) |
| stalled | job id |
| lock_lost | job |
| lock_extension_failed | job ids, error |
| drained | - |
| paused, resumed | - |
| removed | job id |
| cleaned | list of job ids, state |
| duplicated, debounced | job id |
| error | error |

``waiting``, ``duplicated`` and ``debounced`` come back from the server, like the events of ``toril.engine.events``:
``await queue.subscriber.ready()`` before the first of them must not be missed.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from toril.engine.event_log import LEVELS, log, log_event
from toril.errors import OptionError

EVENTS = (
    "waiting",
    "active",
    "progress",
    "completed",
    "failed",
    "retrying",
    "stalled",
    "lock_lost",
    "lock_extension_failed",
    "drained",
    "paused",
    "resumed",
    "removed",
    "cleaned",
    "duplicated",
    "debounced",
    "error",
)

Listener = Callable[..., Any]

#: Seconds that listeners get to end when a queue is closed.
CLOSE_WITHIN = 10.0


class Listeners:
    """Who is called at which event. A listener that fails is logged and harms nobody.

    Args:
        queue: name of the queue, for the log.
        events: names of all events there are.
    """

    def __init__(self, queue: str, events: Sequence[str]) -> None:
        self._queue, self._events = queue, events
        self._listeners: defaultdict[str, list[Listener]] = defaultdict(list)
        self._tasks: set[asyncio.Task[Any]] = set()

    def check(self, name: str) -> str:
        """An event's name; Bull's spelling with hyphens is read too.

        Raises:
            OptionError: there is no such event.
        """
        event = name.replace("-", "_")
        if event not in self._events:
            near = get_close_matches(event, self._events, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"events: {', '.join(self._events)}"
            raise OptionError(f"there is no event {name!r}; {hint}")
        return event

    def on(self, event: str, listener: Listener) -> None:
        """Call ``listener`` (plain or async) at each ``event``."""
        self._listeners[self.check(event)].append(listener)

    def off(self, event: str, listener: Listener) -> None:
        """Stop calling ``listener``; it is no error if it was not there."""
        listeners = self._listeners[self.check(event)]
        if listener in listeners:
            listeners.remove(listener)

    def wanted(self, event: str) -> bool:
        """Whether anybody listens, so that callers can spare the work of telling."""
        return bool(self._listeners.get(event))

    def emit(self, event: str, *arguments: Any) -> None:
        """Tell the listeners; async ones run as tasks of their own."""
        if listeners := self._listeners.get(event):
            self._call(event, listeners, arguments)

    def _call(self, event: str, listeners: list[Listener], arguments: tuple[Any, ...]) -> None:
        for listener in tuple(listeners):
            try:
                outcome = listener(*arguments)
            except BaseException:
                self._report(event)
                continue
            if inspect.isawaitable(outcome):
                task = asyncio.ensure_future(self._await(event, outcome))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Let async listeners that still run end; those that take too long are cancelled.

        One of them may be who closes, and is not waited for then.
        """
        deadline = time.monotonic() + CLOSE_WITHIN
        while others := self._tasks - {asyncio.current_task()}:
            left = deadline - time.monotonic()
            if left <= 0:
                log.warning("listener_stopped", extra={"queue": self._queue, "count": len(others)})
                for task in others:
                    task.cancel()
                await asyncio.wait(others, timeout=1)
                return
            await asyncio.wait(others, timeout=left)

    async def _await(self, event: str, outcome: Any) -> None:
        try:
            await outcome
        except (Exception, KeyboardInterrupt, SystemExit):  # these two would end the event loop
            self._report(event)

    def _report(self, event: str) -> None:
        log.exception("listener_failed", extra={"queue": self._queue, "event": event})


class Hooks(Listeners):
    """Listeners of one queue's local events, and the log of them."""

    def __init__(self, queue: str) -> None:
        super().__init__(queue, EVENTS)

    def wanted(self, event: str) -> bool:
        """Whether anybody listens or the event is logged, so that callers can spare the work of telling."""
        return log.isEnabledFor(LEVELS[event]) or bool(self._listeners.get(event))

    def emit(self, event: str, *arguments: Any) -> None:
        """Log the event and tell the listeners; async ones run as tasks of their own."""
        if log.isEnabledFor(LEVELS[event]):
            log_event(self._queue, event, arguments)
        if listeners := self._listeners.get(event):
            self._call(event, listeners, arguments)
