"""Gathers concurrent adds into batches: one script call at a time for each queue, the rest waits behind it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from toril.engine.encoding import Group
from toril.engine.one_loop import OneLoop
from toril.engine.overflow import OverflowWatch
from toril.engine.scripts.runner import ScriptRunner
from toril.engine.sharing import Sharing
from toril.errors import QueueStateError, QueueUnavailableError, apart

#: One call carries at most so many jobs, and bytes of data: it holds the server up for a few ms.
MAX_JOBS, MAX_BYTES = 1000, 4 * 1024 * 1024

#: (option group, name, data, custom id or "")
NewJob = tuple[Group, str, bytes, str]

#: (server's time ms, ids, places from 0 of those that were there already)
Added = tuple[int, list[str], frozenset[int]]

_NONE: Final[frozenset[int]] = frozenset()

_Entry = tuple[Sequence[NewJob], "asyncio.Future[Added]"]


class Producer:
    """Adds jobs to one queue, in the order they are given."""

    def __init__(self, scripts: ScriptRunner, sharing: Sharing, overflow: OverflowWatch) -> None:
        self._scripts, self._sharing, self._overflow = scripts, sharing, overflow
        self._waiting: deque[_Entry] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._request = 0
        self._overflow_left = 0
        self._closed = False
        self._owner = OneLoop(f"queue {scripts.keys.name!r}")

    def submit(self, jobs: Sequence[NewJob]) -> asyncio.Future[Added]:
        """Queue jobs for the next call; the future gets the server's time, their ids, and which were there already."""
        if self._closed:
            raise QueueUnavailableError(f"queue {self._scripts.keys.name!r} is closed; add to an open one")
        loop = asyncio.get_running_loop()
        if loop is not self._owner.loop and self._owner.enter():
            self._waiting.clear()  # of a loop that has ended
            self._sender = None
        future: asyncio.Future[Added] = loop.create_future()
        self._waiting.append((jobs, future))
        if self._sender is None or self._sender.done():
            # The task starts after the current turn of the loop, so what is added in this turn goes together.
            self._sender = asyncio.create_task(self._send_all(), name="toril-producer")
        return future

    def start_anew(self) -> None:
        """In a child process after a fork: what waits is sent by the parent."""
        self._waiting.clear()
        self._owner.loop = None
        self._sender, self._request, self._overflow_left = None, 0, 0

    async def close(self) -> None:
        """Send what waits, then take no more.

        Raises:
            QueueStateError: called from another event loop than the one that adds, while that runs.
        """
        self._owner.check()
        self._closed = True
        if self._sender is not None and not self._sender.done():
            await asyncio.wait([self._sender])

    async def _send_all(self) -> None:
        while self._waiting or self._overflow_left:
            batch = self._next_batch()
            try:
                await self._deliver(batch)
            except asyncio.CancelledError:
                for _, future in (*batch, *self._waiting):
                    future.cancel()
                self._waiting.clear()
                raise

    async def _deliver(self, batch: Sequence[_Entry]) -> None:
        try:
            now, ids, there = await self._send([job for jobs, _ in batch for job in jobs])
        except Exception as error:
            self._overflow_left = 0
            if isinstance(error, QueueStateError) and len(batch) > 1:
                # Nothing was added. Halves show whose job it is, and nobody else is refused for it.
                half = len(batch) // 2
                await self._deliver(batch[:half])
                return await self._deliver(batch[half:])
            for _, future in batch:
                if not future.done():
                    future.set_exception(apart(error))
            return None
        at = 0
        for jobs, future in batch:
            if not future.done():
                own = (
                    frozenset(place - at for place in there if at <= place < at + len(jobs))
                    if there
                    else _NONE
                )
                future.set_result((now, ids[at : at + len(jobs)], own))
            at += len(jobs)
        return None

    def _next_batch(self) -> list[_Entry]:
        batch: list[_Entry] = []
        jobs = size = 0
        while self._waiting:
            entry = self._waiting[0]
            new = entry[0]
            length = len(new[0][2]) if len(new) == 1 else sum(len(job[2]) for job in new)
            if batch and (jobs + len(new) > MAX_JOBS or size + length > MAX_BYTES):
                break
            batch.append(self._waiting.popleft())
            jobs, size = jobs + len(new), size + length
        return batch

    async def _send(self, jobs: Sequence[NewJob]) -> Added:
        groups: dict[Group, int] = {}
        rows: list[str | bytes | int] = []
        for group, name, data, job_id in jobs:
            number = groups.get(group)
            if number is None:
                number = groups[group] = len(groups) + 1
            rows += (number, name, data, job_id)
        await self._sharing.before_adds()
        self._request += 1
        heads = [part for group in groups for part in group]
        reply = await self._scripts.run("add_jobs", self._request, len(groups), *heads, *rows)
        self._overflow_left = max(0, int(reply[0]))
        if int(reply[0]) < 0:
            self._overflow.adds_overflow()
        end = 2 + len(jobs)
        there = frozenset(int(place) - 1 for place in reply[end:]) if len(reply) > end else _NONE
        return int(reply[1]), [job_id.decode() for job_id in reply[2:end]], there
