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

#: Fixed names come before parameters in their place: ``dead-letters`` before a queue's, ``search`` before a job's. Else
#: what is called most comes first, since the framework tries one route after the other.
_PARTS: Final = (
    jobs_add, queues_dead_letters, jobs_search, jobs_export, queues, jobs, jobs_actions, queues_control,
    queues_metrics, queues_events, queues_schedules,
)  # fmt: skip


def build_router(
    *,
    reading: list[Any],
    writing: list[Any],
    one_job: list[Any] | None = None,
    prefix: str,
    also_known: frozenset[str] = frozenset(),
) -> APIRouter:
    """All queue endpoints, each behind the dependencies of its kind; the last of these must set the panel.

    Args:
        reading, writing: for GET, and for the other methods.
        one_job: for reading one job; ``reading`` unless given.
        also_known: parameters of queries that others read by hand.
    """
    route_class = type("QueueRoute", (QueueRoute,), {"also_known": also_known})
    router = APIRouter(tags=["queues"], route_class=route_class)
    for part in _PARTS:
        for route in part.router.routes:
            assert isinstance(route, APIRoute)
            asked = writing if route.methods != {"GET"} else reading
            if route.name == "read_job" and one_job is not None:
                asked = one_job
            # Not included one in another, since the framework then looks through all routes again at each level.
            router.add_api_route(
                prefix + route.path,
                route.endpoint,
                methods=list(route.methods or ()),
                name=route.name,
                dependencies=asked,
                response_model=route.response_model,
                response_class=route.response_class,
                status_code=route.status_code,
                responses=route.responses,
                openapi_extra=route.openapi_extra,
            )
    return router
