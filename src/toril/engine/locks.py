"""Keeps the locks of running jobs alive, and stops what has lost its lock or is to be cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from itertools import chain
from typing import Any

from toril.engine.hooks import Hooks
from toril.engine.scripts.runner import ScriptRunner
from toril.engine.service import Service
from toril.errors import TorilError


class LockRenewer(Service):
    """Renews all locks of one worker with one call each period; whoever knows that the server is back pokes it.

    Args:
        running: gives id and fence of each attempt that runs.
        lock_ms: life of a lock.
        period: seconds between renewals, half the life unless set.
        lost: called with id and fence of an attempt whose lock is gone.
        cancelled: called with id and fence of an attempt that somebody wants cancelled.
    """

    def __init__(
        self,
        scripts: ScriptRunner,
        hooks: Hooks,
        *,
        running: Callable[[], Collection[tuple[str, str]]],
        lock_ms: int,
        period: float,
        lost: Callable[[str, str], Any],
        cancelled: Callable[[str, str], Any],
    ) -> None:
        super().__init__("locks", period)
        self._scripts, self._hooks = scripts, hooks
        self._running, self._lock_ms = running, lock_ms
        self._lost, self._cancelled = lost, cancelled

    def _jittered(self) -> float:
        return super()._jittered() * 0.9  # never later than told: the locks would run out

    async def run_once(self) -> float | None:
        held = dict(self._running())
        if not held:
            return self.period * 0.95
        began = time.monotonic()
        try:
            lost, cancelled = await self._scripts.run(
                "renew_locks",
                self._lock_ms,
                *chain.from_iterable(held.items()),
                patience=self._lock_ms / 4000,
            )
        except TorilError as error:  # whatever it is: a refusal may pass, and the locks run on
            self._hooks.emit("lock_extension_failed", list(held), error)
            return min(0.5, self._lock_ms / 20_000)
        for job_id in map(bytes.decode, lost):
            self._lost(job_id, held[job_id])
        for job_id in map(bytes.decode, cancelled):
            self._cancelled(job_id, held[job_id])
        # A slow renewal must not eat into the next one's margin.
        return max(0.05, self.period * 0.95 - (time.monotonic() - began))
