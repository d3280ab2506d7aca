"""Finds jobs whose worker went away."""

from __future__ import annotations

import math
import re
import time

from toril.engine.codec import to_text
from toril.engine.hooks import Hooks
from toril.engine.job import Job
from toril.engine.queries import QueueQueries
from toril.engine.service import Service
from toril.engine.service import log as worker_log
from toril.errors import QueueStateError, ServerRefusedError, TorilError

STALLED_TEXT = "job stalled more than allowable limit"

#: Seconds within which workers have a connection again once the server is back.
RECONNECTS_WITHIN = 3.0


class StalledError(Exception):
    """The job's worker went away more often than is tolerated."""


class StalledCheck(Service):
    """Bull's two-pass check, by one worker at a time: see ``lua/move_stalled.lua``.

    Locks run out while the server is away, and prove nothing. So the server is asked for its time in short steps, and
    after an answer that failed or came late (it was frozen, restarted or cut off, or this process was) nothing is
    checked until workers have had time to renew their locks.

    Args:
        interval: seconds between checks; a dead worker's job is back after one to two of them.
        max_stalled: stalls a job may have before it fails.
        renew: seconds between renewals of locks.
        lock: seconds a lock lives.
    """

    def __init__(
        self,
        queue: QueueQueries,
        *,
        interval: float,
        max_stalled: int,
        renew: float = 15.0,
        lock: float = 30.0,
    ) -> None:
        super().__init__("stalled", interval, at_once=True)
        self._queue, self._max_stalled = queue, max_stalled
        #: An outage that lets a lock run out is longer than what is left of one when it is renewed.
        self._step = min(renew, lock - renew) / 4
        self._grace = renew + min(lock, RECONNECTS_WITHIN)
        self._asked = time.monotonic()
        self._planned = interval
        self._steady_since: float | None = None  # not known yet
        self._checked = -math.inf

    async def run_once(self) -> float | None:
        """Ask the server whether it is there, and check if the time has come.

        A check by another worker within the interval makes this one do nothing.
        """
        began = time.monotonic()
        late = began - self._asked - self._planned > self._step
        try:
            seconds, micros = await self._queue.scripts.ask("TIME")
            if self._steady_since is None:
                self._steady_since = await self._up_since()
        except TorilError:
            self._steady_since = math.inf
            raise
        finally:
            self._asked = time.monotonic()
            self._planned = min(self._jittered(), self._step)
        if late or self._steady_since == math.inf or self._asked - began > self._step:
            self._steady_since = self._asked
        due = self._asked - self._checked >= self.period * 0.9
        if due and self._asked - self._steady_since >= self._grace:
            self._checked = self._asked
            await self._check(int(seconds) * 1000 + int(micros) // 1000 + int(self._step * 1000))
        return self._planned

    async def _up_since(self) -> float:
        """When the server started, on our clock; now, if it does not tell."""
        try:
            info = await self._queue.scripts.ask("INFO", "server")
        except ServerRefusedError:
            return time.monotonic()
        found = re.search(rb"uptime_in_seconds:(\d+)", info)
        return time.monotonic() - (int(found[1]) if found else 0)

    async def _check(self, valid_until_ms: int) -> None:
        # Slightly shorter than our own period, so that our next check is not taken for a second one.
        life = max(1, int(self.period * 900) - 1)
        box = self._queue.letter_box
        failed, stalled, dropped, unburied, troubles = await self._queue.scripts.run(
            "move_stalled",
            self._max_stalled,
            f"{life} {valid_until_ms}",
            self._queue.name,
            repeat=False,
            more_keys=() if box is None else box.keys_to_add,
        )
        hooks: Hooks = self._queue.hooks
        for job_id in failed:
            job: Job[object] | None = None
            if hooks.wanted("failed"):
                job = await self._queue.get_job(job_id.decode())
            hooks.emit("failed", job, StalledError(STALLED_TEXT))
        if box is not None:
            for job_id in unburied:
                hooks.emit("error", box.not_written(to_text(job_id)))
        for job_id in stalled:
            hooks.emit("stalled", to_text(job_id))
        for job_id, reason in zip(troubles[::2], troubles[1::2], strict=True):
            text = f"job {to_text(job_id)} of queue {self._queue.name!r} has stalled and cannot be moved: "
            hooks.emit("error", QueueStateError(text + to_text(reason)))
        for job_id in dropped:
            worker_log.warning(
                "ghost_dropped", extra={"queue": self._queue.name, "job_id": job_id.decode(errors="replace")}
            )
