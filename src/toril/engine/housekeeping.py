"""A worker's slow duties: its heartbeat, and for all workers of the queue schedules that lost their next run."""

from __future__ import annotations

import logging

from toril.engine.queue import Queue
from toril.engine.scripts.runner import ScriptRunner
from toril.engine.service import Service
from toril.errors import TorilError

log = logging.getLogger("toril.worker")

#: Seconds between heartbeats, and how long one counts.
PERIOD, LIFE = 10.0, 45.0

#: Seconds for taking leave of a server that is away: the heartbeat runs out by itself.
_LEAVE_WITHIN = 2.0

#: Schedules are looked after each so many heartbeats.
_HEAL_EVERY = 3


class Housekeeping(Service):
    """Says that this worker lives, which allows the overflow of prioritised jobs; see ``lua/includes/place.lua``.

    One worker of a queue looks after its schedules: reading them all is work, and once is enough. It keeps the duty
    until it closes or its heartbeat has run out.
    """

    def __init__(self, queue: Queue, scripts: ScriptRunner) -> None:
        super().__init__("housekeeping", PERIOD)
        self._queue, self._scripts = queue, scripts
        self._beats = 0
        self._beaten = False

    async def run_once(self) -> float | None:
        self._beaten = True
        leads = bool(await self._scripts.run("register_worker", int(LIFE * 1000), 1))
        # The first beat as a leader counts: the one before may have been gone for long.
        self._beats = self._beats + 1 if leads else 0
        if self._beats % _HEAL_EVERY == 1:
            await self._queue.heal_schedules()
        return None

    async def leave(self) -> None:
        """Take the worker off the list; the last one puts the overflow back where Node sees it."""
        if not self._beaten:
            return
        try:
            while int(await self._scripts.run("register_worker", 0, patience=_LEAVE_WITHIN)) > 0:
                pass
        except TorilError as error:
            log.warning("worker_not_signed_off", extra={"queue": self._queue.name, "reason": str(error)})
