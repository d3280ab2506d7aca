"""Reading many jobs without holding them all: one job may have megabytes, and a page of them gigabytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from toril.engine.job import Job
from toril.engine.queue import Queue

#: Bytes of jobs that are read at a time.
PORTION: Final = 1024 * 1024
#: Bytes of jobs in one page.
PAGE: Final = 8 * 1024 * 1024

#: Jobs measured, and read, at a time.
_STEP: Final = 200


class Read(NamedTuple):
    """A job that was read; ``job`` is None when it is gone. ``size`` is in bytes."""

    job_id: str
    size: int
    job: Job[Any] | None


async def leading(queue: Queue, ids: Sequence[str], most: int = PAGE) -> int:
    """How many of these jobs, from the first on, have no more than ``most`` bytes together; one at least, if any."""
    count = spent = 0
    for at in range(0, len(ids), _STEP):
        for size in await _measure(queue, ids[at : at + _STEP]):
            spent += size
            if count and spent > most:
                return count
            count += 1
    return count


async def read_in_portions(
    queue: Queue, ids: Sequence[str], most: int = PORTION
) -> AsyncIterator[list[Read]]:
    """These jobs in their order, as many at a time as have no more than ``most`` bytes together; one at least."""
    for at in range(0, len(ids), _STEP):
        step = ids[at : at + _STEP]
        sizes = await _measure(queue, step)
        begin = 0
        while begin < len(step):
            end, spent = begin + 1, sizes[begin]
            while end < len(step) and spent + sizes[end] <= most:
                spent += sizes[end]
                end += 1
            jobs = await queue.read_jobs(step[begin:end])
            yield list(map(Read, step[begin:end], sizes[begin:end], jobs))
            begin = end


async def _measure(queue: Queue, ids: Sequence[str]) -> list[int]:
    return list(map(int, await queue.scripts.run("measure_jobs", *ids))) if ids else []
