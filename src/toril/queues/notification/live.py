"""Events to people who are connected right now: from a worker, through Redis, to the Socket.IO servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Protocol

from toril.engine.connection import Connection
from toril.engine.link import ReplyError
from toril.engine.server import Server
from toril.errors import ConfigurationError, ServerRefusedError

#: The pub/sub channel; that of the servers must be the same. Redis has one space of channels for all its databases, so
#: installations that share a server need channels of their own.
CHANNEL: Final = "socketio"

_PATIENCE: Final = 3.0  #: seconds; the record is there already, so there is no use in waiting long


def user_room(user_id: str) -> str:
    """The room that a user's connections are in."""
    return f"user_{user_id}"


def firm_room(firm_id: str) -> str:
    """The room that the connections of a firm's users are in."""
    return f"firm_{firm_id}"


class LiveEvents(Protocol):
    """Tells whoever is connected; what nobody hears is lost."""

    async def emit(self, event: str, data: dict[str, Any], *, room: str) -> None:
        """Send one event to a room.

        Raises:
            TorilError: it could not be sent.
        """
        ...

    async def close(self) -> None:
        """Give the connection back. May be called twice."""
        ...


class SocketEvents:
    """Events for Toril's sockets, and for other servers of python-socketio that have an ``AsyncRedisManager``.

    The message is python-socketio's own, as its manager makes it. It travels on a connection of ours, because the
    manager's swallows every failure, and knows neither the embedded server nor how long to wait.

    Args:
        url, home: of the Redis server, as for ``Queue``.
        channel: that of the servers.

    Raises:
        ConfigurationError: python-socketio is not installed.
    """

    def __init__(self, url: str | None = None, *, home: Path | None = None, channel: str = CHANNEL) -> None:
        self.channel = channel
        self._server = Server(url, home=home)
        self._connection = Connection(self._server)
        self._manager = _manager(channel, self._publish)

    async def emit(self, event: str, data: dict[str, Any], *, room: str) -> None:
        """Send one event to a room; see ``LiveEvents.emit``.

        Raises:
            QueueUnavailableError: the server cannot be reached, or refuses.
            TypeError: ``data`` is not JSON.
        """
        await self._manager.emit(event, data, namespace="/", room=room)

    async def close(self) -> None:
        """Close the connection; may be called twice."""
        await self._connection.close()
        await self._server.close()

    async def _publish(self, message: dict[str, Any]) -> None:
        text = json.dumps(message, ensure_ascii=False)
        try:
            await self._connection.execute("PUBLISH", self.channel, text, patience=_PATIENCE, repeat=True)
        except ReplyError as error:
            raise ServerRefusedError(
                f"{self._server} does not let us publish on {self.channel!r}: {error}"
            ) from error


def _manager(channel: str, publish: Any) -> Any:
    try:
        from socketio import AsyncRedisManager  # type: ignore[import-untyped]  # here: few need it
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"live events need the package {error.name!r}: pip install 'toril[notification]'"
        ) from error

    class Manager(AsyncRedisManager):  # type: ignore[misc]
        """Makes messages as every manager does, and hands them to ``publish``; it never connects itself."""

        async def _publish(self, data: dict[str, Any]) -> None:
            await publish(data)

    return Manager(channel=channel, write_only=True)
