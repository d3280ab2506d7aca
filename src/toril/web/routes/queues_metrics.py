"""How much a queue does, and how quickly."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from toril.engine.timings import percentile, recent_timings
from toril.web.answers import Json, ok
from toril.web.queue_panel import Panelled, QueueName
from toril.web.queue_route import QueueRoute, described
from toril.web.queue_views import MetricsView
from toril.web.schemas import Answer

router = APIRouter(route_class=QueueRoute)

_TIMES: Final = {"p50": 12.0, "p95": 48.0, "p99": 130.0, "jobs": 1000}
_METRICS: Final = {
    "perMinute": {"completed": [31, 40, 28], "failed": [0, 1, 0]},
    "completedInAll": 48_210,
    "failedInAll": 17,
    "latency": _TIMES,
    "runTime": _TIMES,
}


@router.get(
    "/{name}/metrics",
    response_model=Answer[MetricsView],
    responses=described({"success": True, "data": _METRICS}, 400, 401, 403, 404, 503),
)
async def read_metrics(
    name: QueueName,
    panel: Panelled,
    minutes: Annotated[int, Query(ge=1, le=20_160, description="How many of the last minutes.")] = 60,
) -> Json:
    """Jobs a minute, and how long jobs waited and ran, in milliseconds.

    Workers count jobs a minute while their option `metrics` is on. The percentiles are of the newest 500 completed and
    500 failed jobs that are kept: `latency` from the add to the start of the last attempt, with delays and waits
    between attempts; `runTime` of the last attempt.
    """
    queue = panel.queue(name)
    completed, failed, timings = await asyncio.gather(
        queue.metrics("completed", 0, minutes - 1),
        queue.metrics("failed", 0, minutes - 1),
        recent_timings(queue),
    )
    return ok(
        {
            "perMinute": {"completed": completed["data"], "failed": failed["data"]},
            "completedInAll": completed["meta"]["count"],
            "failedInAll": failed["meta"]["count"],
            "latency": _percentiles(timings.latency),
            "runTime": _percentiles(timings.run_time),
        }
    )


def _percentiles(values: Sequence[float]) -> dict[str, Any]:
    named = {f"p{part}": percentile(values, part / 100) for part in (50, 95, 99)}
    return {**named, "jobs": len(values)}
