"""Adding jobs by HTTP: Bull's options, within limits that protect a queue from a slip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request

from toril.engine.options import JobOptions
from toril.engine.portions import read_in_portions
from toril.engine.queue import DEFAULT_NAME
from toril.engine.repeat import repeat_key
from toril.errors import OptionError, PayloadError
from toril.service import named
from toril.web.answers import Json, ok
from toril.web.errors import Conflict
from toril.web.firm_jobs import find_schedule, firm_of, own_data, own_options
from toril.web.middleware.body_limit import LARGEST
from toril.web.queue_panel import Panel, Panelled, QueueName
from toril.web.queue_route import QueueRoute, described, read_body, takes
from toril.web.queue_views import AddedJob, ListAnswer, NewJob, NewJobs
from toril.web.schemas import Answer

router = APIRouter(route_class=QueueRoute)

_DAY_MS: Final = 86_400_000

#: Option → least and most, in Bull's units. Who needs more adds the job in Python.
LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "attempts": (1, 100),
    "delay": (0, 366 * _DAY_MS),
    "timeout": (1, _DAY_MS),
    "stackTraceLimit": (0, 100),
    "backoff": (0, 7 * _DAY_MS),
    "backoff.delay": (0, 7 * _DAY_MS),
    "timestamp": (0, 4_000_000_000_000),
    "expiresAt": (0, 4_000_000_000_000),
    "expiresIn": (0, 366 * _DAY_MS),
    "debounce.ttl": (0, 366 * _DAY_MS),
    "repeat.every": (1000, 366 * _DAY_MS),
    "removeOnComplete": (0, 1_000_000),
    "removeOnComplete.count": (0, 1_000_000),
    "removeOnFail": (0, 1_000_000),
    "removeOnFail.count": (0, 1_000_000),
}

#: Options that a worker, and not who adds a job, is to set.
_NOT_GIVEN: Final = ("prevMillis", "preventParsingData")

_DATA: Final = {"type": "custom", "data": {"html": "<p>Hello</p>", "firmId": "507f1f77bcf86cd799439011"}}
_NEW: Final = {"data": _DATA, "options": {"priority": 1, "delay": 60_000}}
_ADDED: Final = {
    "jobId": "pdf-1732400000000-k3v9x0q2a",
    "queueName": "pdf",
    "data": _DATA,
    "options": {"attempts": 2, "priority": 1, "delay": 60_000, "jobId": "pdf-1732400000000-k3v9x0q2a"},
}


def there(example: Any, model: Any) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of an add that found what it was to add."""
    content = {"application/json": {"example": example}}
    return {
        200: {"model": model, "description": "It was there already, and stays as it is.", "content": content}
    }


@router.post(
    "/{name}/jobs",
    status_code=201,
    response_model=Answer[AddedJob],
    responses=described({"success": True, "data": _ADDED}, 400, 401, 403, 404, 409, 413, 415, 503, status=201)
    | there({"success": True, "data": {**_ADDED, "existed": True}}, Answer[AddedJob]),
    openapi_extra=takes(NewJob, _NEW),
)
async def add_job(name: QueueName, request: Request, panel: Panelled) -> Json:
    """Add a job. Data that does not fit its type is a 400 that names the field.

    A firm's administrator adds jobs of the firm only: `firmId` is filled in when it is left out, another firm's is a
    404, a type that takes no `firmId` a 403, and an id that another firm's job has a 409.

    `options` are Bull's: `delay`, `priority`, `attempts`, `backoff`, `timeout`, `jobId`, `lifo`, `repeat` and others.

    The status is 200, and `existed` true, when the queue has a job with that `jobId`, or one that debounces this: that
    one stays as it is, and is told.
    """
    panel.queue(name)
    body = await read_body(request, NewJob, largest=LARGEST)
    data = own_data(panel.service.definitions[name], body.data, panel.firm_id)
    options = own_options(options_of(name, data, body.options), panel.firm_id)
    await require_free(panel, name, [options])
    await panel.audit("job.add", f"{name}/{options.job_id}", type=data["type"])
    return told(panel, name, await panel.service.add_job(name, data, options))


