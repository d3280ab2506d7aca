"""Tells a connection that leads nowhere from a server that is only slow.

A network that swallows packets tells nobody. A server that runs somebody's long script answers nobody, and all who
would connect again because of that make it worse. So a new connection is asked first: only where that one gets an
answer has the old one lost its peer.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toril.engine.link import AnswerLateError, ConnectionLostError, Link

if TYPE_CHECKING:
    from toril.engine.server import Server

log = logging.getLogger("toril.connection")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds between new connections to ask by


def late_after(notice: float) -> float:
    """Seconds after which an answer is late, so that a dead connection is noticed within ``notice`` seconds."""
    return max(0.2, notice / 3)


async def leads_nowhere(server: Server, link: Link, notice: float) -> bool | None:
    """Whether the server answers a new connection, and nothing moves on this one, which owes an answer.

    None: it does not answer there either.

    Args:
        notice: seconds for all of it, ``late_after`` and connecting included.
    """
    heard, unsent = link.heard, link.unsent
    if not await server.answers():
        return None
    await asyncio.sleep(max(0.1, notice / 6))
    for _ in range(2):  # what has come meanwhile, while the loop was busy, is read first
        await asyncio.sleep(0)
    # Something came in, or the system took more of a long command: it moves.
    return not link.lost and link.heard == heard and link.unsent >= unsent


class Doubts:
    """The answers of one connection that are late: finds out why, and limits how long they are waited for.

    Args:
        returned: called when a server that answered nobody does so again.
    """

    def __init__(self, server: Server, returned: Callable[[], None]) -> None:
        self._server, self._returned = server, returned
        self._silent = False
        self._late: list[tuple[Link, asyncio.Future[Any], float]] = []
        self._finding: asyncio.Task[None] | None = None

    def about(self, link: Link, answer: asyncio.Future[Any], end: float, notice: float) -> None:
        """An answer may be late.

        Args:
            end: when its caller's patience ends (monotonic seconds).
            notice: see ``leads_nowhere``.
        """
        if answer.done():
            return
        loop = answer.get_loop()
        if end < math.inf:
            loop.call_later(max(0.0, end - time.monotonic()), self._expire, link, answer)
        self._late.append((link, answer, notice))
        answer.add_done_callback(self._answered)
        if self._finding is None or self._finding.done():
            self._finding = loop.create_task(self._find_out(), name="toril-doubt")

    async def close(self) -> None:
        """Find out no more."""
        if self._finding is not None and not self._finding.done():
            self._finding.cancel()
            await asyncio.wait([self._finding])

    async def _find_out(self) -> None:
        pause, told = _FIRST_PAUSE, False
        while late := [entry for entry in self._late if not entry[1].done()]:
            self._late = late
            link, _, notice = late[0]
            if nowhere := await leads_nowhere(self._server, link, notice):
                self._tell("connection_silent", "answers new connections, but not this one; connecting again")
                link.close()
            elif nowhere is None and not told:
                told = self._silent = True
                self._tell("server_silent", "accepts connections at most, and answers nobody; waiting for it")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        self._late = []

    def _answered(self, answer: asyncio.Future[Any]) -> None:
        came = not answer.cancelled() and not isinstance(answer.exception(), ConnectionLostError)
        if self._silent and came:
            self._silent = False
            self._returned()

    def _tell(self, what: str, more: str) -> None:
        log.warning("%s: %s %s", what, self._server, more, extra={"server": str(self._server)})

    def _expire(self, link: Link, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            link.overdue = True
            answer.set_exception(
                AnswerLateError(
                    f"{self._server} did not answer in time; what was asked for may be done all the same"
                )
            )
