"""One connection to the server: commands out, replies in, in order.

The queue's hot path is one script call at a time, so what a round trip costs in Python decides its speed. This
link writes and parses with hiredis straight on an asyncio transport: about 15 µs a round trip, where the
general-purpose client of redis-py takes 70-120 µs. Addresses are parsed by redis-py.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl as ssl_module
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import hiredis

from toril.errors import OptionError, QueueUnavailableError, ServerRefusedError

Argument = str | bytes | int | float

#: Errors that pass: a server that starts, fails over, runs somebody's long script, has a full disk (MISCONF) or
#: too few replicas.
PASSING_ERRORS = frozenset(
    {"LOADING", "BUSY", "READONLY", "MASTERDOWN", "MISCONF", "NOREPLICAS"}
    | {"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"}  # a cluster: the queue is elsewhere, or on its way there
)

#: How a script tells what a command in it answered: before Redis 7, and when the script took steps back first.
_IN_SCRIPT = re.compile(
    r"ERR Error running script .*@user_script: ?\d+: -?([A-Z]{3,}) |ERR ([A-Z]{3,}) .*@user_script:"
)


class ReplyError(Exception):
    """The server answered a command with an error; the text is the server's, ``kind`` its first word."""

    @property
    def kind(self) -> str:
        text = str(self)
        if found := _IN_SCRIPT.match(text):
            return found[1] or found[2]
        return text.partition(" ")[0]


class ConnectionLostError(QueueUnavailableError):
    """The connection went away; commands without an answer may or may not have been carried out."""

    code = "connection_lost"