@router.post(
    "/{name}/jobs/bulk",
    status_code=201,
    response_model=ListAnswer[AddedJob],
    responses=described(
        {"success": True, "count": 1, "data": [_ADDED]}, 400, 401, 403, 404, 409, 413, 415, 503, status=201
    )
    | there({"success": True, "count": 1, "data": [{**_ADDED, "existed": True}]}, ListAnswer[AddedJob]),
    openapi_extra=takes(NewJobs, {"jobs": [_NEW]}),
)
async def add_jobs(name: QueueName, request: Request, panel: Panelled) -> Json:
    """Add up to 1000 jobs. All are checked before the first is added; schedules are added one by one.

    Those that are there already are told with `existed`, and when they have more than 8 MiB together some of them with
    `cut` and without most of their data; the status is 200 when all are there.
    """
    panel.queue(name)
    body = await read_body(request, NewJobs, largest=LARGEST)
    jobs: list[dict[str, Any]] = []
    for index, job in enumerate(body.jobs):
        try:
            data = own_data(panel.service.definitions[name], job.data, panel.firm_id)
            options = own_options(options_of(name, data, job.options), panel.firm_id)
            jobs.append({"data": data, "options": options})
        except PayloadError as error:
            raise PayloadError(f"jobs[{index}]: {error}", field=f"jobs.{index}.{error.field}") from error
        except OptionError as error:
            raise PayloadError(f"jobs[{index}]: {error}", field=f"jobs.{index}.options") from error
    await require_free(panel, name, [job["options"] for job in jobs])
    await panel.audit("job.add_bulk", name, count=len(jobs), first=jobs[0]["options"].job_id)
    added = await panel.service.add_bulk_jobs(name, jobs)
    for each in added:
        require_own_job(panel, name, each)
    return ok(added, count=len(added), status=200 if all("existed" in each for each in added) else 201)


def told(panel: Panel, name: str, added: dict[str, Any]) -> Json:
    """The answer to the add of one job."""
    require_own_job(panel, name, added)
    return ok(added, status=200 if "existed" in added else 201)


def require_own_job(panel: Panel, name: str, added: Mapping[str, Any]) -> None:
    """Tell a firm nothing of another firm's job that has taken an id since it was looked for.

    Raises:
        Conflict: it is another firm's.
    """
    if panel.firm_id is not None and "existed" in added and firm_of(added["data"]) != panel.firm_id:
        raise _taken(name, added["jobId"])


async def require_free(panel: Panel, name: str, given: Sequence[JobOptions]) -> None:
    """Let a firm take no id of a job, nor the key of a schedule, that another firm has.

    Raises:
        Conflict: it is taken.
    """
    if panel.firm_id is None:
        return
    queue = panel.queue(name)
    ids = [str(options.job_id) for options in given if options.repeat is None and options.job_id is not None]
    async for read in read_in_portions(queue, ids):
        for job_id, _, job in read:
            if job is not None and firm_of(job.data) != panel.firm_id:
                raise _taken(name, job_id)
    for options in given:
        if options.repeat is None:
            continue
        key = repeat_key(DEFAULT_NAME, {**options.repeat.to_bull(), "jobId": options.job_id})
        schedule = await find_schedule(queue, key)
        if schedule is not None and firm_of(schedule.data) != panel.firm_id:
            raise Conflict(
                f"queue {name!r}: the schedule {key!r} is taken; choose another jobId", code="job_id_taken"
            )


def _taken(name: str, job_id: str) -> Conflict:
    return Conflict(f"queue {name!r}: the id {job_id!r} is taken; choose another", code="job_id_taken")


def options_of(queue_name: str, data: Mapping[str, Any], raw: Mapping[str, Any] | None) -> JobOptions:
    """Options as an HTTP body has them, checked, and with an id of ours unless they have one.

    Raises:
        PayloadError: an option is unknown, wrong, or past its limit, or the data has no type.
    """
    if not isinstance(data.get("type"), str):
        raise PayloadError(
            f"queue {queue_name!r}: a job's data must be an object with type and data", field="type"
        )
    given = raw or {}
    if given:
        _within_limits(given)
    try:
        return named(queue_name, data, JobOptions.from_bull(given))
    except PayloadError:
        raise
    except OptionError as error:
        raise PayloadError(str(error), field="options") from error


def _within_limits(given: Mapping[str, Any]) -> None:
    for name in _NOT_GIVEN:
        if given.get(name):
            raise PayloadError(f"{name} is not taken here; leave it out", field=f"options.{name}")
    for path, (least, most) in LIMITS.items():
        option, _, part = path.partition(".")
        value = given.get(option)
        if part:
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue  # absent, or of a kind that is checked with the rest
        if not least <= value <= most:
            text = f"{path} must be from {least:,} to {most:,} here, got {value!r}"
            raise PayloadError(text, field=f"options.{path}")
