"""From a URL to connections that come back: the server's address, and one connection per role.

A queue uses up to three connections: *shared* for scripts, *blocking* for the idle wait of a worker, and a
*subscriber* for events. Each is a ``Connection`` that reconnects by itself with capped backoff.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from toril.engine.embedded import EmbeddedServer
from toril.engine.embedded_disk import Disk
from toril.engine.link import PASSING_ERRORS, Address, Argument, ConnectionLostError, Link, ReplyError
from toril.engine.sentinel import SCHEMES, find_primary, read_sentinel_url
from toril.engine.waiting import comes_within
from toril.errors import (
    OptionError,
    QueueStateError,
    QueueUnavailableError,
    ServerRefusedError,
    ServerVersionError,
)

log = logging.getLogger("toril.connection")

#: Oldest versions whose commands the scripts use (LMOVE, RPOP with a count).
OLDEST_REDIS, OLDEST_VALKEY = (6, 2), (7, 2)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds between attempts to connect

#: Seconds a command may take before its connection is given up.
ANSWER_WITHIN = 60.0

_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def parse_address(url: str, password: str | None = None) -> Address:
    """Read ``redis://``, ``rediss://`` (TLS), ``unix://`` or ``redis+sentinel://`` URLs.

    Args:
        url: as redis-py reads it: user, password, host, port and database; for TLS also the query parameters
            ``ssl_cert_reqs`` (none, optional, required), ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``.
            With ``redis+sentinel://`` (``rediss+sentinel://`` for TLS) the hosts of one or more sentinels with
            commas between, and the service's name before the database; see ``sentinel``.
        password: used when the URL has none.

    Raises:
        OptionError: the URL cannot be read.
    """
    from redis.asyncio.connection import parse_url  # here: it takes most of what importing Toril would take

    try:
        split = urlsplit(url)
        if split.scheme in SCHEMES:
            return _sentinel_address(split, password)
        parts: dict[str, Any] = dict(parse_url(url))
        database = split.path.strip("/")
        if database and not database.isdigit() and not parts.get("path"):  # redis-py would take it for 0
            raise ValueError(f"database {database!r} is not a number")
        tls = _tls_context(parts) if url.startswith("rediss://") else None
        return Address(
            host=parts.get("host") or "localhost",
            port=int(parts.get("port") or 6379),
            path=parts.get("path"),
            db=int(parts.get("db") or 0),
            username=parts.get("username"),
            password=parts.get("password") or password,
            tls=tls,
            connect_timeout=float(parts.get("socket_connect_timeout") or 5.0),
        )
    except (ValueError, TypeError, OSError, KeyError) as error:
        shown = re.sub(r"password=[^&]*", "password=***", re.sub(r"//[^@/]*@", "//***@", url))
        raise OptionError(
            f"server URL {shown!r} cannot be used ({error}); write redis://[user:password@]host:port/db, "
            "rediss://… for TLS, unix:///path/to/socket?db=0, or redis+sentinel://host:port,host:port/service/db"
        ) from error


def _sentinel_address(url: SplitResult, password: str | None) -> Address:
    query: dict[str, Any] = dict(parse_qsl(url.query))
    found = read_sentinel_url(url, query)
    return Address(
        **{**found, "password": found["password"] or password},
        tls=_tls_context(query) if url.scheme.startswith("rediss") else None,
        connect_timeout=float(query.get("socket_connect_timeout") or 5.0),
    )


def _tls_context(parts: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=parts.get("ssl_ca_certs"))
    verify = str(parts.get("ssl_cert_reqs", "required"))
    if verify != "required" or str(parts.get("ssl_check_hostname", "true")).lower() in ("false", "0", "no"):
        context.check_hostname = False
    context.verify_mode = _VERIFY[verify]
    if parts.get("ssl_certfile"):
        context.load_cert_chain(parts["ssl_certfile"], parts.get("ssl_keyfile"))
    return context


class Server:
    """The server behind a queue: the one a URL names, or the embedded one of this machine.

    Args:
        url: ``redis://…``; without it ``REDIS_URL`` counts, and without that the embedded server is used.
        home: folder of the embedded server (``TORIL_HOME``, else ``.toril``).
    """

    def __init__(self, url: str | None = None, *, home: Path | None = None) -> None:
        self._url = url or os.environ.get("REDIS_URL") or None
        self._home = home
        self._embedded: EmbeddedServer | None = None
        self._address: Address | None = None
        self._moved: Address | None = None  #: the node of a cluster that has the queue
        self.disk: Disk | None = None  #: where the embedded server keeps its data, once connected
        self._starting = asyncio.Lock()
        self._checked = False
        self.version = ""  #: as the server tells it, once connected
        self.is_cluster = False  #: one node of several, once connected
        if self._url:
            self._address = parse_address(self._url, os.environ.get("REDIS_PASSWORD") or None)

    def __str__(self) -> str:
        return str(self._address) if self._address else "the embedded server"

    async def open_link(self, on_message: Callable[[list[Any]], None] | None = None) -> Link:
        """Open one connection; starts or joins the embedded server if need be.

        Raises:
            QueueUnavailableError: not reachable, or refused; ``ServerVersionError`` if it is too old.
        """
        async with self._starting:
            if self._address is None:
                if self._embedded is None:
                    self._embedded = await EmbeddedServer.acquire(self._home)
                    self.disk = Disk(self._embedded.home)
                self._address = parse_address(self._embedded.url)
        try:
            link = await Link.open(await self._present(self._address), on_message=on_message)
        except QueueUnavailableError:
            self._moved = None
            if self._embedded is None:
                raise
            await self._embedded.ensure_running()
            self._address = parse_address(self._embedded.url)
            link = await Link.open(self._address, on_message=on_message)
        if not self._checked and on_message is None:
            await self._check(link)
            self._checked = True
        return link

    def follow(self, moved: ReplyError) -> None:
        """Connect from now on to the node of a cluster that has our keys, as ``MOVED slot host:port`` tells."""
        host, _, port = str(moved).split()[2].rpartition(":")
        if self._address is not None:
            now = self._moved or self._address
            self._moved = replace(now, host=host or now.host, port=int(port), sentinels=())

    async def _present(self, address: Address) -> Address:
        if self._moved is not None:
            return self._moved
        return await find_primary(address) if address.sentinels else address

    async def close(self) -> None:
        """Let the embedded server go; it stops when nobody else uses it."""
        embedded, self._embedded = self._embedded, None
        if embedded is not None:
            self._address = None
            await embedded.release()

    async def _check(self, link: Link) -> None:
        try:
            info = _parse_info(await link.send("INFO"))
        except ReplyError as error:  # an account without INFO: nothing to check with
            log.info("server_not_checked", extra={"server": str(self), "reason": str(error)})
            return
        self.is_cluster = info.get("redis_mode", info.get("server_mode")) == "cluster"
        fork = "valkey" if "valkey_version" in info else "redis"
        self.version = f"{fork} {info.get(f'{fork}_version', '0')}"
        oldest = OLDEST_VALKEY if fork == "valkey" else OLDEST_REDIS
        found = tuple(int(part) for part in re.findall(r"\d+", self.version)[:2])
        if found < oldest:
            link.close()
            raise ServerVersionError(
                f"{self} is {self.version}; Toril needs Redis {OLDEST_REDIS[0]}.{OLDEST_REDIS[1]} or Valkey "
                f"{OLDEST_VALKEY[0]}.{OLDEST_VALKEY[1]}, or newer. Upgrade the server, or unset REDIS_URL to use "
                "the embedded one"
            )
        policy = info.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            log.warning(
                "eviction_policy_loses_jobs: maxmemory-policy is %s on %s, so a full server deletes jobs; "
                "set it to noeviction",
                policy,
                self,
                extra={"server": str(self), "maxmemory_policy": policy},
            )


def _parse_info(reply: bytes) -> dict[str, str]:
    rows = (row.partition(":") for row in reply.decode(errors="replace").splitlines() if ":" in row)
    return {name: value for name, _, value in rows}


class Connection:
    """A connection that is made when first used and made again when lost.

    Args:
        on_link: called with each new link before anything else uses it (to name it, or to subscribe again).
        on_message: makes it a subscriber; see ``Link``.

    Attributes:
        answer_within: seconds a command may take, unless its caller gives another number.
    """

    def __init__(
        self,
        server: Server,
        *,
        on_link: Callable[[Link], Any] | None = None,
        on_message: Callable[[list[Any]], None] | None = None,
    ) -> None:
        self.server = server
        self.answer_within = ANSWER_WITHIN
        self._on_link, self._on_message = on_link, on_message
        self._link: Link | None = None
        self._connecting = asyncio.Lock()
        self._closed = asyncio.Event()
        self._lost_since: float | None = None
        self._away = ""  #: why the server cannot be reached
        self._loop: asyncio.AbstractEventLoop | None = None

    async def execute(
        self,
        *command: Argument,
        patience: float = 10.0,
        repeat: bool = False,
        answer_within: float | None = None,
    ) -> Any:
        """Send a command and return its reply (bytes, int, None or lists of them).

        Args:
            patience: seconds to go on trying to reach the server.
            repeat: send again if the connection is lost before the reply came; only for commands that do no
                harm twice.
            answer_within: seconds after which a server that does not answer is taken for lost: a network that
                swallows packets must not leave anybody deaf.

        Raises:
            QueueUnavailableError: the server was not there within ``patience``.
            ConnectionLostError: lost after sending, and ``repeat`` is off: it may have been carried out.
            ReplyError: the server's own error.
        """
        deadline = time.monotonic() + patience
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._enter(loop)
        while True:
            link = self._link
            if link is None or link.lost:
                link = await self.ready(deadline)
            alarm = loop.call_later(answer_within or self.answer_within, link.close)
            try:
                return await link.send(*command)
            except ConnectionLostError:
                if not repeat or time.monotonic() >= deadline:
                    raise
            except ReplyError as error:
                if error.kind not in PASSING_ERRORS:
                    raise
                if error.kind == "MOVED":
                    self.server.follow(error)
                if error.kind in ("READONLY", "MOVED"):  # a fail-over: the address may lead elsewhere now
                    link.close()
                if time.monotonic() + pause >= deadline:
                    raise QueueUnavailableError(f"{self.server} cannot serve now: {error}") from error
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter
                pause = min(pause * 2, _LONGEST_PAUSE)
            finally:
                alarm.cancel()

    async def ready(self, deadline: float) -> Link:
        """A live link, made if need be; keeps trying until ``deadline`` (monotonic seconds)."""
        if (loop := asyncio.get_running_loop()) is not self._loop:
            self._enter(loop)
        left = deadline - time.monotonic()
        # Whoever tries to connect may have all the time in the world; we do not.
        if not await comes_within(self._connecting.acquire(), None if left == math.inf else max(left, 0)):
            raise QueueUnavailableError(self._away or f"{self.server} cannot be reached")
        try:
            pause = _FIRST_PAUSE
            while True:
                if self._closed.is_set():
                    raise QueueUnavailableError(f"this connection to {self.server} was closed")
                if self._link is not None and not self._link.lost:
                    return self._link
                try:
                    self._link = await self._open()
                    return self._link
                except (ServerVersionError, ServerRefusedError):
                    raise
                except QueueUnavailableError as error:
                    self._note_lost(error)
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise
                    wait = min(pause * random.uniform(0.5, 1), left)  # noqa: S311 - jitter
                    pause = min(pause * 2, _LONGEST_PAUSE)
                await comes_within(self._closed.wait(), wait)
        finally:
            self._connecting.release()

    @property
    def live(self) -> Link | None:
        """The link if it stands at this moment."""
        return self._link if self._link is not None and not self._link.lost else None

    async def close(self) -> None:
        """End the connection for good; calls that wait for it get an error."""
        self._closed.set()
        link, self._link = self._link, None
        if link is not None and self._loop is asyncio.get_running_loop():
            link.close()
            await link.wait_closed()

    def start_anew(self) -> None:
        """Forget the present link without a word to the server: it belongs to a parent process, or to an event
        loop that has ended."""
        self._link = self._loop = self._lost_since = None
        self._connecting = asyncio.Lock()
        if not self._closed.is_set():
            self._closed = asyncio.Event()

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            if not self._loop.is_closed():
                raise QueueStateError(
                    f"this connection to {self.server} is used in another event loop, which goes on; make a queue "
                    "for each, or use toril.sync.Queue, which all threads can share"
                )
            self.start_anew()
        self._loop = loop

    async def _open(self) -> Link:
        link = await self.server.open_link(self._on_message)
        try:
            if self._on_link is not None:
                await self._on_link(link)
        except BaseException:
            link.close()
            raise
        if self._lost_since is not None:
            away = time.monotonic() - self._lost_since
            log.info("server_back", extra={"server": str(self.server), "away_s": round(away, 3)})
            self._lost_since = None
        return link

    def _note_lost(self, error: Exception) -> None:
        self._away = str(error)
        if self._lost_since is None:  # once for each outage
            self._lost_since = time.monotonic()
            log.warning("server_away: %s", error, extra={"server": str(self.server), "reason": str(error)})
