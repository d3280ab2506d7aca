"""How the queues are: all of them, one, its workers, its counts."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter

from toril.web.answers import Json, ok
from toril.web.queue_panel import Panelled, QueueName
from toril.web.queue_route import QueueRoute, described
from toril.web.queue_views import Counts, ListAnswer, QueueAnswer, QueueStats
from toril.web.schemas import Answer

router = APIRouter(route_class=QueueRoute)

_COUNTS: Final = {"waiting": 3, "active": 1, "completed": 812, "failed": 2, "delayed": 0, "paused": 0}
_STATS: Final = {"name": "pdf", **_COUNTS}
_WORKER: Final = {"id": "7", "addr": "10.0.0.5:50112", "name": "pdf", "age": "3600", "idle": "1"}


@router.get(
    "",
    response_model=ListAnswer[QueueStats],
    responses=described({"success": True, "count": 1, "data": [_STATS]}, 401, 403, 503),
)
async def list_queues(panel: Panelled) -> Json:
    """All queues, and how many of their jobs are in each state."""
    stats = await panel.service.get_all_queues_stats()
    return ok(stats, count=len(stats))


@router.get(
    "/{name}",
    response_model=QueueAnswer,
    responses=described({"success": True, "isPaused": False, "data": _STATS}, 401, 403, 404, 503),
)
async def read_queue(name: QueueName, panel: Panelled) -> Json:
    """One queue, and how many of its jobs are in each state. `isPaused` tells what no number does while it is empty."""
    queue = panel.queue(name)
    stats, paused = await asyncio.gather(panel.service.get_queue_stats(name), queue.is_paused())
    return ok(stats, isPaused=paused)


@router.get(
    "/{name}/counts",
    response_model=Answer[Counts],
    responses=described({"success": True, "data": _COUNTS}, 401, 403, 404, 503),
)
async def read_counts(name: QueueName, panel: Panelled) -> Json:
    """How many jobs are in each state, at one moment."""
    panel.queue(name)
    return ok(await panel.service.get_job_counts(name))


@router.get(
    "/{name}/workers",
    response_model=ListAnswer[dict[str, str]],
    responses=described({"success": True, "count": 1, "total": 1, "data": [_WORKER]}, 401, 403, 404, 503),
)
async def list_workers(name: QueueName, panel: Panelled) -> Json:
    """The workers that are connected, Python's and Node's, as the server lists its clients."""
    panel.require_installation()
    found = await panel.queue(name).workers()
    return ok(found, count=len(found), total=len(found))
