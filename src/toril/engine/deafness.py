"""Notices a worker that takes nothing although jobs wait for it.

Whatever the reason is (a connection that leads to a server that was replaced, a notice that got lost, a fault of
ours), jobs that wait before a worker with free slots are never right for long.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from toril.engine.codec import to_text
from toril.engine.scripts.runner import ScriptRunner
from toril.engine.service import Service

log = logging.getLogger("toril.worker")

#: Seconds between looks; a deaf worker is noticed after one to two of them.
PERIOD = 10.0


class DeafnessCheck(Service):
    """Looks whether the job that is next has been so for a whole period while this worker could have taken it.

    A queue that is paused has nothing in ``wait``, and where others take the jobs another one is next each time.
    While a rate limit counts nothing is concluded.

    Args:
        could_take: whether this worker takes jobs and has a free slot.
        taken: how many jobs it has taken so far.
        rebuild: called when it is deaf, to connect anew and look again.
    """

    def __init__(
        self,
        scripts: ScriptRunner,
        *,
        could_take: Callable[[], bool],
        taken: Callable[[], int],
        rebuild: Callable[[], None],
    ) -> None:
        super().__init__("deafness", PERIOD)
        self._scripts = scripts
        self._could_take, self._taken, self._rebuild = could_take, taken, rebuild
        self._seen: tuple[bytes, int] | None = None

    async def run_once(self) -> float | None:
        """Look once."""
        seen, self._seen = self._seen, None
        if not self._could_take():
            return None
        keys = self._scripts.keys
        head = await self._scripts.ask("LINDEX", keys.of("wait"), -1)
        if head is None or await self._scripts.ask("EXISTS", keys.of("limiter")):
            return None
        self._seen = head, self._taken()
        if self._seen == seen and self._could_take():
            self._seen = None
            log.warning(
                "worker_deaf: job %s has waited for %g s or more before a worker with free slots; connecting again",
                to_text(head),
                self.period * 0.9,
                extra={"queue": keys.name, "job_id": to_text(head)},
            )
            self._rebuild()
        return None
