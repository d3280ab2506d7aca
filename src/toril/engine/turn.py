"""Turns at an outside service that takes so many calls a second, in a line that all workers of a queue share."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Literal

from toril.engine.backoff import seconds
from toril.engine.codec import to_text
from toril.engine.encoding import number
from toril.engine.scripts.runner import ScriptRunner
from toril.errors import OptionError, PostponedError, QueueUnavailableError

Verb = Literal["reserve", "come", "end", "leave", "hold"]


class Turn:
    """One caller's place in the line; ``Job.turn`` makes it.

    ``reserve`` gets a place early; ``come`` waits for the turn, right before the call; then ``end``, or ``hold`` when
    the service says "later", which keeps the place for another call; or ``leave`` when it is not needed any more.

    In order means: in the order in which jobs were taken from the queue. Nobody calls before a job that was taken
    earlier and runs, and no two calls are under way at once. Of a worker that was killed this is true until its jobs'
    locks run out; what it had under way comes again when it is found to have stalled. It is for jobs that make one call
    each. A job that has not asked within ``longest`` seconds of its start, or is not ready so long after its turn, is
    passed; so is a call that takes longer.
    """

    def __init__(
        self,
        scripts: ScriptRunner,
        service: str,
        *,
        job_id: str,
        per_second: float,
        longest: float,
        in_order: bool = False,
    ) -> None:
        if isinstance(per_second, bool) or not isinstance(per_second, int | float) or not per_second > 0:
            raise OptionError(f"per_second must be a number above 0, got {per_second!r}")
        self.service = service
        self.in_order = in_order
        self._scripts = scripts
        self._interval = 1000 / per_second
        self._longest = seconds(longest, "longest") * 1000
        self._member = f"{'o' if in_order else 'm'}{secrets.token_hex(6)}:{job_id}"
        self._place = ""

    async def reserve(self) -> float:
        """Get in line, unless in it; returns in how many seconds the turn will be about.

        Raises:
            PostponedError: the line, or the time that the service is to be left alone, is longer than ``longest``.
        """
        return await self._ask("reserve") / 1000

    async def come(self) -> None:
        """Return when it is this caller's turn.

        The server is asked again when the turn should have come: calls stay apart when somebody was late. Without a
        server nobody can be asked: then it is now.

        Raises:
            PostponedError: as ``reserve``.
        """
        try:
            while (wait := await self._ask("come")) > 0:  # noqa: ASYNC110 - the line is on the server
                await asyncio.sleep(wait / 1000)
        except PostponedError:
            raise
        except BaseException:
            with contextlib.suppress(Exception):
                await asyncio.shield(self._tell("leave"))  # or others would wait until it is late
            raise

    async def end(self) -> None:
        """The call is over, however it went: the next one in order may be made. A further call needs another turn."""
        if self.in_order:
            await self._tell("end")
        self._place = ""

    async def leave(self) -> None:
        """Give the place away, if there is one: no call is made. Whoever stands behind would wait until it is late."""
        if self._place:
            await self._tell("leave")
            self._place = ""

    async def hold(self, wait: float) -> None:
        """Let nobody have a turn for ``wait`` seconds, a day at most, and keep the place for the call then."""
        await self._tell("hold", min(wait, 86_400.0) * 1000)

    async def _tell(self, verb: Verb, hold: float = 0.0) -> None:
        with contextlib.suppress(QueueUnavailableError):
            await self._run(verb, hold)

    async def _ask(self, verb: Verb) -> float:
        try:
            wait, place = await self._run(verb)
        except QueueUnavailableError:
            self._place = ""
            return 0.0
        self._place = to_text(place)
        if not self._place:
            raise PostponedError(
                f"the line of those who want to call {self.service} is long; this one is to come back later",
                retry_after=wait / 1000,
            )
        return wait

    async def _run(self, verb: Verb, hold: float = 0.0) -> tuple[int, bytes]:
        wait, place = await self._scripts.run(
            "take_turn",
            self.service,
            number(round(self._interval, 3)),
            number(round(self._longest)),
            verb,
            number(round(hold)),
            self._member,
            self._place,
        )
        return int(wait), place
