"""How long jobs waited and ran of late, from the times that finished jobs keep."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from toril.engine.queue import Queue
from toril.engine.states import COMPLETED, FAILED

_FIELDS = ("timestamp", "processedOn", "finishedOn")


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds, one entry for each job.

    Attributes:
        latency: from the add to the start of the last attempt, a delay or a wait before a retry included.
        run_time: of the last attempt.
    """

    latency: list[float]
    run_time: list[float]


async def recent_timings(queue: Queue, count: int = 500) -> Timings:
    """The times of the newest ``count`` completed and the newest ``count`` failed jobs that are kept."""
    found = await asyncio.gather(*(queue.list_ids(state, 0, count - 1) for state in (COMPLETED, FAILED)))
    ids = [job_id for part in found for job_id in part]
    rows = await asyncio.gather(
        *(queue.scripts.ask("HMGET", queue.keys.job(job_id), *_FIELDS) for job_id in ids)
    )
    timings = Timings([], [])
    for row in rows:
        try:
            added, began, ended = (None if value is None else float(value) for value in row)
        except ValueError:  # written by something else than a queue library
            continue
        if began is not None and added is not None:
            timings.latency.append(max(0.0, began - added))
        if began is not None and ended is not None:
            timings.run_time.append(max(0.0, ended - began))
    return timings


def percentile(values: Sequence[float], part: float) -> float | None:
    """The smallest value that at least ``part`` (0 to 1) of all do not exceed; None of none ("nearest rank")."""
    return sorted(values)[max(0, ceil(part * len(values)) - 1)] if values else None
