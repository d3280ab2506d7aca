"""Sending the same to many, each once: several at a time, noted as it goes, given up when the service is away.

What is sent, and what an outcome looks like, is for the queue that uses it to say.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Final, Generic, TypeVar

_U = TypeVar("_U")
_N = TypeVar("_N")

GIVE_UP_AFTER: Final = 5  #: passing faults in a row: then it is the service, not who is written to
FINISH_S: Final = 4.0  #: seconds that what is under way gets when the job is stopped


class SendOnce(Generic[_N]):
    """One attempt at what of a job is not sent yet.

    Args:
        record: keeps notes for ever, by the key of whom they are about.

    Attributes:
        notes: of this attempt, recorded.
        is_over: nothing more is begun; what is under way goes on to its end.
    """

    def __init__(self, record: Callable[[Mapping[str, _N]], Awaitable[None]]) -> None:
        self.notes: dict[str, _N] = {}
        self.is_over = False
        self._record = record
        self._unrecorded: dict[str, _N] = {}
        self._recording = asyncio.Lock()
        self._faults: Counter[str] = Counter()  # passing ones in a row, by service
        self._failure: Exception | None = None

    async def run(self, units: Iterable[_U], send: Callable[[_U], Awaitable[None]], *, at_once: int) -> None:
        """Call ``send`` for each of ``units``, ``at_once`` at a time.

        Raises:
            Exception: the first that ``send`` raised; what was under way then has come to its end, and is noted.
        """
        pending = iter(units)  # shared: each worker takes the next one
        tasks = [asyncio.create_task(self._work(pending, send)) for _ in range(at_once)]
        if not tasks:
            return
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            self.is_over = True
            # What is under way is noted, or it would be sent again.
            await asyncio.wait(tasks, timeout=FINISH_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        if self._failure is None:
            return
        if self._unrecorded:
            try:
                await self._flush()
            except Exception as error:
                raise self._failure from error
        raise self._failure

    async def note(self, notes: Mapping[str, _N]) -> None:
        """Record; returns when it is done. What comes while another call records goes out together with the next.

        Raises:
            Exception: it could not be recorded. It is kept for the next call.
        """
        self._unrecorded |= notes
        async with self._recording:
            # Only who waits for a write of his own begins one: else each would write what came a moment ago.
            if notes.keys() & self._unrecorded.keys():
                await self._write()

    def count_fault(self, service: str = "") -> None:
        """Note a passing fault of a service."""
        self._faults[service] += 1

    def count_success(self, service: str = "") -> None:
        """The service works."""
        self._faults[service] = 0

    def is_away(self, service: str = "") -> bool:
        """Whether so many faults came in a row that the rest waits for the next attempt."""
        return self._faults[service] >= GIVE_UP_AFTER

    async def _work(self, pending: Iterator[_U], send: Callable[[_U], Awaitable[None]]) -> None:
        while not self.is_over and self._failure is None:
            try:
                unit = next(pending)
            except StopIteration:
                return
            try:
                await send(unit)
            except Exception as error:
                self._failure = self._failure or error

    async def _flush(self) -> None:
        async with self._recording:
            await self._write()

    async def _write(self) -> None:
        ready, self._unrecorded = self._unrecorded, {}
        try:
            await self._record(ready)
        except BaseException:
            self._unrecorded = {**ready, **self._unrecorded}
            raise
        self.notes |= ready
