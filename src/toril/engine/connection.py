"""Connections that come back, one per role.

A queue uses up to three connections: *shared* for scripts, *blocking* for the idle wait of a worker, and a
*subscriber* for events. Each is a ``Connection`` that reconnects by itself with capped backoff.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

from toril.engine.link import (
    PASSING_ERRORS,
    AnswerLateError,
    Argument,
    ConnectionLostError,
    Link,
    ReplyError,
)
from toril.engine.one_loop import OneLoop
from toril.engine.server import Server
from toril.engine.silence import Doubts, late_after
from toril.engine.waiting import comes_within
from toril.errors import (
    QueueUnavailableError,
    ServerRefusedError,
    ServerVersionError,
    apart,
)

log = logging.getLogger("toril.connection")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds between attempts to connect

#: Seconds within which a connection that leads nowhere is noticed, if new ones can be made.
NOTICE_WITHIN = 6.0

#: Seconds the first questions on a new connection may take.
_INTRODUCE_WITHIN = 5.0


class Connection:
    """A connection that is made when first used and made again when lost.

    A call whose answer is late is in doubt: if the server answers on a new connection, this one leads nowhere and
    is replaced, and what may be sent again is. If it does not answer there either it is slow or away, and new
    connections would not help: the call waits as long as its patience lasts.

    Args:
        name: how it is called on the server's list of clients; a name of its own unless given.
        on_link: called with each new link before anything else uses it (to subscribe again).
        on_message: makes it a subscriber; see ``Link``.

    Attributes:
        answer_within: seconds a call may take if that is more than its patience; None: its patience.
        notice_within: seconds within which a connection that leads nowhere is noticed. A worker lowers it to a
            quarter of its locks.
        client_id: what the server calls the present link; 0 if it does not tell.
    """

    def __init__(
        self,
        server: Server,
        *,
        name: str | None = None,
        on_link: Callable[[Link], Any] | None = None,
        on_message: Callable[[list[Any]], None] | None = None,
    ) -> None:
        self.server = server
        self.name = name or f"toril-{uuid.uuid4().hex}"
        self.answer_within: float | None = None
        self.notice_within = NOTICE_WITHIN
        self.client_id = 0
        self._on_link, self._on_message = on_link, on_message
        self._link: Link | None = None
        self._opening: asyncio.Task[Exception | None] | None = None
        self._doubts = Doubts(server, self._tell_return)
        self._closed = asyncio.Event()
        self._changed = asyncio.Event()  #: there is a link again, or will never be
        self._return_listeners: list[Callable[[], None]] = []
        self._lost_since: float | None = None
        self._away = ""  #: why the server cannot be reached
        self._owner = OneLoop(f"this connection to {server}")

    async def execute(
        self,
        *command: Argument,
        patience: float = 10.0,
        repeat: bool = False,
        blocks: float | None = None,
    ) -> Any:
        """Send a command and return its reply (bytes, int, None or lists of them).

        Args:
            patience: seconds to go on trying to reach the server, and to wait for the answer.
            repeat: send again if the connection is lost before the reply came; only for commands that do no
                harm twice.
            blocks: seconds the command itself may take, as it waits for something; then its answer is waited for
                as long as the connection leads to the server.

        Raises:
            QueueUnavailableError: the server was not there within ``patience``.
            ConnectionLostError: lost after sending, and ``repeat`` is off, or not answered in time
                (``AnswerLateError``): it may have been carried out.
            ReplyError: the server's own error.
        """
        began = time.monotonic()
        allowed = patience if self.answer_within is None else max(patience, self.answer_within)
        end = began + allowed if blocks is None else math.inf
        notice = min(self.notice_within, allowed)
        doubted_after = (blocks or 0.0) + late_after(notice)
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        if loop is not self._owner.loop:
            self._enter()
        while True:
            link = self._link
            if link is None or link.lost:
                link = await self.ready(min(end, time.monotonic() + patience))
            answer = link.send(*command)
            alarm = loop.call_later(doubted_after, self._doubts.about, link, answer, end, notice)
            try:
                return await answer
            except AnswerLateError:
                raise
            except ConnectionLostError:
                if not repeat or time.monotonic() >= end:
                    raise
            except ReplyError as refusal:
                error = refusal
                if error.kind == "ASK" and blocks is None:
                    answered, reply = await self._ask_there(error, command, end, repeat=repeat)
                    if answered:
                        return reply
                    error = reply
                if error.kind not in PASSING_ERRORS:
                    raise error from None
                if error.kind == "MOVED":
                    self.server.follow(error)
                if error.kind in ("READONLY", "MOVED"):  # a fail-over: the address may lead elsewhere now
                    link.close()
                if time.monotonic() + pause >= began + patience:
                    raise QueueUnavailableError(f"{self.server} cannot serve now: {error}") from error
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter
                pause = min(pause * 2, _LONGEST_PAUSE)
            finally:
                alarm.cancel()

    async def _ask_there(
        self, moving: ReplyError, command: tuple[Argument, ...], end: float, *, repeat: bool
    ) -> tuple[bool, Any]:
        """Ask the node of a cluster that is getting our keys: whether it answered, and its reply or its error.

        If it cannot be reached the error is the one that led there: then it is asked again after a pause.
        """
        try:
            async with asyncio.timeout(max(0.0, min(self.notice_within, end - time.monotonic()))):
                return True, await self.server.ask_there(moving, command)
        except ReplyError as error:
            return False, error
        except (ConnectionLostError, TimeoutError) as error:
            if not repeat:
                raise ConnectionLostError(
                    f"the connection to {self.server} was lost on the way: {error}"
                ) from error
            return False, moving
        except QueueUnavailableError:
            return False, moving

    async def ready(self, deadline: float) -> Link:
        """A live link, made if need be; keeps trying until ``deadline`` (monotonic seconds)."""
        if (loop := asyncio.get_running_loop()) is not self._owner.loop:
            self._enter()
        pause = _FIRST_PAUSE
        while True:
            if self._closed.is_set():
                raise QueueUnavailableError(f"this connection to {self.server} was closed")
            if self._link is not None and not self._link.lost:
                return self._link
            # One attempt for all who wait, each as long as it is told: it goes on for those who come later.
            opening = self._opening
            if opening is None or opening.done():
                opening = self._opening = loop.create_task(self._open(), name="toril-connect")
            left = deadline - time.monotonic()
            await asyncio.wait([opening], timeout=None if left == math.inf else max(left, 0))
            if not opening.done():
                raise QueueUnavailableError(self._away or f"{self.server} cannot be reached: no answer yet")
            if opening.cancelled() or (error := opening.result()) is None:
                continue
            left = deadline - time.monotonic()
            final = isinstance(error, ServerVersionError | ServerRefusedError)
            if final or left <= 0 or not isinstance(error, QueueUnavailableError):
                raise apart(error)
            wait = min(pause * random.uniform(0.5, 1), left)  # noqa: S311 - jitter
            pause = min(pause * 2, _LONGEST_PAUSE)
            self._changed.clear()
            await comes_within(self._changed.wait(), wait)

    def on_return(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have ``listener`` called when the server is back: there is a new link, or it answers after a silence.

        Returns:
            What ends that.
        """
        self._return_listeners.append(listener)
        return lambda: self._return_listeners.remove(listener)

    def _tell_return(self) -> None:
        for listener in tuple(self._return_listeners):
            listener()

    @property
    def live(self) -> Link | None:
        """The link if it stands at this moment, and the server owes no answer on it for too long."""
        link = self._link
        return link if link is not None and not link.lost and not link.overdue else None

    def check_loop(self) -> None:
        """Raise QueueStateError if the event loop it is used in runs, and is not this one."""
        self._owner.check()

    def renew(self) -> None:
        """Make a new link in place of the present one; what waits for an answer there is lost, or sent again."""
        if self._link is not None:
            self._link.close()

    async def close(self) -> None:
        """End the connection for good; calls that wait for it get an error."""
        self._closed.set()
        self._changed.set()
        link, self._link = self._link, None
        if self._owner.loop is not asyncio.get_running_loop():
            return
        await self._doubts.close()
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if link is not None:
            link.close()
            await link.wait_closed()

    def start_anew(self) -> None:
        """Forget the present link without a word to the server: it belongs to a parent process, or to an event
        loop that has ended."""
        self._owner.loop = self._link = self._lost_since = self._opening = None
        self.client_id, self._doubts = 0, Doubts(self.server, self._tell_return)
        self._changed = asyncio.Event()
        if not self._closed.is_set():
            self._closed = asyncio.Event()

    def _enter(self) -> None:
        if self._owner.enter():
            self.start_anew()
            self._owner.enter()

    async def _open(self) -> Exception | None:
        """Make the link; why not, if it could not be made."""
        try:
            link = await self.server.open_link(self._on_message)
            try:
                async with asyncio.timeout(_INTRODUCE_WITHIN):
                    if self._on_message is None:
                        await self._introduce(link)
                    if self._on_link is not None:
                        await self._on_link(link)
            except BaseException:
                link.close()
                raise
        except (ServerVersionError, ServerRefusedError) as error:
            return error
        except (QueueUnavailableError, TimeoutError) as error:
            if not isinstance(error, QueueUnavailableError):
                error = QueueUnavailableError(f"no answer from {self.server} to the first questions")
            self._note_lost(error)
            return error
        except Exception as error:
            return error
        returned, self._link = self._link is not None or self._lost_since is not None, link
        self._changed.set()
        if self._lost_since is not None:
            away = time.monotonic() - self._lost_since
            log.info("server_back", extra={"server": str(self.server), "away_s": round(away, 3)})
            self._lost_since = None
        if returned:
            self._tell_return()
        return None

    async def _introduce(self, link: Link) -> None:
        """Name the link, and see that the one before it does nothing more.

        The server may have it still, and what was sent on it may be on its way: it would be carried out after it
        was sent again here, and its answer would be nobody's.
        """
        former = self.client_id
        try:
            if former:
                # Ids begin anew when the server does: the same one may be somebody else by now.
                row = await link.send("CLIENT", "LIST", "ID", former)
                if f" name={self.name} ".encode() in row:
                    await link.send("CLIENT", "KILL", "ID", former)
            self.client_id = int(await link.send("CLIENT", "ID"))
            await link.send("CLIENT", "SETNAME", self.name)
        except ReplyError as error:  # a name with spaces, or an account without these commands
            log.info("connection_not_named", extra={"server": str(self.server), "reason": str(error)})

    def _note_lost(self, error: Exception) -> None:
        self._away = str(error)
        if self._lost_since is None:  # once for each outage
            self._lost_since = time.monotonic()
            log.warning("server_away: %s", error, extra={"server": str(self.server), "reason": str(error)})
