"""A connection whose subscriptions stay, whatever happens to it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection
from typing import Any

from toril.engine.connection import Connection
from toril.engine.link import PASSING_ERRORS, Link, ReplyError
from toril.engine.one_loop import OneLoop
from toril.engine.scripts.runner import PATIENCE
from toril.engine.server import Server
from toril.engine.silence import leads_nowhere
from toril.engine.waiting import comes_within
from toril.errors import QueueUnavailableError, ServerRefusedError

log = logging.getLogger("toril.connection")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0  # seconds between attempts to subscribe again


class Subscription:
    """Keeps channels subscribed: connects when the first is wanted, and again each time the connection goes.

    A peer that has gone without a word is found out: when nothing came in for a while, the server is asked,
    and has to answer in time.

    Args:
        wanted: gives the channels wanted now; a name that ends with ``*`` is a pattern.
        receive: called with each message's channel and payload. It must not raise.
        subscribed: called each time all channels are confirmed on a new connection. What was published
            before, while there was none, is lost.
        ping_every: seconds of silence after which the server is asked for a sign of life.
        answer_within: seconds it has to give one; then it is asked on a new connection, and this one is given up
            if that gets an answer.
    """

    def __init__(
        self,
        server: Server,
        wanted: Callable[[], Collection[bytes]],
        receive: Callable[[bytes, bytes], None],
        subscribed: Callable[[], None],
        *,
        ping_every: float = 3.0,
        answer_within: float = 2.0,
    ) -> None:
        self._wanted, self._receive, self._subscribed = wanted, receive, subscribed
        self._ping_every, self._answer_within = ping_every, answer_within
        self._connection = Connection(server, on_link=self._greet, on_message=self._take)
        self._link: Link | None = None
        self._asked: set[bytes] = set()
        self._confirmed: set[bytes] = set()
        self._settled = asyncio.Event()  # everything wanted is confirmed, or was refused
        self._refusal: str | None = None
        self._told = False  # whether ``subscribed`` was called for this link
        self._heard = False
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._owner = OneLoop("this subscription")

    def start_anew(self) -> None:
        """Forget a connection of a parent process, or of an event loop that has ended."""
        self._connection.start_anew()
        self._owner.loop = self._link = self._task = self._refusal = None
        self._asked, self._confirmed = set(), set()
        self._settled = asyncio.Event()

    def refresh(self) -> None:
        """Subscribe to what is wanted and not yet subscribed.

        What is no longer wanted is left at the next look at the connection. Outside of a running event loop
        nothing happens yet: the next call inside one makes up for it.

        Raises:
            QueueStateError: called from another event loop, or outside of any, while the one it belongs to runs.
        """
        self._owner.check()
        if self._owner.loop is not None and self._owner.loop.is_closed():
            self.start_anew()
        missing = set(self._wanted()) - self._asked
        if not missing or self._closed:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._owner.enter()
        self._settled.clear()
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._keep(), name="toril-subscriber")
        elif self._link is not None and not self._link.lost:
            self._ask(self._link, missing)

    def renew(self) -> None:
        """Subscribe on a new connection."""
        self._connection.renew()

    async def ready(self, patience: float = PATIENCE) -> None:
        """Return once the server has confirmed what is wanted.

        Raises:
            ServerRefusedError: it does not let us subscribe.
            QueueUnavailableError: not confirmed within ``patience`` seconds, or closed. The attempts go on.
        """
        self.refresh()
        if self._closed:
            raise QueueUnavailableError("this subscription was closed")
        if self._link is not None and self._link.lost:
            self._settled.clear()
        if not self._settled.is_set() and self._wanted():
            try:
                async with asyncio.timeout(patience):
                    await self._settled.wait()
            except TimeoutError:
                raise QueueUnavailableError(
                    f"{self._connection.server} did not confirm subscriptions within {patience:g} s; "
                    "is it running and reachable?"
                ) from None
        if self._closed:
            raise QueueUnavailableError("this subscription was closed")
        if self._refusal is not None:
            raise ServerRefusedError(self._refusal)

    async def close(self) -> None:
        """End it for good.

        Raises:
            QueueStateError: called from another event loop while the one it belongs to runs.
        """
        self._owner.check()
        self._closed = True
        self._settled.set()
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
        await self._connection.close()

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                link = await self._connection.ready(float("inf"))
                await self._attend(link)
            except QueueUnavailableError as error:  # we are refused, or the server is too old
                self._refuse(str(error))
            if self._told:
                pause, self._told = _FIRST_PAUSE, False
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _attend(self, link: Link) -> None:
        """Return when the link is gone, which may be our own doing."""
        while not await comes_within(link.wait_closed(), self._ping_every):
            unwanted = self._asked - set(self._wanted())
            self._asked -= unwanted
            self._confirmed -= unwanted
            for channel in unwanted:
                link.post("PUNSUBSCRIBE" if channel.endswith(b"*") else "UNSUBSCRIBE", channel)
            if not self._heard:
                link.post("PING")
                if not await comes_within(link.wait_closed(), self._answer_within) and not self._heard:
                    await self._find_out(link)
            self._heard = False

    async def _find_out(self, link: Link) -> None:
        """Nothing is heard: go on when something is, or close a link that leads nowhere."""
        server, pause = self._connection.server, _FIRST_PAUSE
        log.warning(
            "subscriber_silent: no answer from %s within %g s, asking it on a new connection",
            server,
            self._answer_within,
            extra={"server": str(server)},
        )
        while not self._heard and not link.lost:
            if await leads_nowhere(server, link, self._answer_within):
                link.close()
            elif not await comes_within(link.wait_closed(), pause):
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _greet(self, link: Link) -> None:
        self._settled.clear()
        self._link, self._told = link, False
        self._asked, self._confirmed = set(), set()
        self._ask(link, set(self._wanted()))

    def _ask(self, link: Link, channels: set[bytes]) -> None:
        patterns = {channel for channel in channels if channel.endswith(b"*")}
        for verb, names in (("SUBSCRIBE", channels - patterns), ("PSUBSCRIBE", patterns)):
            if names:
                link.post(verb, *names)
        self._asked |= channels

    def _take(self, reply: Any) -> None:
        self._heard = True
        if isinstance(reply, ReplyError):
            self._end_link(reply)
        elif isinstance(reply, list):
            kind = reply[0]
            if kind == b"message":
                self._receive(reply[1], reply[2])
            elif kind == b"pmessage":
                self._receive(reply[2], reply[3])
            elif kind in (b"subscribe", b"psubscribe"):
                self._confirm(reply[1])

    def _confirm(self, channel: bytes) -> None:
        self._confirmed.add(channel)
        if not self._confirmed >= self._asked:
            return
        self._refusal = None
        self._settled.set()
        if not self._told:
            self._told = True
            self._subscribed()

    def _end_link(self, error: ReplyError) -> None:
        if error.kind not in PASSING_ERRORS:
            self._refuse(
                f"{self._connection.server} does not let us subscribe to events ({error}); give the user "
                "the right to SUBSCRIBE and PSUBSCRIBE to the queue's channels"
            )
        if self._link is not None:
            self._link.close()

    def _refuse(self, reason: str) -> None:
        if self._closed:
            return
        if self._refusal is None:
            log.error("subscriber_refused: %s", reason, extra={"server": str(self._connection.server)})
        self._refusal = reason
        self._settled.set()
