"""What else can be done with jobs: start them early, stop them, correct their data, read their log, delete many."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request

from toril.engine.portions import PAGE
from toril.errors import JobError, JobNotFoundError
from toril.web.answers import Json, ok
from toril.web.firm_jobs import own_data
from toril.web.middleware.body_limit import LARGEST
from toril.web.queue_panel import End, JobId, Panelled, QueueName, Start, page_of
from toril.web.queue_route import QueueRoute, described, read_body, takes
from toril.web.queue_views import JobIds, JobRef, LogRows, NewData, Outcomes, Said
from toril.web.routes.jobs import REF
from toril.web.schemas import Answer

router = APIRouter(route_class=QueueRoute)

#: Rows of a log that are read first: whether they are long is not known.
_FIRST_ROWS: Final = 10

#: Rows of a log on one page.
_MOST_ROWS: Final = 1000

#: Removals under way at once.
_STEP: Final = 50

_OUTCOMES: Final = {
    "success": True,
    "count": 2,
    "removed": 1,
    "data": [
        {"jobId": "41", "done": True},
        {"jobId": "42", "done": False, "error": {"code": "job_locked", "message": "a worker holds it"}},
    ],
}


@router.post(
    "/{name}/jobs/remove",
    response_model=Outcomes,
    responses=described(_OUTCOMES, 400, 401, 403, 404, 413, 415, 503),
    openapi_extra=takes(JobIds, {"ids": ["41", "42"]}),
)
async def remove_jobs(name: QueueName, request: Request, panel: Panelled) -> Json:
    """Delete up to 1000 jobs; tells of each whether it is gone, and if not why."""
    panel.queue(name)
    body = await read_body(request, JobIds)
    ids = list(dict.fromkeys(body.ids))
    await panel.audit("job.remove_many", name, count=len(ids), ids=ids[:100])

    async def remove(job_id: str) -> dict[str, Any]:
        try:
            await panel.require_own(name, job_id)
            await panel.service.remove_job(name, job_id)
        except JobError as error:
            return {"jobId": job_id, "done": False, "error": {"code": error.code, "message": str(error)}}
        return {"jobId": job_id, "done": True}

    outcomes: list[dict[str, Any]] = []
    for first in range(0, len(ids), _STEP):
        outcomes += await asyncio.gather(*map(remove, ids[first : first + _STEP]))
    return ok(outcomes, count=len(outcomes), removed=sum(each["done"] for each in outcomes))


@router.post(
    "/{name}/jobs/{job_id}/promote",
    response_model=Said[JobRef],
    responses=described(REF, 401, 403, 404, 409, 503),
)
async def promote_job(name: QueueName, job_id: JobId, panel: Panelled) -> Json:
    """Put a delayed job into the queue before it is due; 409 for a job that is not delayed."""
    queue = panel.queue(name)
    await panel.require_own(name, job_id)
    await panel.audit("job.promote", f"{name}/{job_id}")
    await queue.actions.promote(job_id)
    return ok({"jobId": job_id, "queueName": name}, message="job promoted")


@router.post(
    "/{name}/jobs/{job_id}/cancel",
    response_model=Said[JobRef],
    responses=described(REF, 401, 403, 404, 409, 503),
)
async def cancel_job(name: QueueName, job_id: JobId, panel: Panelled) -> Json:
    """Stop a job: one that waits fails at once as `cancelled`, a running one is told; 409 for one that has finished.

    A running job ends once its worker has heard of it. Node's workers do not listen.
    """
    queue = panel.queue(name)
    await panel.require_own(name, job_id)
    await panel.audit("job.cancel", f"{name}/{job_id}")
    await queue.actions.cancel(job_id)
    return ok({"jobId": job_id, "queueName": name}, message="job cancelled")


@router.put(
    "/{name}/jobs/{job_id}/data",
    response_model=Said[JobRef],
    responses=described(REF, 400, 401, 403, 404, 409, 413, 415, 503),
    openapi_extra=takes(NewData, {"data": {"type": "custom", "data": {"html": "<p>Better</p>"}}}),
)
async def update_data(name: QueueName, job_id: JobId, request: Request, panel: Panelled) -> Json:
    """Replace a job's data, which must fit as that of a new job must. An attempt that runs goes on with what it has.

    409 for a job that has ended: its data says what it did, and whose it is.
    """
    queue = panel.queue(name)
    body = await read_body(request, NewData, largest=LARGEST)
    data = own_data(panel.service.definitions[name], body.data, panel.firm_id)
    panel.service.definitions[name].check(data)
    await panel.require_own(name, job_id)
    await panel.audit("job.update_data", f"{name}/{job_id}")
    await queue.actions.update_data(job_id, data, unfinished=True)
    return ok({"jobId": job_id, "queueName": name}, message="data replaced")


@router.get(
    "/{name}/jobs/{job_id}/logs",
    response_model=Answer[LogRows],
    responses=described(
        {"success": True, "data": {"logs": ["rendering 3 pages"], "count": 1}}, 400, 401, 403, 404, 503
    ),
)
async def read_logs(name: QueueName, job_id: JobId, panel: Panelled, start: Start = 0, end: End = -1) -> Json:
    """Rows of a job's log, the oldest first: at most 1000, and fewer when they have more than 8 MiB together. `count`
    tells how many there are.
    """
    queue = panel.queue(name)
    await panel.require_own(name, job_id)
    _, total = await queue.logs(job_id, 0, 0)
    first, last = page_of(start, end, total, most=_MOST_ROWS)
    if total == 0 and await queue.get_job(job_id) is None:
        raise JobNotFoundError(job_id, f"queue {name!r} has no job {job_id!r}, and no log of it")
    rows, spent, step = list[str](), 0, _FIRST_ROWS
    while first + len(rows) <= last:
        at = first + len(rows)
        some, total = await queue.logs(job_id, at, min(at + step - 1, last))
        for row in some:
            spent += len(row)
            if rows and spent > PAGE:
                return ok({"logs": rows, "count": total})
            rows.append(row)
        if not some:
            break
        step *= 10  # they are short, as most are
    return ok({"logs": rows, "count": total})
