"""The contract of a background duty: start, stop, and one step that tests can call."""

from __future__ import annotations

import asyncio
import logging
import random
from abc import ABC, abstractmethod

from toril.engine.waiting import comes_within
from toril.errors import QueueUnavailableError

log = logging.getLogger("toril.worker")


class Service(ABC):
    """Repeats ``run_once`` until stopped. ``start`` and ``stop`` may be called twice, in any order.

    Args:
        name: of its task.
        period: seconds between steps, drawn ±10 % so that workers do not march in step.
        at_once: whether the first step comes at the start, or after one period.
    """

    def __init__(self, name: str, period: float, *, at_once: bool = False) -> None:
        self.name, self.period, self._at_once = name, period, at_once
        self._task: asyncio.Task[None] | None = None
        self._poked = asyncio.Event()

    @abstractmethod
    async def run_once(self) -> float | None:
        """Do the duty once; returns seconds until the next time if it differs from the period."""

    async def start(self) -> None:
        """Begin repeating."""
        if not self.is_running():
            if self._task is not None:
                self._poked = asyncio.Event()  # the other was one of a loop that has ended
            self._task = asyncio.create_task(self._repeat(), name=f"toril-{self.name}")

    def is_running(self) -> bool:
        """Whether it repeats, in this event loop."""
        task = self._task
        return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()

    def start_anew(self) -> None:
        """In a child process after a fork: the parent's task is not ours."""
        self._task, self._poked = None, asyncio.Event()

    async def stop(self) -> None:
        """End repeating; a step under way is cancelled."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def poke(self) -> None:
        """Do the next step now."""
        self._poked.set()

    async def _repeat(self) -> None:
        wait = 0.0 if self._at_once else self._jittered()
        while True:
            if wait > 0:
                await comes_within(self._poked.wait(), wait)
            self._poked.clear()
            try:
                wanted = await self.run_once()
                wait = self._jittered() if wanted is None else max(0.0, wanted)
            except QueueUnavailableError as error:
                # The connection has said that the server is away; here it only means: later.
                log.debug("service_waits", extra={"service": self.name, "reason": str(error)})
                wait = min(self._jittered(), 1.0)
            except Exception:
                log.exception("service_failed", extra={"service": self.name})
                wait = self._jittered()

    def _jittered(self) -> float:
        return self.period * random.uniform(0.9, 1.1)  # noqa: S311 - jitter
