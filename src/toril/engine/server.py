"""The server behind a queue: where it is now, and the links to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakSet

from toril.engine.address import parse_address
from toril.engine.embedded import EmbeddedServer
from toril.engine.embedded_disk import Disk
from toril.engine.link import Address, Argument, Link, ReplyError
from toril.engine.sentinel import find_primary
from toril.engine.server_check import check_server
from toril.engine.waiting import comes_within
from toril.errors import QueueUnavailableError, TorilError


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
        self._links: WeakSet[Link] = WeakSet()  #: to the embedded server
        self._starting = asyncio.Lock()
        self._checked = False
        self.version = ""  #: as the server tells it, once connected
        self.is_cluster = False  #: one node of several, once connected
        if self._url:
            self._address = parse_address(self._url, os.environ.get("REDIS_PASSWORD") or None)

    @property
    def url(self) -> str | None:
        """The URL it was named by; None for the embedded server."""
        return self._url

    @property
    def home(self) -> Path | None:
        """The folder of the embedded server, if one was given."""
        return self._home

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
                    loop = asyncio.get_running_loop()
                    self._embedded = await EmbeddedServer.acquire(
                        self._home, gone=lambda: self._tell_gone(loop)
                    )
                    self.disk = Disk(self._embedded.home)
                else:
                    await self._embedded.ensure_running()
                self._address = parse_address(self._embedded.url)
        address = self._address
        try:
            link = await Link.open(await self._present(address), on_message=on_message)
        except QueueUnavailableError:
            self._moved = None
            if self._embedded is None:
                raise
            await self._embedded.ensure_running()
            self._address = parse_address(self._embedded.url)
            link = await Link.open(self._address, on_message=on_message)
        if not self._checked and on_message is None:
            try:
                if not await comes_within(self._check(link), address.connect_timeout):
                    raise QueueUnavailableError(f"no answer from {self} within {address.connect_timeout:g} s")
            except BaseException:
                link.close()
                raise
            self._checked = True
        if self._embedded is not None:
            self._links.add(link)
        return link

    def _tell_gone(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop has ended, and its links with it
            loop.call_soon_threadsafe(self._leave_gone)

    def _leave_gone(self) -> None:
        """The home was deleted or moved: be led anew, to the server that is where it should be."""
        self._address = None
        for link in tuple(self._links):
            link.close()

    def follow(self, moved: ReplyError) -> None:
        """Connect from now on to the node of a cluster that has our keys, as ``MOVED slot host:port`` tells."""
        self._moved = self._node(moved)

    async def ask_there(self, moving: ReplyError, command: tuple[Argument, ...]) -> Any:
        """The reply to a command from the node that ``ASK slot host:port`` tells of; it is getting our keys.

        Raises:
            QueueUnavailableError: it cannot be reached; ``ConnectionLostError`` if it was lost after sending.
            ReplyError: its own error.
        """
        link = await Link.open(self._node(moving))
        try:
            asking, answer = link.send("ASKING"), link.send(*command)
            await asyncio.wait([asking, answer])
            asking.exception()  # then the command is led away again
            return answer.result()
        finally:
            link.close()

    def _node(self, told: ReplyError) -> Address:
        host, _, port = str(told).split()[2].rpartition(":")
        now = self._moved or self._address
        assert now is not None  # who was answered has an address
        return replace(now, host=host or now.host, port=int(port), sentinels=())

    async def _present(self, address: Address) -> Address:
        if self._moved is not None:
            return self._moved
        return await find_primary(address) if address.sentinels else address

    async def answers(self) -> bool:
        """Whether a new connection gets an answer at this moment; starts nothing."""
        if self._address is None:
            return False
        try:
            link = await Link.open(await self._present(self._address))
        except TorilError:
            return False
        link.close()
        return True

    async def close(self) -> None:
        """Let the embedded server go; it stops when nobody else uses it."""
        embedded, self._embedded = self._embedded, None
        if embedded is not None:
            self._address = None
            await embedded.release()

    async def _check(self, link: Link) -> None:
        facts = await check_server(link, self)
        self.version, self.is_cluster = facts.version, facts.is_cluster
