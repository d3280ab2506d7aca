"""Keeps Node's workers supplied with prioritised jobs while ours are busy."""

from __future__ import annotations

import asyncio

from toril.engine.scripts.runner import ScriptRunner
from toril.engine.service import Service

#: Seconds between looks that nobody asked for; heartbeats refill the window too.
_PERIOD = 60.0

#: Seconds between looks that were asked for: a queue with little to do is drained after every job.
_PAUSE = 0.2


class WindowRefill(Service):
    """Looks whether more is overflowed whenever somebody finds the queue drained.

    Node's workers see the window only (see ``lua/includes/place.lua``). Ours refill it when they take jobs, but
    while all of them are busy none does.
    """

    def __init__(self, scripts: ScriptRunner) -> None:
        super().__init__("refill", _PERIOD)
        self._scripts = scripts

    async def run_once(self) -> float | None:
        if await self._scripts.ask("EXISTS", self._scripts.keys.of("toril:overflow")):
            await self._scripts.run("refill_window")
        await asyncio.sleep(_PAUSE)
        return None
