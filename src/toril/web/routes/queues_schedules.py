"""Schedules of a queue: jobs that run again and again."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from starlette.requests import Request

from toril.engine.portions import PAGE
from toril.engine.queue import Queue
from toril.engine.repeat import repeat_key
from toril.engine.schedules import Schedule
from toril.errors import PayloadError
from toril.queues.redaction import redacted
from toril.web.answers import Json, ok
from toril.web.errors import NotFound
from toril.web.firm_jobs import find_schedule, firm_of, firm_schedules, own_data
from toril.web.middleware.body_limit import LARGEST
from toril.web.queue_panel import End, Panel, Panelled, QueueName, Start, page_of
from toril.web.queue_route import QueueRoute, described, read_body, takes
from toril.web.queue_views import AddedJob, ListAnswer, NewSchedule, Said, ScheduleView
from toril.web.routes.jobs_add import options_of, require_free, there
from toril.web.schemas import Answer

router = APIRouter(route_class=QueueRoute)

_KEY: Final = "__default__:old-logs::Asia/Riyadh:0 2 * * *"
_SCHEDULE: Final = {
    "key": _KEY,
    "name": "__default__",
    "id": "old-logs",
    "cron": "0 2 * * *",
    "tz": "Asia/Riyadh",
    "every": None,
    "endDate": None,
    "next": 1732402800000,
    "limit": None,
    "count": 1,
    "data": {"type": "old-logs", "data": {"retentionDays": 30}},
    "options": {"attempts": 2},
}
_NEW: Final = {
    "data": {"type": "old-logs", "data": {"retentionDays": 30}},
    "options": {"repeat": {"cron": "0 2 * * *", "tz": "Asia/Riyadh"}, "jobId": "old-logs"},
}
_ADDED: Final = {
    "jobId": "repeat:0b1c…:1732402800000",
    "queueName": "cleanup",
    "data": _NEW["data"],
    "options": _NEW["options"],
}

ScheduleKey = Annotated[
    str, Path(description="Key of the schedule, percent-encoded.", examples=["old-logs%3A%3A%3A3600000"])
]


@router.get(
    "/{name}/schedules",
    response_model=ListAnswer[ScheduleView],
    responses=described(
        {"success": True, "count": 1, "total": 1, "data": [_SCHEDULE]}, 400, 401, 403, 404, 503
    ),
)
async def list_schedules(name: QueueName, panel: Panelled, start: Start = 0, end: End = 99) -> Json:
    """The schedules in the order of their next runs: at most 200, and fewer when they have more than 8 MiB together."""
    queue = panel.queue(name)
    if panel.firm_id is not None:
        total = 0
        if min(start, end) < 0:
            _, total = await firm_schedules(queue, panel.firm_id)
        shown, total = await firm_schedules(queue, panel.firm_id, *page_of(start, end, total))
        return ok([_view(name, schedule) for schedule in shown], count=len(shown), total=total)
    total = await queue.schedule_count()
    first, last = page_of(start, end, total)
    found = await queue.schedules(first, last, asc=True, most=PAGE) if first <= last else []
    return ok([_view(name, schedule) for schedule in found], count=len(found), total=total)


@router.post(
    "/{name}/schedules",
    status_code=201,
    response_model=Answer[AddedJob],
    responses=described({"success": True, "data": _ADDED}, 400, 401, 403, 404, 409, 413, 415, 503, status=201)
    | there({"success": True, "data": {**_ADDED, "existed": True}}, Answer[AddedJob]),
    openapi_extra=takes(NewSchedule, _NEW),
)
async def add_schedule(name: QueueName, request: Request, panel: Panelled) -> Json:
    """Add a schedule and its first run. The same schedule again gives its next runs the new data and options; then the
    status is 200, and `existed` true.
    """
    panel.queue(name)
    body = await read_body(request, NewSchedule, largest=LARGEST)
    return await _add(name, body, panel, "schedule.add")


@router.put(
    "/{name}/schedules/{key}",
    response_model=Answer[AddedJob],
    responses=described({"success": True, "data": _ADDED}, 400, 401, 403, 404, 409, 413, 415, 503),
    openapi_extra=takes(NewSchedule, _NEW),
)
async def replace_schedule(name: QueueName, key: ScheduleKey, request: Request, panel: Panelled) -> Json:
    """Replace a schedule: its times, its data, its options. With other times it has another key afterwards.

    The new one is added before the old one ends, so there is never none.
    """
    queue = panel.queue(name)
    body = await read_body(request, NewSchedule, largest=LARGEST)
    await _require(queue, key, panel)
    answer = await _add(name, body, panel, "schedule.replace", key, status=200)
    if key != _key_of(name, body, panel):
        await queue.remove_schedule(key)
    return answer


@router.delete(
    "/{name}/schedules/{key}",
    response_model=Said[None],
    responses=described({"success": True, "message": "schedule removed", "data": None}, 401, 403, 404, 503),
)
async def remove_schedule(name: QueueName, key: ScheduleKey, panel: Panelled) -> Json:
    """End a schedule; its next run leaves the queue, unless it runs already."""
    queue = panel.queue(name)
    if panel.firm_id is not None:
        await _require(queue, key, panel)
    await panel.audit("schedule.remove", f"{name}/{key}")
    if not await queue.remove_schedule(key):
        raise _missing(queue, key)
    return ok(None, message="schedule removed")


async def _add(
    name: str, body: NewSchedule, panel: Panelled, action: str, key: str | None = None, *, status: int = 201
) -> Json:
    data = own_data(panel.service.definitions[name], body.data, panel.firm_id)
    panel.service.definitions[name].check(data)
    options = options_of(name, data, body.options)
    if options.repeat is None:
        raise PayloadError("a schedule needs options.repeat, with cron or every", field="options.repeat")
    await require_free(panel, name, [options])
    await panel.audit(action, f"{name}/{key or _key_of(name, body, panel)}", type=data["type"])
    added = await panel.service.add_job(name, data, options)
    return ok(added, status=200 if "existed" in added else status)


def _key_of(name: str, body: NewSchedule, panel: Panel) -> str:
    data = own_data(panel.service.definitions[name], body.data, panel.firm_id)
    options = options_of(name, data, body.options)
    assert options.repeat is not None
    return repeat_key("__default__", {**options.repeat.to_bull(), "jobId": options.job_id})


async def _require(queue: Queue, key: str, panel: Panel) -> None:
    schedule = await find_schedule(queue, key)
    if schedule is None or panel.firm_id not in (None, firm_of(schedule.data)):
        raise _missing(queue, key)


def _missing(queue: Queue, key: str) -> NotFound:
    return NotFound(f"queue {queue.name!r} has no schedule {key!r}", code="schedule_not_found")


def _view(queue: str, schedule: Schedule) -> dict[str, Any]:
    return {
        "key": schedule.key,
        "name": schedule.name,
        "id": schedule.id,
        "cron": schedule.cron,
        "tz": schedule.tz,
        "every": None if schedule.every is None else round(schedule.every * 1000, 3),
        "endDate": schedule.end_date,
        "next": schedule.next,
        "limit": schedule.limit,
        "count": schedule.count,
        "data": redacted(queue, schedule.data),
        "options": schedule.opts,
    }
