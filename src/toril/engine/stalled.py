"""Finds jobs whose worker went away."""

from __future__ import annotations

from toril.engine.codec import to_text
from toril.engine.hooks import Hooks
from toril.engine.job import Job
from toril.engine.queries import QueueQueries
from toril.engine.service import Service
from toril.engine.service import log as worker_log
from toril.errors import QueueStateError

STALLED_TEXT = "job stalled more than allowable limit"


class StalledError(Exception):
    """The job's worker went away more often than is tolerated."""


class StalledCheck(Service):
    """Bull's two-pass check, by one worker at a time: see ``lua/move_stalled.lua``.

    Args:
        interval: seconds between checks; a dead worker's job is back after one to two of them.
        max_stalled: stalls a job may have before it fails.
    """

    def __init__(self, queue: QueueQueries, *, interval: float, max_stalled: int) -> None:
        super().__init__("stalled", interval, at_once=True)
        self._queue, self._max_stalled = queue, max_stalled

    async def run_once(self) -> float | None:
        """Check once; a check by another worker within the interval makes this one do nothing."""
        # Slightly shorter than our own period, so that our next check is not taken for a second one.
        life = max(1, int(self.period * 900) - 1)
        box = self._queue.letter_box
        failed, stalled, dropped, unburied, troubles = await self._queue.scripts.run(
            "move_stalled",
            self._max_stalled,
            life,
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
        return None
