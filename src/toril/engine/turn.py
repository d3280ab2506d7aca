"""Turns at an outside service that takes so many calls a second, in a line that all workers of a queue share."""

from __future__ import annotations

import asyncio

from toril.engine.backoff import seconds
from toril.engine.codec import to_text
from toril.engine.encoding import number
from toril.engine.scripts.runner import ScriptRunner
from toril.errors import OptionError, PostponedError, QueueUnavailableError


class Turn:
    """One caller's place in the line; ``Job.turn`` makes it.

    ``reserve`` at the beginning of a job keeps the order of the queue; ``come`` waits for the turn, right before the
    call; ``hold`` when the service says "later". A worker that is killed loses the turns it had reserved.
    """

    def __init__(self, scripts: ScriptRunner, service: str, *, per_second: float, longest: float) -> None:
        if isinstance(per_second, bool) or not isinstance(per_second, int | float) or not per_second > 0:
            raise OptionError(f"per_second must be a number above 0, got {per_second!r}")
        self.service = service
        self._scripts = scripts
        self._interval = 1000 / per_second
        self._longest = seconds(longest, "longest") * 1000
        self._turn = ""

    async def reserve(self) -> None:
        """Get in line, unless in it.

        Raises:
            PostponedError: the line, or the time that the service is to be left alone, is longer than ``longest``.
        """
        if not self._turn:
            await self._ask()

    async def come(self) -> None:
        """Return when it is this caller's turn; the next call needs another.

        The server is asked again when the turn has come: calls stay apart when somebody was late, and who had a turn
        when the service was to be left alone gets in line again. Without a server nobody can be asked: then it is now.

        Raises:
            PostponedError: as ``reserve``.
        """
        await self.reserve()
        while self._turn:
            before = self._turn
            wait = await self._ask()
            if wait <= 0 and before == self._turn:
                self._turn = ""
            elif wait > 0:
                await asyncio.sleep(wait / 1000)

    async def hold(self, wait: float) -> None:
        """Let nobody have a turn for ``wait`` seconds, a day at most; turns that were given before are void."""
        self._turn = ""
        try:
            await self._run("", min(wait, 86_400.0) * 1000)
        except QueueUnavailableError:
            pass

    async def _ask(self) -> float:
        try:
            wait, turn = await self._run(self._turn, 0.0)
        except QueueUnavailableError:
            self._turn = ""
            return 0.0
        self._turn = to_text(turn)
        if not self._turn:
            raise PostponedError(
                f"the line of those who want to call {self.service} is long; this one is to come back later",
                retry_after=wait / 1000,
            )
        return wait

    async def _run(self, turn: str, hold: float) -> tuple[int, bytes]:
        wait, taken = await self._scripts.run(
            "take_turn",
            self.service,
            number(round(self._interval, 3)),
            number(round(self._longest)),
            turn,
            number(round(hold)),
        )
        return int(wait), taken
