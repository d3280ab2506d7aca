"""The disk below an embedded server: is it nearly full, and has what was sent been written to it?

With ``appendfsync everysec`` the server notices that it cannot write only after it has answered: the commands of that
moment are in its memory alone, and from then on it refuses writes. So as long as there is little room, an answer
counts only once the server says that it has written all it had. With room enough that question is not asked.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from toril.engine.link import ConnectionLostError, Link
from toril.errors import QueueUnavailableError

log = logging.getLogger("toril.connection")

#: Less free space than this is little. The server may hold two seconds of commands back while it syncs the disk, and
#: others write to it, too.
LOW_BYTES = 256 * 1024 * 1024

_ANSWER_S = 30.0  # also where somebody's patience has no end

_PAUSE, _LONGEST_PAUSE = 0.001, 0.2  # seconds between two questions


@dataclass(frozen=True, slots=True)
class Writing:
    """How far the server has come with its append-only file."""

    fails: bool  #: the last attempt failed; it tries again every second
    written: int  #: bytes; falls when the file is rewritten
    pending: int  #: bytes that are in the server's memory only

    @classmethod
    def read(cls, info: str) -> Writing:
        """From what ``INFO persistence`` says."""
        facts = dict(re.findall(r"^(\w+):(.*?)\r?$", info, re.MULTILINE))
        return cls(
            fails=facts.get("aof_last_write_status", "ok") != "ok",
            written=int(facts.get("aof_current_size", 0)),
            pending=int(facts.get("aof_buffer_length", 0)),
        )


class Disk:
    """The disk of one home, as the clients of its server see it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._low = self._full = False

    def is_low(self) -> bool:
        """Whether there is so little room that answers are to be confirmed by ``await_written``."""
        try:
            found = os.statvfs(self.home)
        except OSError:  # the home is gone
            return True
        low = found.f_bavail * found.f_frsize < LOW_BYTES
        if low is not self._low:
            self._low = low
            log.log(
                logging.WARNING if low else logging.INFO,
                "embedded_disk_low: adding waits until it is written" if low else "embedded_disk_has_room",
                extra={"home": str(self.home), "free_bytes": found.f_bavail * found.f_frsize},
            )
        return low

    async def await_written(self, link: Link, deadline: float) -> None:
        """Return once the server has written all that it has answered on ``link`` so far.

        Args:
            deadline: monotonic seconds.

        Raises:
            QueueUnavailableError: it could not until the deadline. It goes on trying: what was sent may still be kept.
            ConnectionLostError: the server, and perhaps what it had in memory, is gone.
        """
        target: int | None = None
        before, pause = 0, _PAUSE
        while True:
            state = await self._ask(link, deadline)
            if not state.fails and (state.pending == 0 or (target is not None and state.written >= target)):
                self._note_full(False)
                return
            if target is None or state.written < before:
                # With many clients something is always pending; what was at the first look is what counts.
                target = state.written + state.pending
            before = state.written
            self._note_full(state.fails)
            if time.monotonic() >= deadline:
                raise QueueUnavailableError(
                    f"the embedded server cannot write to the disk of {self.home}; is it full? What was sent is in its "
                    "memory only and counts as not done. The server goes on and tries again: once there is room, it is "
                    "kept all the same"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _ask(self, link: Link, deadline: float) -> Writing:
        try:
            async with asyncio.timeout(min(max(1.0, deadline - time.monotonic()), _ANSWER_S)):
                reply: bytes = await link.send("INFO", "persistence")
        except TimeoutError:
            link.close()
            raise ConnectionLostError("the embedded server does not answer") from None
        return Writing.read(reply.decode(errors="replace"))

    def _note_full(self, full: bool) -> None:
        if full is not self._full:
            self._full = full
            if full:
                log.error(
                    "embedded_disk_full: the server cannot write, and takes nothing until it can",
                    extra={"home": str(self.home)},
                )
            else:
                log.info("embedded_disk_writable", extra={"home": str(self.home)})
