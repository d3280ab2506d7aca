"""Finds jobs that a call moved to active although nobody was there any more to hear of it.

The server may carry out a call after its connection was given up: it was frozen, or the network was slow. The job
is in active then, and no worker knows of it. One that a blocking call moved has no lock: the stalled check would find
it too, half a minute later; this search takes seconds. One that an ``advance`` started has a lock, by which ``reclaim``
finds it, unless the outage outlasts that. Then it looks like the job of any worker that has not come back yet; this
search waits until they have had time to, and counts no stall, as the job has not been run.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from toril.engine.codec import to_text
from toril.engine.scripts.runner import ScriptRunner
from toril.engine.service import Service

log = logging.getLogger("toril.worker")

#: Seconds between looks. A job on its way to a worker, Node's too, has no lock for a moment, which is far shorter.
_PAUSE = 2.0

#: Looks in one search: one more than a call that is still blocked on the server can outlast.
_LOOKS = 5

_NEVER = 24 * 3600.0  # seconds; a search is asked for


class LostMoveSearch(Service):
    """Looks for such jobs each time a call was given up; see ``lua/put_back_lost.lua``.

    Args:
        grace: seconds in which workers get their locks back once the server is there again.
    """

    def __init__(self, scripts: ScriptRunner, *, grace: float, pause: float = _PAUSE) -> None:
        super().__init__("lost-moves", _NEVER)
        self._scripts, self._grace, self._pause = scripts, grace, pause
        self._seen: list[bytes] = []
        self._left = 0
        self._since: int | None = None  # started jobs are looked for from then on (server's ms)
        self._late_at = math.inf  # when (monotonic)
        self._late_left = 0
        self._stop_listening: Callable[[], None] | None = None

    def begin(self, since: int | None = None) -> None:
        """Search from now on, for some seconds.

        Args:
            since: the server's time (ms) from which on jobs may have been started in answers that got lost.
        """
        self._seen, self._left = [], _LOOKS
        if since is not None:
            self._since = since if self._since is None else min(since, self._since)
            self._wait_for_others()
        self.poke()

    async def start(self) -> None:
        if self._stop_listening is None:
            self._stop_listening = self._scripts.connection.on_return(self._wait_for_others)
        await super().start()

    async def stop(self) -> None:
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        await super().stop()

    async def run_once(self) -> float | None:
        """Look once; the first look of a search only finds suspects."""
        late = self._since is not None and time.monotonic() >= self._late_at
        if self._left or late:
            seen, self._seen = self._seen, []
            since = "" if self._since is None or not late else self._since
            suspects, put_back = await self._scripts.run("put_back_lost", since, *seen)
            if put_back:
                ids = [to_text(job_id) for job_id in put_back]
                log.warning("lost_moves_put_back", extra={"queue": self._scripts.keys.name, "job_ids": ids})
            self._seen = suspects
            self._left = max(0, self._left - 1)
            if late:
                self._late_left -= 1
                if self._late_left <= 0:
                    self._since = None
        if self._left or (late and self._since is not None):
            return self._pause
        return None if self._since is None else max(0.0, self._late_at - time.monotonic())

    def _wait_for_others(self) -> None:
        self._late_at, self._late_left = time.monotonic() + self._grace, 2