class AnswerLateError(ConnectionLostError):
    """No answer within the caller's patience; the connection stands, and the server is slow, or away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server is, and as whom to sign in."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None  #: unix socket; then host and port are not used
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: ssl_module.SSLContext | None = None
    connect_timeout: float = 5.0  #: seconds
    sentinels: tuple[tuple[str, int], ...] = ()  #: who to ask for host and port, if they are not known
    sentinel_account: tuple[str | None, str | None] = (None, None)  #: user and password there
    service: str = ""  #: what the sentinels call the server

    def __str__(self) -> str:
        """The address for people: without the password."""
        if self.path:
            return f"unix://{self.path}?db={self.db}"
        if self.sentinels:
            hosts = ",".join(f"{host}:{port}" for host, port in self.sentinels)
            return f"{'rediss' if self.tls else 'redis'}+sentinel://{hosts}/{self.service}/{self.db}"
        return f"{'rediss' if self.tls else 'redis'}://{self.host}:{self.port}/{self.db}"


class Link(asyncio.Protocol):
    """A connection that answers commands in order; once lost it stays lost.

    Any number of commands may be under way (pipelined). ``on_message`` takes what arrives without having been
    asked for, which is how published messages come in.
    """

    def __init__(self, on_message: Callable[[list[Any]], None] | None = None) -> None:
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=...)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._on_message = on_message
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._closed = self._loop.create_future()
        self.heard = 0  #: how often something came in
        self.lost = False
        self.overdue = False  #: somebody gave up waiting for an answer, and nothing has come since

    @classmethod
    async def open(cls, address: Address, *, on_message: Callable[[list[Any]], None] | None = None) -> Link:
        """Connect and sign in.

        Raises:
            QueueUnavailableError: nobody listens there, or the server refuses the password or database.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(address.connect_timeout):
                if address.path:
                    _, link = await loop.create_unix_connection(lambda: cls(on_message), address.path)
                else:
                    _, link = await loop.create_connection(
                        lambda: cls(on_message), address.host, address.port, ssl=address.tls
                    )
                try:
                    await link._sign_in(address)
                except BaseException:
                    link.close()
                    raise
        except TimeoutError as error:
            raise QueueUnavailableError(
                f"no answer from {address} within {address.connect_timeout:g} s"
            ) from error
        except OSError as error:
            if isinstance(error, QueueUnavailableError):
                raise
            raise QueueUnavailableError(f"cannot connect to {address}: {error.strerror or error}") from error
        return link

    async def _sign_in(self, address: Address) -> None:
        try:
            if address.password is not None:
                user = (address.username,) if address.username else ()
                await self.send("AUTH", *user, address.password)
            if address.db:
                await self.send("SELECT", address.db)
            await self.send("PING")
        except ReplyError as error:
            kind = QueueUnavailableError if _passes(error) else ServerRefusedError
            raise kind(_refusal(address, error)) from error

    @property
    def unsent(self) -> int:
        """Bytes that the system has not yet taken over to send."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, *command: Argument) -> asyncio.Future[Any]:
        """Write one command now; the future gets its reply, ``ReplyError`` or ``ConnectionLostError``.

        Raises:
            OptionError: a text in it is not Unicode; nothing was sent.
        """
        try:
            # Before anybody waits: a command that cannot be written must not take the answer of the next.
            packed = hiredis.pack_command(command)  # type: ignore[arg-type]
        except UnicodeEncodeError as error:
            raise OptionError(f"a text cannot be sent to the server: {error}") from None
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.lost or self._transport is None:
            future.set_exception(ConnectionLostError("the connection to the server is closed"))
            return future
        self._waiting.append(future)
        self._transport.write(packed)
        return future

    def post(self, *command: Argument) -> None:
        """Write a command whose answers arrive as messages (SUBSCRIBE and its kin)."""
        if self._transport is not None and not self.lost:
            self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type]

    def close(self) -> None:
        """End the connection; what waits for a reply gets ``ConnectionLostError``."""
        if self._transport is not None:
            self._transport.abort()
        self._lose(None)

    async def wait_closed(self) -> None:
        """Return when the transport has been let go."""
        await asyncio.shield(self._closed)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked: the transports of uvloop are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=1 << 30)
        keep_alive(transport)

    def data_received(self, data: bytes) -> None:
        self.heard += 1
        self.overdue = False
        self._reader.feed(data)
        waiting, gets = self._waiting, self._reader.gets
        while (reply := gets()) is not ...:
            if self._on_message is not None and not waiting:
                self._on_message(reply)
                continue
            if not waiting:
                continue
            future = waiting.popleft()
            if future.done():  # its caller was cancelled; the reply is nobody's
                continue
            if isinstance(reply, ReplyError):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(error)
        if not self._closed.done():
            self._closed.set_result(None)

    def _lose(self, error: Exception | None) -> None:
        self.lost = True
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                reason = f": {error}" if error else ""
                future.set_exception(ConnectionLostError(f"the connection to the server was lost{reason}"))


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let the system find out about a peer that has gone without a word, within some 20 seconds.

    The calls have limits of their own, which are shorter; this is for connections on which nobody waits.
    """
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    options: list[tuple[int, str, int]] = [
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 10),  # seconds
        (socket.IPPROTO_TCP, "TCP_KEEPALIVE", 10),  # the same on macOS
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 3),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 20_000),  # ms in which what was sent has to be confirmed
    ]
    for level, name, value in options:
        if (number := getattr(socket, name, None)) is not None:
            with contextlib.suppress(OSError):  # a system that knows the name only
                connection.setsockopt(level, number, value)


def _passes(error: ReplyError) -> bool:
    return error.kind in PASSING_ERRORS or "max number of clients" in str(error)


def _refusal(address: Address, error: ReplyError) -> str:
    hints = {
        "NOAUTH": "it wants a password: set REDIS_PASSWORD, or put it in the URL",
        "WRONGPASS": "check REDIS_PASSWORD, or the user and password in the URL",
        "NOPERM": "the user lacks the rights; give it all commands on the queue's keys and channels",
    }
    passing = "it passes by itself; try again shortly" if _passes(error) else None
    hint = passing or hints.get(
        error.kind, "check the password, the database number and the server's settings"
    )
    return f"{address} refuses the connection ({error}); {hint}"
