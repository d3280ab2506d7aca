"""Finds jobs that a blocking call moved although nobody was there any more to hear of it.

The server may carry out a call after its connection was given up: it was frozen, or the network was slow. The job
is in active then, without a lock, and no worker knows of it. The stalled check would find it too, half a minute
later; this search takes seconds.
"""

from __future__ import annotations

import logging

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
    """Looks for such jobs each time a blocking call was given up; see ``lua/put_back_lost.lua``."""

    def __init__(self, scripts: ScriptRunner, *, pause: float = _PAUSE) -> None:
        super().__init__("lost-moves", _NEVER)
        self._scripts, self._pause = scripts, pause
        self._seen: list[bytes] = []
        self._left = 0

    def begin(self) -> None:
        """Search from now on, for some seconds."""
        self._seen, self._left = [], _LOOKS
        self.poke()

    async def run_once(self) -> float | None:
        """Look once; the first look of a search only finds suspects."""
        if not self._left:
            return None
        seen, self._seen = self._seen, []
        suspects, put_back = await self._scripts.run("put_back_lost", *seen)
        if put_back:
            ids = [to_text(job_id) for job_id in put_back]
            log.warning("lost_moves_put_back", extra={"queue": self._scripts.keys.name, "job_ids": ids})
        self._left -= 1
        self._seen = suspects
        return self._pause if self._left else None
