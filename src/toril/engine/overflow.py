"""Brings overflowed jobs back to where Node sees them when no worker of ours is left; every process does."""

from __future__ import annotations

import asyncio
import logging

from toril.engine.scripts.runner import ScriptRunner
from toril.engine.service import Service
from toril.engine.sharing import Sharing
from toril.errors import TorilError

log = logging.getLogger("toril.queue")

#: Seconds between looks, and while adds of this process use the overflow themselves.
PERIOD, _WHILE_ADDING = 15.0, 1.0

#: Seconds that the close of a queue waits for jobs to be brought back; others go on with it.
_FINISH_WITHIN = 5.0


class OverflowWatch(Service):
    """Looks whether jobs are overflowed though no Toril worker lives, and puts them back in bounded steps.

    See ``lua/includes/place.lua``. A look is one EXISTS.
    """

    def __init__(self, scripts: ScriptRunner, sharing: Sharing) -> None:
        super().__init__("overflow", PERIOD, at_once=True)
        self._scripts, self._sharing = scripts, sharing
        self._adding = False  #: by a bridge that adds of ours have made

    def adds_overflow(self) -> None:
        """Adds of this process have used the overflow while no worker lives: look more often."""
        if not self._adding:
            self._adding = True
            self.poke()

    async def run_once(self) -> float | None:
        await self._sharing.tell()
        return await self._step()

    async def finish(self) -> None:
        """Look a last time, and end what was begun."""
        if not self.is_running():
            return
        await self.stop()
        if self._scripts.connection.live is None:
            return
        try:
            async with asyncio.timeout(_FINISH_WITHIN):
                while await self._step(done=self._adding) is not None:
                    pass
        except (TorilError, TimeoutError) as error:
            log.warning(
                "overflow_not_restored: the next Toril process that uses the queue goes on with it",
                extra={"queue": self._scripts.keys.name, "reason": str(error)},
            )

    async def _step(self, *, done: bool = False) -> float | None:
        """Seconds until the next one, None if nothing is left to do."""
        if not await self._scripts.ask("EXISTS", self._scripts.keys.of("toril:overflow")):
            self._adding = False
            return None
        left, bridged_ms = map(int, await self._scripts.run("restore_overflow", int(done)))
        if left == bridged_ms == 0:
            self._adding = False
            return None
        if left or not self._adding:
            return 0.0 if left else None
        return min(bridged_ms / 1000, _WHILE_ADDING)
