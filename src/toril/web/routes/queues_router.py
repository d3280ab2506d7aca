"""All queue endpoints together."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute

from toril.web.queue_route import QueueRoute
from toril.web.routes import (
    jobs,
    jobs_actions,
    jobs_add,
    jobs_export,
    jobs_search,
    queues,
    queues_control,
    queues_dead_letters,
    queues_events,
    queues_metrics,
    queues_schedules,
)

#: Fixed names come before parameters in their place: ``dead-letters`` before a queue's, ``search`` before a job's.
_PARTS: Final = (
    queues_dead_letters, queues, jobs_search, jobs_export, jobs_add, jobs_actions, jobs, queues_control,
    queues_schedules, queues_metrics, queues_events,
)  # fmt: skip


def build_router(
    *, reading: list[Any], writing: list[Any], one_job: list[Any] | None = None, prefix: str
) -> APIRouter:
    """All queue endpoints, each behind the dependencies of its kind; the last of these must set the panel.

    Args:
        reading, writing: for GET, and for the other methods.
        one_job: for reading one job; ``reading`` unless given.
    """
    router = APIRouter(tags=["queues"], route_class=QueueRoute)
    for part in _PARTS:
        for route in part.router.routes:
            assert isinstance(route, APIRoute)
            asked = writing if route.methods != {"GET"} else reading
            if route.name == "read_job" and one_job is not None:
                asked = one_job
            single = APIRouter(route_class=QueueRoute)
            single.routes.append(route)
            router.include_router(single, prefix=prefix, dependencies=asked)
    return router
