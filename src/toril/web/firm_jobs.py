"""Which jobs are a firm's: those whose data names it.

A job's data is only ever what somebody put there who may act for the firm it names: ``own_data`` sees to that for all
that comes in by HTTP, and the data of a job that has ended cannot be changed. What a job made is judged by where it was
stored, and not by the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from toril.engine.job import Job
from toril.engine.options import JobOptions
from toril.engine.portions import PAGE, PORTION, read_in_portions
from toril.engine.queue import Queue
from toril.engine.schedules import Schedule
from toril.engine.search import LOOKED_AT, Only, ids_of
from toril.engine.states import FAILED
from toril.errors import JobError
from toril.queues.base import QueueDefinition
from toril.web.errors import Forbidden, NotFound

#: Schedules read in one step.
_STEP: Final = 200


@dataclass(slots=True)
class Tally:
    """How many were done, also for a caller that stops in between."""

    count: int = 0


def firm_of(data: Any) -> str | None:
    """The firm that a job's data names; None if it names none."""
    inner = data.get("data") if isinstance(data, Mapping) else None
    firm_id = inner.get("firmId") if isinstance(inner, Mapping) else None
    return firm_id if isinstance(firm_id, str) and firm_id else None


def only_of(firm_id: str, *, letters: bool = False) -> Only:
    """The firm's jobs, for a search in the server.

    Args:
        letters: the jobs are dead letters.
    """

    def takes(job: Job[Any]) -> bool:
        data = job.data
        if letters:
            data = data.get("data") if isinstance(data, Mapping) else None
        return firm_of(data) == firm_id

    return Only(orjson.dumps({"firmId": firm_id})[1:-1].lower(), takes)


def own_data(definition: QueueDefinition, data: Mapping[str, Any], firm_id: str | None) -> Mapping[str, Any]:
    """The data of a job to add or to change, as somebody of a firm may have it: that firm is filled in. Whether it fits
    its type is still to be checked.

    Args:
        firm_id: None for who runs the installation, whose data stays as it is.

    Raises:
        NotFound: it names another firm.
        Forbidden: jobs of this type are no firm's.
    """
    inner = data.get("data", {})
    if firm_id is None or not isinstance(inner, Mapping):
        return data
    named = {"firmId", "firm_id"} & inner.keys()
    known = definition.types.get(data["type"]) if isinstance(data.get("type"), str) else None
    if known is not None and "firm_id" not in known.payload.model_fields:
        raise Forbidden(
            f"jobs of type {known.name!r} are of no firm, but of the installation: ask who runs it to add them"
        )
    if any(inner[name] not in (None, firm_id) for name in named):
        raise NotFound("there is no such firm")
    own = {key: value for key, value in inner.items() if key not in named}
    return {**data, "data": {**own, "firmId": firm_id}}


def own_options(options: JobOptions, firm_id: str | None) -> JobOptions:
    """Options in which no id is shared with other firms: what one debounces holds up nobody else's jobs."""
    if firm_id is None or options.debounce is None:
        return options
    return replace(options, debounce=replace(options.debounce, id=f"{firm_id}:{options.debounce.id}"))


async def retry_firm_jobs(queue: Queue, firm_id: str, tally: Tally) -> None:
    """Put the firm's failed jobs back, the oldest failure first; of those that are looked at in one go."""
    only = only_of(firm_id)
    ids, _ = await ids_of(queue, FAILED, asc=True, most=LOOKED_AT, only=only)
    async for read in read_in_portions(queue, ids):
        for job_id, _, job in read:
            if job is None or not only.takes(job):
                continue
            try:
                await queue.actions.retry(job_id)
            except JobError:
                continue  # somebody else was quicker
            tally.count += 1


async def find_schedule(queue: Queue, key: str) -> Schedule | None:
    """The schedule with this key."""
    rank = await queue.scripts.ask("ZRANK", queue.keys.of("repeat"), key)
    if rank is None:
        return None
    near = await queue.schedules(max(0, int(rank) - 1), int(rank) + 1, asc=True)
    found = next((schedule for schedule in near if schedule.key == key), None)
    if found is not None:
        return found
    # It has moved among the others since.
    return next((schedule for schedule in await queue.schedules() if schedule.key == key), None)


async def firm_schedules(
    queue: Queue, firm_id: str, first: int = 0, last: int = -1
) -> tuple[list[Schedule], int]:
    """Some of the firm's schedules in the order of their next runs, and how many there are.

    Args:
        first, last: places among the firm's, both included; fewer are told when they are large.
    """
    met: set[str] = set()
    page: list[Schedule] = []
    at = spent = 0
    while schedules := await queue.schedules(at, at + _STEP - 1, asc=True, most=PORTION):
        at += len(schedules)
        for schedule in schedules:
            if schedule.key in met or firm_of(schedule.data) != firm_id:
                continue
            # Only behind one another: what did not fit begins the next page.
            if len(met) == first + len(page) <= last and (not page or spent + schedule.size <= PAGE):
                page.append(schedule)
                spent += schedule.size
            met.add(schedule.key)
    return page, len(met)
