"""What anybody does in a queue, as the server's published messages tell it.

| event | job id | value |
| --- | --- | --- |
| waiting | yes | - |
| active | yes | - |
| stalled | yes | - |
| duplicated | yes | -, an add with an id that exists |
| debounced | yes: of the job that is kept | - |
| completed | yes | what the processor returned |
| failed | yes | the reason, a text or None; after the last attempt only |
| progress | yes | the progress |
| delayed | - | when a job comes due, ms since the epoch, maybe with a fraction |
| drained, paused, resumed | - | - |

Listeners of ``global:…`` get the job's id if there is one, then the value if there is one. Messages are not
kept by the server: what happens while there is no connection is not seen. Nothing may hang on an event alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from toril.engine.codec import to_text
from toril.engine.event_messages import TOKEN_EVENTS, read_message
from toril.engine.hooks import Hooks, Listener, Listeners
from toril.engine.keys import QueueKeys
from toril.engine.one_loop import OneLoop
from toril.engine.scripts.runner import PATIENCE
from toril.engine.server import Server
from toril.engine.subscription import Subscription
from toril.errors import QueueStateError, QueueUnavailableError

log = logging.getLogger("toril.queue")

EVENTS = (*TOKEN_EVENTS, "completed", "failed", "progress", "delayed", "drained", "paused", "resumed")

#: Told locally too when we are the sender, as Bull does; everything else local comes from whoever does it.
_OWN_EVENTS = ("waiting", "duplicated", "debounced")

_CANCEL = "toril:cancel"

#: Events a stream keeps for a reader who is slow; then the oldest go.
STREAM_LIMIT = 10_000

#: How a watched job ended: ("completed", return value as JSON text or None) or ("failed", reason or None).
Ending = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class QueueEvent:
    """One thing that happened in a queue; see the table above."""

    name: str
    job_id: str | None = None
    value: Any = None


class EventStream(AsyncIterator[QueueEvent]):
    """Events from now on, until the queue or the stream is closed."""

    def __init__(self, queue: str, limit: int = STREAM_LIMIT) -> None:
        self._queue = queue
        self._events: deque[QueueEvent] = deque(maxlen=limit)
        self._arrived = asyncio.Event()
        self._ended = False
        self._owner = OneLoop("this stream of events")
        self.dropped = 0  #: events lost because the reader was too slow

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> QueueEvent:
        self._owner.enter()
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._events.popleft()

    async def aclose(self) -> None:
        """End it; what has arrived can still be read."""
        self.end()

    def put(self, event: QueueEvent) -> None:
        """Add an event for the reader."""
        if len(self._events) == self._events.maxlen:
            if self.dropped == 0:
                log.warning("events_dropped: a reader of events is too slow", extra={"queue": self._queue})
            self.dropped += 1
        self._events.append(event)
        self._arrived.set()

    @property
    def open(self) -> bool:
        """Whether it takes events."""
        return not self._ended

    def end(self) -> None:
        """No more events come."""
        self._ended = True
        self._arrived.set()


class EventSubscriber:
    """Listens to a queue's channels, on a connection made when somebody first wants to hear something.

    Args:
        token: what our own messages carry; those about ``waiting``, ``duplicated`` and ``debounced`` are told
            to the local listeners too.
        hooks: the local listeners.
        ping_every, answer_within: see ``Subscription``.
    """

    def __init__(
        self,
        server: Server,
        keys: QueueKeys,
        token: str,
        hooks: Hooks,
        *,
        ping_every: float = 3.0,
        answer_within: float = 2.0,
    ) -> None:
        self._keys, self._hooks = keys, hooks
        self._own_tokens = {token.encode()}
        self._listeners = Listeners(keys.name, EVENTS)
        self._streams: WeakSet[EventStream] = WeakSet()
        self._watchers: dict[str, list[asyncio.Future[Ending]]] = {}
        self._due: list[Callable[[float], Any]] = []
        self._drained: list[Callable[[], Any]] = []
        self._cancelled: list[Callable[[str], Any]] = []
        self._reconnected: list[Callable[[], Any]] = []
        self._events = {keys.of(name).encode(): name for name in (*EVENTS, _CANCEL)}
        self._channels = {name: _channel(keys, name) for name in (*EVENTS, _CANCEL)}
        self._subscription = Subscription(
            server,
            self._wanted,
            self._receive,
            self._subscribed,
            ping_every=ping_every,
            answer_within=answer_within,
        )

    def on(self, event: str, listener: Listener) -> None:
        """Call ``listener`` (plain or async) at each such event in the queue, whoever causes it.

        Raises:
            OptionError: there is no such event.
        """
        self._listeners.on(event, listener)
        self.refresh()

    def off(self, event: str, listener: Listener) -> None:
        """Stop calling ``listener``; it is no error if it was not there."""
        self._listeners.off(event, listener)

    def speak_as(self, token: str) -> None:
        """Take messages with this token for our own too: a worker's, which promotes and takes jobs under it."""
        self._own_tokens.add(token.encode())

    def start_anew(self, token: str) -> None:
        """In a child process after a fork: listen for the same, and to what this process sends."""
        self._own_tokens = {token.encode()}
        self._watchers.clear()
        self._subscription.start_anew()

    def refresh(self) -> None:
        """Connect and subscribe to what is wanted and not yet subscribed; needs a running event loop."""
        self._subscription.refresh()

    def renew(self) -> None:
        """Listen on a new connection."""
        self._subscription.renew()

    async def ready(self, patience: float = PATIENCE) -> None:
        """Return once the server has confirmed the subscriptions: what happens from then on is heard.

        Raises:
            ServerRefusedError: it does not let us subscribe.
            QueueUnavailableError: not within ``patience`` seconds; the attempts go on.
        """
        await self._subscription.ready(patience)

    def stream(self) -> EventStream:
        """All events from now on. One that nobody holds any more is forgotten."""
        stream = EventStream(self._keys.name)
        self._streams.add(stream)
        try:
            self.refresh()
        except QueueStateError:
            self._streams.discard(stream)
            raise
        return stream

    @asynccontextmanager
    async def watch(self, job_id: str) -> AsyncIterator[asyncio.Future[Ending]]:
        """A future for how a job ends, if it ends from now on.

        Ask the server for the job's state inside: what ended before is not heard of. Nor is what ends while
        the connection is lost, so ask again from time to time.

        Raises:
            QueueUnavailableError: the server cannot be reached; from the future: the queue was closed.
        """
        future: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._watchers.setdefault(job_id, []).append(future)
        try:
            await self.ready()
            yield future
        finally:
            if (watchers := self._watchers.get(job_id)) is not None and future in watchers:
                watchers.remove(future)
                if not watchers:
                    del self._watchers[job_id]
            if not future.cancel() and not future.cancelled():
                future.exception()  # read, so that nobody warns of an error nobody asked for

    def on_delayed(self, call: Callable[[float], Any]) -> Callable[[], None]:
        """Call with the due time (ms) of each job that is delayed; returns what takes this back."""
        return self._add(self._due, call)

    def on_drained(self, call: Callable[[], Any]) -> Callable[[], None]:
        """Call each time somebody finds no job to take; returns what takes this back."""
        return self._add(self._drained, call)

    def on_cancel(self, call: Callable[[str], Any]) -> Callable[[], None]:
        """Call with the id of each job that somebody wants stopped; returns what takes this back."""
        return self._add(self._cancelled, call)

    def on_reconnect(self, call: Callable[[], Any]) -> Callable[[], None]:
        """Call each time a new connection has all subscriptions; returns what takes this back.

        What was published before may have been missed.
        """
        return self._add(self._reconnected, call)

    async def close(self) -> None:
        """End the connection, the streams and the watches."""
        await self._subscription.close()
        for stream in list(self._streams):
            stream.end()
        for future in [future for watchers in self._watchers.values() for future in watchers]:
            if not future.done():
                future.set_exception(QueueUnavailableError(f"queue {self._keys.name!r} was closed meanwhile"))
        await self._listeners.close()

    def _add(self, calls: list[Any], call: Any) -> Callable[[], None]:
        calls.append(call)
        self.refresh()

        def take_back() -> None:
            if call in calls:
                calls.remove(call)

        return take_back

    def _wanted(self) -> set[bytes]:
        if any(stream.open for stream in self._streams):
            wanted = set(EVENTS)
        else:
            wanted = {event for event in EVENTS if self._listeners.wanted(event)}
            wanted.update(event for event in _OWN_EVENTS if self._hooks.wanted(event))
            if self._watchers:
                wanted.update(("completed", "failed"))
            if self._due:
                wanted.add("delayed")
            if self._drained:
                wanted.add("drained")
        if self._cancelled:
            wanted.add(_CANCEL)
        return {self._channels[name] for name in wanted}

    def _receive(self, channel: bytes, payload: bytes) -> None:
        try:
            base, _, token = channel.partition(b"@")
            name = self._events.get(base)
            if name is None:  # a neighbour that the pattern matches too
                return
            if name == _CANCEL:
                self._call_all(self._cancelled, to_text(payload))
                return
            job_id, value, text = read_message(name, payload)
            event = QueueEvent(name, job_id, value)
            if name in _OWN_EVENTS and token in self._own_tokens:
                self._hooks.emit(name, job_id)
            if name == "delayed":
                self._call_all(self._due, value)
            elif name == "drained":
                self._call_all(self._drained)
            elif name in ("completed", "failed") and job_id in self._watchers:
                self._settle(job_id, (name, text))
            if self._listeners.wanted(name):
                self._listeners.emit(name, *_arguments(event))
            for stream in self._streams:
                if stream.open:
                    stream.put(event)
        except Exception as error:
            # Anybody can publish anything; one bad message must not end the reading of all others.
            log.warning(
                "event_unreadable: %s on %s",
                error,
                to_text(channel),
                extra={"queue": self._keys.name, "channel": to_text(channel)},
            )

    def _settle(self, job_id: str, ending: Ending) -> None:
        for future in self._watchers.pop(job_id):
            if not future.done():
                future.set_result(ending)

    def _subscribed(self) -> None:
        self._call_all(self._reconnected)

    def _call_all(self, calls: list[Callable[..., Any]], *arguments: Any) -> None:
        for call in tuple(calls):
            try:
                call(*arguments)
            except Exception:
                log.exception("listener_failed", extra={"queue": self._keys.name})


def _channel(keys: QueueKeys, name: str) -> bytes:
    """The channel of an event, or a pattern when senders put their token behind its name."""
    if name not in TOKEN_EVENTS:
        return keys.of(name).encode()
    escaped = "".join(f"\\{c}" if c in "*?[]\\" else c for c in keys.of(name))
    return f"{escaped}*".encode()


def _arguments(event: QueueEvent) -> tuple[Any, ...]:
    if event.job_id is None:
        return () if event.value is None else (event.value,)
    if event.name in ("completed", "failed", "progress"):
        return event.job_id, event.value
    return (event.job_id,)
