"""The jobs of a queue: a page of them, one, and what Bull's own dashboards do with one."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query

from toril.engine.queue import Queue
from toril.engine.search import list_only, read_page
from toril.engine.states import ALL, COMPLETED, FAILED, check_state
from toril.errors import JobNotFoundError
from toril.service_queues import job_status
from toril.web.answers import Json, ok
from toril.web.firm_jobs import firm_of, only_of
from toril.web.queue_panel import End, JobId, Panelled, QueueName, Start, page_of
from toril.web.queue_route import QueueRoute, described
from toril.web.queue_views import JobPage, JobRef, JobStatus, Said
from toril.web.schemas import Answer

router = APIRouter(route_class=QueueRoute)

JOB: Final = {
    "jobId": "pdf-1732400000000-k3v9x0q2a",
    "queueName": "pdf",
    "state": "completed",
    "progress": 100,
    "data": {"type": "custom", "data": {"html": "<p>Hello</p>", "firmId": "507f1f77bcf86cd799439011"}},
    "options": {"attempts": 2, "backoff": {"type": "fixed", "delay": 5000}, "timestamp": 1732400000000},
    "timestamp": 1732400000000,
    "processedOn": 1732400000004,
    "finishedOn": 1732400000051,
    "failedReason": None,
    "returnValue": {"success": True, "fileName": "custom.pdf", "size": 12_345},
    "attemptsMade": 0,
    "stacktrace": [],
}
REF: Final = {
    "success": True,
    "message": "job retried",
    "data": {"jobId": "pdf-1732400000000-k3v9x0q2a", "queueName": "pdf"},
}

Status = Annotated[str, Query(description="State of the jobs.", json_schema_extra={"enum": list(ALL)})]


@router.get(
    "/{name}/jobs",
    response_model=JobPage,
    responses=described(
        {"success": True, "count": 1, "total": 812, "start": 0, "end": 0, "data": [JOB]},
        400,
        401,
        403,
        404,
        503,
    ),
)
async def list_jobs(
    name: QueueName, panel: Panelled, status: Status = "waiting", start: Start = 0, end: End = 20
) -> Json:
    """The jobs in one state from place `start` to `end`, both included; at most 200, `total` tells how many there are.

    Waiting, delayed and active jobs come as they will run or began to, finished ones the newest first. Only the jobs of
    the page are read, so it costs the same however many there are. A page ends early when its jobs have more than 8 MiB
    together; `end` is the last place that is told, and the next page begins behind it.

    For a firm's administrator, places and `total` are among the firm's jobs. The first 10,000 jobs of the state are
    looked at; `complete` is false when there are more.
    """
    queue = panel.queue(name)
    state = check_state(status)
    if panel.firm_id is not None:
        return await _firm_page(queue, panel.firm_id, state, start, end)
    asc = state not in (COMPLETED, FAILED)
    if start >= 0 and end >= 0:
        first, last = page_of(start, end, 0)
        ids, counts = await asyncio.gather(
            _list(queue, state, first, last, asc), panel.service.get_job_counts(name)
        )
    else:
        counts = await panel.service.get_job_counts(name)
        first, last = page_of(start, end, counts[state])
        ids = await _list(queue, state, first, last, asc)
    jobs, last = await read_page(queue, ids, first, last)
    return ok(
        [job_status(name, job, state) for job in jobs],
        count=len(jobs),
        total=counts[state],
        start=first,
        end=last,
    )


@router.get(
    "/{name}/jobs/{job_id}",
    name="read_job",
    response_model=Answer[JobStatus],
    responses=described({"success": True, "data": JOB}, 401, 403, 404, 503),
)
async def read_job(name: QueueName, job_id: JobId, panel: Panelled) -> Json:
    """Where a job is, and what came of it. Without the role admin, only whom it was added for may.

    A job with the id `search` or `export` is not reached here, but by a search.
    """
    panel.queue(name)
    status = await panel.service.get_job_status(name, job_id)
    if status is None or panel.firm_id not in (None, firm_of(status["data"])):
        raise JobNotFoundError(
            job_id, f"queue {name!r} has no job {job_id!r}: never added, removed, or trimmed"
        )
    return ok(status)


@router.post(
    "/{name}/retry/{job_id}",
    response_model=Said[JobRef],
    responses=described(REF, 401, 403, 404, 409, 503),
)
async def retry_job(name: QueueName, job_id: JobId, panel: Panelled) -> Json:
    """Put a failed job back in its queue; 409 for a job that has not failed."""
    panel.queue(name)
    await panel.require_own(name, job_id)
    await panel.audit("job.retry", f"{name}/{job_id}")
    await panel.service.retry_job(name, job_id)
    return ok({"jobId": job_id, "queueName": name}, message="job retried")


@router.delete(
    "/{name}/jobs/{job_id}",
    response_model=Said[JobRef],
    responses=described(REF, 401, 403, 404, 409, 503),
)
async def remove_job(name: QueueName, job_id: JobId, panel: Panelled) -> Json:
    """Delete a job and all that is kept of it; 409 while a worker holds it."""
    panel.queue(name)
    await panel.require_own(name, job_id)
    await panel.audit("job.remove", f"{name}/{job_id}")
    await panel.service.remove_job(name, job_id)
    return ok({"jobId": job_id, "queueName": name}, message="job removed")


async def _firm_page(queue: Queue, firm_id: str, state: str, start: int, end: int) -> Json:
    asc, only = state not in (COMPLETED, FAILED), only_of(firm_id)
    total = 0
    if min(start, end) < 0:
        total = (await list_only(queue, only, state, 0, -1, asc=asc)).total
    first, last = page_of(start, end, total)
    part = await list_only(queue, only, state, first, last, asc=asc)
    jobs = [job_status(queue.name, job, state) for job in part.jobs]
    return ok(jobs, count=len(jobs), total=part.total, start=first, end=part.last, complete=part.complete)


async def _list(queue: Queue, state: str, first: int, last: int, asc: bool) -> list[str]:
    return await queue.list_ids(state, first, last, asc) if first <= last else []
