"""What is done to a whole queue. What concerns many jobs is done in steps, and says how far it came in some seconds."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request

from toril.web.answers import Json, ok
from toril.web.errors import HttpError
from toril.web.firm_jobs import Tally, retry_firm_jobs
from toril.web.queue_panel import WORKS_FOR, Panelled, QueueName, in_time
from toril.web.queue_route import QueueRoute, described, read_body, takes
from toril.web.queue_views import Clean, Obliterate, Said, Swept
from toril.web.schemas import Answer

router = APIRouter(route_class=QueueRoute)

_DONE: Final = {"success": True, "message": "queue pdf is paused", "data": None}
_SWEPT: Final = {"success": True, "data": {"count": 812, "finished": True}}

#: Jobs deleted before the next look at the clock.
_STEP: Final = 2000

#: Ids that an answer lists.
_LISTED: Final = 1000


class NotConfirmed(HttpError):
    """The confirmation is not the queue's name."""

    code, status = "not_confirmed", 400


@router.post("/{name}/pause", response_model=Said[None], responses=described(_DONE, 401, 403, 404, 503))
async def pause_queue(name: QueueName, panel: Panelled) -> Json:
    """Let no worker take jobs of this queue; running ones go on."""
    panel.queue(name)
    panel.require_installation()
    await panel.audit("queue.pause", name)
    await panel.service.pause_queue(name)
    return ok(None, message=f"queue {name} is paused")


@router.post("/{name}/resume", response_model=Said[None], responses=described(_DONE, 401, 403, 404, 503))
async def resume_queue(name: QueueName, panel: Panelled) -> Json:
    """Let workers take jobs of this queue again."""
    panel.queue(name)
    panel.require_installation()
    await panel.audit("queue.resume", name)
    await panel.service.resume_queue(name)
    return ok(None, message=f"queue {name} is worked again")


@router.post(
    "/{name}/clean",
    response_model=Answer[Swept],
    responses=described(_SWEPT, 400, 401, 403, 404, 413, 415, 503),
    openapi_extra=takes(Clean, {"gracePeriod": 86_400_000, "type": "completed"}, optional=True),
)
async def clean_queue(name: QueueName, request: Request, panel: Panelled) -> Json:
    """Delete the jobs of one state that have been left alone for the grace period; up to 1000 of their ids are told."""
    panel.queue(name)
    panel.require_installation()
    body = await read_body(request, Clean, optional=True)
    asked = {"gracePeriod": body.grace_period, "type": body.type, "limit": body.limit}
    await panel.audit("queue.clean", name, **asked)
    ids: list[str] = []
    finished, until = False, time.monotonic() + WORKS_FOR
    while not finished and time.monotonic() < until:
        step = min(_STEP, body.limit - len(ids)) if body.limit else _STEP
        gone = await panel.service.clean_jobs(name, body.grace_period / 1000, body.type, step)
        ids += gone
        finished = len(gone) < step or len(ids) == body.limit
    return ok({"count": len(ids), "finished": finished, "jobIds": ids[:_LISTED]})


@router.post("/{name}/empty", response_model=Answer[Swept], responses=described(_SWEPT, 401, 403, 404, 503))
async def empty_queue(name: QueueName, panel: Panelled) -> Json:
    """Delete all jobs that are not started yet: waiting, paused and delayed ones. Schedules stay."""
    queue = panel.queue(name)
    panel.require_installation()
    await panel.audit("queue.empty", name)
    before = await queue.count()
    _, finished = await in_time(panel.service.empty_queue(name))
    return ok({"count": max(0, before - await queue.count()), "finished": finished})


@router.post(
    "/{name}/retry-all", response_model=Answer[Swept], responses=described(_SWEPT, 401, 403, 404, 503)
)
async def retry_all(name: QueueName, panel: Panelled) -> Json:
    """Put all failed jobs back into the queue, the oldest failure first; a firm's administrator, those of the firm."""
    queue = panel.queue(name)
    await panel.audit("queue.retry_all", name)
    if panel.firm_id is not None:
        tally = Tally()
        _, finished = await in_time(retry_firm_jobs(queue, panel.firm_id, tally))
        return ok({"count": tally.count, "finished": finished})
    moved, until = 0, time.monotonic() + WORKS_FOR
    async with aclosing(queue.retry_in_steps()) as steps:
        async for step, more in steps:
            moved += step  # what was done here, whoever else retries jobs meanwhile
            if more and time.monotonic() >= until:
                return ok({"count": moved, "finished": False})
    return ok({"count": moved, "finished": True})


@router.post(
    "/{name}/obliterate",
    response_model=Answer[Swept],
    responses=described(_SWEPT, 400, 401, 403, 404, 409, 413, 415, 503),
    openapi_extra=takes(Obliterate, {"confirm": "pdf", "force": False}),
)
async def obliterate_queue(name: QueueName, request: Request, panel: Panelled) -> Json:
    """Delete the queue: its jobs, schedules, counters, everything. It is paused first.

    `confirm` is the queue's name once more. While jobs run that is a 409, unless `force` is true.
    """
    queue = panel.queue(name)
    panel.require_installation()
    body = await read_body(request, Obliterate)
    if body.confirm != name:
        text = f"confirm must be the queue's name, {name!r}: this deletes everything in it"
        raise NotConfirmed(text, details=[("confirm", text)])
    await panel.audit("queue.obliterate", name, force=body.force)
    before: dict[str, Any] = await queue.counts()
    _, finished = await in_time(queue.obliterate(force=body.force))
    left: dict[str, Any] = {} if finished else await queue.counts()
    count = sum(before.values()) - sum(left.values())
    return ok({"count": max(0, count), "finished": finished})
