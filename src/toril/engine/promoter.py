"""Moves delayed jobs into the queue when they are due."""

from __future__ import annotations

from toril.engine.scripts.runner import ScriptRunner
from toril.engine.service import Service

#: Seconds between looks when nothing is known to be due; covers a lost message about a new delayed job.
GUARD = 5.0


class DelayedPromoter(Service):
    """Promotes on time: it knows when the next job is due, and is told of earlier ones."""

    def __init__(self, scripts: ScriptRunner) -> None:
        super().__init__("promoter", GUARD, at_once=True)
        self._scripts = scripts
        self._next_due_ms = float("inf")

    async def run_once(self) -> float | None:
        """Promote what is due; returns seconds until the next is."""
        _, next_due, now = await self._scripts.run("promote_delayed")
        return self._wait(next_due, float(now))

    def told(self, due_ms: float) -> None:
        """A job was delayed until ``due_ms``: if that is before what we wait for, look now."""
        if due_ms < self._next_due_ms:
            self._next_due_ms = due_ms
            self.poke()

    def _wait(self, next_due: bytes | None, now_ms: float) -> float:
        if next_due is None:
            self._next_due_ms = float("inf")
            return GUARD
        self._next_due_ms = float(next_due)
        # A due time has a fraction (the sequence in its score): the job is due at the next whole ms.
        return min(GUARD, max(0.0, (self._next_due_ms + 1 - now_ms) / 1000))
