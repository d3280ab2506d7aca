"""A list of jobs as a file, read page by page while it is sent."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from toril.engine.portions import PORTION, read_in_portions
from toril.engine.queue import Queue
from toril.engine.search import Only, ids_of
from toril.engine.states import ALL, COMPLETED, FAILED, check_state
from toril.queues.spreadsheet import csv_writer, harmless
from toril.service_queues import job_status
from toril.web.answers import Json
from toril.web.firm_jobs import only_of
from toril.web.queue_panel import Panelled, QueueName
from toril.web.queue_route import QueueRoute, described

router = APIRouter(route_class=QueueRoute)

#: Columns of the CSV file, as ``get_job_status`` names them; ``data`` and the like are JSON.
COLUMNS: Final = (
    "jobId", "queueName", "state", "attemptsMade", "timestamp", "processedOn", "finishedOn", "progress",
    "failedReason", "data", "options", "returnValue",
)  # fmt: skip

#: Bytes of jobs that are held at a time.
_PAGE_BYTES: Final = PORTION
MOST: Final = 100_000

_ANSWERS: Final = described(
    "jobId,queueName,state,…\r\npdf-1732400000000-k3v9x0q2a,pdf,failed,…\r\n",
    400, 401, 403, 404, 503,
    media_type="text/csv",
    text="The file, as CSV (UTF-8 with a mark, for spreadsheets) or JSON (`{success, data: […]}`).",
)  # fmt: skip
_ANSWERS[200]["content"]["application/json"] = {"example": {"success": True, "data": []}}


@router.get(
    "/{name}/jobs/export",
    response_class=StreamingResponse,
    responses=_ANSWERS,
)
async def export_jobs(
    name: QueueName,
    panel: Panelled,
    status: Annotated[
        str, Query(description="State of the jobs.", json_schema_extra={"enum": list(ALL)})
    ] = "completed",
    format: Annotated[Literal["csv", "json"], Query(description="Kind of file.")] = "csv",
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many jobs at most.")] = 10_000,
) -> StreamingResponse:
    """The jobs that are in one state when it begins, as a file, in the order of the list; none is in it twice, and
    those that are deleted meanwhile are left out.

    The header `X-Complete` is `false` when there are more than `limit`, or more than the 100,000 that are looked at.
    """
    queue = panel.queue(name)
    state = check_state(status)
    only = None if panel.firm_id is None else only_of(panel.firm_id)
    most = limit if only is None else MOST
    await panel.audit("job.export", name, status=state, format=format, limit=limit)
    ids, complete = await ids_of(queue, state, asc=state not in (COMPLETED, FAILED), most=most, only=only)
    pages = read_pages(queue, state, ids[:limit], only)
    first = await anext(pages)  # what goes wrong until here has a status of its own
    body, kind = (
        (_csv(first, pages), "text/csv") if format == "csv" else (_json(first, pages), "application/json")
    )
    return StreamingResponse(
        body,
        media_type=kind,
        headers={
            "Content-Disposition": f'attachment; filename="jobs-{state}.{format}"',
            "Cache-Control": "no-store",
            "X-Complete": "true" if complete and len(ids) <= limit else "false",
        },
    )


async def read_pages(
    queue: Queue, state: str, ids: Sequence[str], only: Only | None = None
) -> AsyncIterator[list[dict[str, Any]]]:
    """These jobs, in pages; at least one, which may be empty. A page is held until its reader has taken it, and many
    may read at once, so it is not large, whatever the jobs are.
    """
    none = True
    async for read in read_in_portions(queue, ids, _PAGE_BYTES):
        none = False
        yield [
            job_status(queue.name, job, state)
            for _, _, job in read
            if job is not None and (only is None or only.takes(job))
        ]
    if none:
        yield []


async def _csv(
    first: list[dict[str, Any]], rest: AsyncIterator[list[dict[str, Any]]]
) -> AsyncIterator[bytes]:
    text = io.StringIO()
    writer = csv_writer(text)
    text.write("\ufeff")
    writer.writerow(COLUMNS)
    page: list[dict[str, Any]] | None = first
    while page is not None:
        writer.writerows([_cell(job[column]) for column in COLUMNS] for job in page)
        yield text.getvalue().encode("utf-8", "backslashreplace")
        text.seek(0)
        text.truncate()
        page = await anext(rest, None)


async def _json(
    first: list[dict[str, Any]], rest: AsyncIterator[list[dict[str, Any]]]
) -> AsyncIterator[bytes]:
    yield b'{"success":true,"data":['
    page: list[dict[str, Any]] | None = first
    between = b""
    while page is not None:
        for job in page:
            yield between + bytes(Json(job).body)
            between = b",\n"
        page = await anext(rest, None)
    yield b"]}"


def _cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else bytes(Json(value).body).decode()
    return harmless(text)
