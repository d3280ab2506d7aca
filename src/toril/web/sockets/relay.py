"""Events that workers in other processes publish, told to the clients of this one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import orjson

from toril.engine.server import Server
from toril.engine.subscription import Subscription
from toril.errors import QueueUnavailableError

log = logging.getLogger("toril.web.sockets")

#: Tells an event and its data to a room, or to all without one.
Tell = Callable[[str, Any, str | None], Awaitable[None]]

#: Messages that wait to be told; more come only when the process is too busy.
_MOST_WAITING: Final = 10_000


class Relay:
    """Listens on the channel of ``SocketEvents``, on a connection that comes back whatever happens to it.

    Of the messages that python-socketio's managers exchange it takes events only. That one process closes rooms or
    clients of another is nothing that whoever can publish should be able to do.

    Args:
        url, home: of the Redis server, as for ``Queue``.
        tell: sends to this process's clients.
    """

    def __init__(self, url: str | None, *, home: Path, channel: str, tell: Tell) -> None:
        self._tell = tell
        self._server = Server(url, home=home)
        self._channel = channel.encode()
        self._waiting: asyncio.Queue[tuple[str, Any, str | None]] = asyncio.Queue(_MOST_WAITING)
        self._subscription = Subscription(
            self._server, lambda: {self._channel}, self._receive, self._subscribed
        )
        self._heard_before = False
        self._telling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen; a server that is away is waited for."""
        self._telling = asyncio.create_task(self._tell_all(), name="toril-socket-relay")
        self._subscription.refresh()

    async def ready(self, within: float) -> bool:
        """Whether events are heard from now on; False when the server is not there ``within`` seconds."""
        try:
            await self._subscription.ready(within)
        except QueueUnavailableError:
            return False
        return True

    async def close(self) -> None:
        """Hear no more."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])
        await self._subscription.close()
        await self._server.close()

    def _subscribed(self) -> None:
        if self._heard_before:
            self._put("missed", {"of": "notifications"}, None)
        self._heard_before = True

    def _receive(self, _: bytes, payload: bytes) -> None:
        found = read_message(payload)
        if found is None:
            log.debug("socket_message_ignored", extra={"bytes": len(payload)})
        else:
            self._put(*found)

    def _put(self, event: str, data: Any, room: str | None) -> None:
        try:
            self._waiting.put_nowait((event, data, room))
        except asyncio.QueueFull:
            log.warning("socket_event_dropped: too many wait to be told", extra={"event": event})

    async def _tell_all(self) -> None:
        while True:
            event, data, room = await self._waiting.get()
            await self._tell(event, data, room)


def read_message(payload: bytes) -> tuple[str, Any, str | None] | None:
    """Event, data and room of a message as python-socketio's managers write it; None for anything else.

    Data are the single argument of the event, or a tuple of several.
    """
    try:
        message = orjson.loads(payload)
        if (
            message["method"] != "emit"
            or message.get("binary")
            or message.get("namespace") not in (None, "/")
        ):
            return None
        event, data, room = message["event"], message["data"], message.get("room")
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(event, str) or not isinstance(room, str | None):
        return None
    if isinstance(data, list):
        data = data[0] if len(data) == 1 else tuple(data)
    return event, data, room
