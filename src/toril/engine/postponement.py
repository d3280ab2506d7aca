"""Jobs that are put off: they run later, without an attempt being counted, up to a limit on the time in all."""

from __future__ import annotations

from typing import Any

import orjson

from toril.engine.encoding import number
from toril.engine.job import Job
from toril.engine.outcome import Outcome, failed_for_good, reason_of
from toril.engine.scripts.runner import ScriptRunner
from toril.errors import PostponedError, QueueUnavailableError, UnrecoverableError

_SHORTEST_MS = 1.0  # a wait of 0 would let a job run in a circle


async def postponed(scripts: ScriptRunner, job: Job[Any], error: PostponedError) -> Outcome:
    """The job runs again when ``error`` says; or fails, when it has been put off for as long as that allows."""
    wait = max(_SHORTEST_MS, (error.retry_after or 0) * 1000)
    at_most = max(0.0, error.at_most * 1000)
    try:
        left = await scripts.run(
            "postpone", job.id, number(job.timestamp or 0), number(round(at_most)), number(round(wait))
        )
    except QueueUnavailableError:
        left = wait  # nobody can say how long it has been put off; the next time will tell
    if left < 0:
        reason = f"{reason_of(error)}; it was put off for {_length(error.at_most)} in all, which is the limit"
        final = UnrecoverableError(reason)
        final.__cause__ = error
        return failed_for_good(job, final)
    wait = max(_SHORTEST_MS, min(wait, left))
    job.failed_reason = reason_of(error)
    arguments = (job.failed_reason, orjson.dumps(job.stacktrace), str(job.attempts_made))
    return Outcome("delay", job, (*arguments, number(round(wait)), "", ""), error=error, wait_ms=wait)


def _length(seconds: float) -> str:
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"
