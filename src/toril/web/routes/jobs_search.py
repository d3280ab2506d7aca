"""Looking for jobs by their id, name or data."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from toril.engine.search import find_jobs
from toril.engine.states import ALL
from toril.queues.redaction import redacted
from toril.service_queues import job_status
from toril.web.answers import Json, ok
from toril.web.firm_jobs import only_of
from toril.web.queue_panel import Panelled, QueueName
from toril.web.queue_route import QueueRoute, described
from toril.web.queue_views import SearchAnswer
from toril.web.routes.jobs import JOB

router = APIRouter(route_class=QueueRoute)


@router.get(
    "/{name}/jobs/search",
    response_model=SearchAnswer,
    responses=described(
        {"success": True, "count": 1, "lookedAt": 10_000, "cursor": "WyJjb21wbGV0ZWQiXQ", "data": [JOB]},
        400, 401, 403, 404, 503,
    ),
)  # fmt: skip
async def search_jobs(
    name: QueueName,
    panel: Panelled,
    q: Annotated[
        str, Query(min_length=1, max_length=200, description="Text in the id, the name or the data.")
    ],
    status: Annotated[
        str | None,
        Query(description="Only jobs in this state.", json_schema_extra={"enum": list(ALL)}),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
    cursor: Annotated[
        str | None, Query(max_length=2000, description="From the answer before, to go on there.")
    ] = None,
) -> Json:
    """Jobs with a text in their id, name or data as far as it is shown, in any letter case of ASCII.

    A call looks at up to 10,000 jobs, the newest of each state first. Go on with `cursor` until it is null: an answer
    may hold no job though there are more to look at, and fewer than `limit` when they have more than 8 MiB together. A
    job that moves meanwhile may be met twice, or missed.
    """
    queue = panel.queue(name)
    only = None if panel.firm_id is None else only_of(panel.firm_id)
    found = await find_jobs(
        queue,
        q,
        states=status or ALL,
        limit=limit,
        cursor=cursor or None,
        only=only,
        view=partial(redacted, name),
    )
    data = [job_status(name, job, state) for state, job in found.jobs]
    return ok(data, count=len(data), lookedAt=found.looked_at, cursor=found.cursor)
