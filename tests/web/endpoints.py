"""Every endpoint of the queues: how it is called rightly, and what it refuses. A test compares it with the API's
description, so that none is forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.queue_api import DATA, Api, escaped

QUEUE = "cleanup"

#: Makes what a right call needs; returns the values of the path's parameters, escaped.
Prepare = Callable[[Api], Awaitable[dict[str, str]]]

SCHEDULE = {"data": DATA, "options": {"repeat": {"every": 3_600_000}, "jobId": "hourly"}}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path.

    Attributes:
        path: as the API's description has it.
        prepare: for a right call.
        body: of a right call.
        bad: bodies that are refused with 400; texts are sent as they are.
        bad_query: queries that are refused with 400.
        status: of the right call.
        streams: the answer has no end, or is no JSON.
    """

    method: str
    path: str
    prepare: Prepare = field(default=lambda _: _no_parameters())
    body: Any = None
    bad: tuple[Any, ...] = ()
    query: str = ""
    bad_query: tuple[str, ...] = ()
    status: int = 200
    streams: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def changes(self) -> bool:
        return self.method != "GET"

    @property
    def is_written_down(self) -> bool:
        return self.changes or self.path.endswith("/export")

    def url(self, **values: str) -> str:
        known = {"name": QUEUE, "job_id": "nobody", "key": "nobody", "letter_id": "nobody", **values}
        return self.path.format_map(known) + (f"?{self.query}" if self.query else "")


async def _no_parameters() -> dict[str, str]:
    return {}


async def waiting(api: Api) -> dict[str, str]:
    """A job that waits."""
    return {"job_id": escaped((await api.add())[0])}


async def delayed(api: Api) -> dict[str, str]:
    """A job that is delayed."""
    return {"job_id": escaped((await api.add(delay=60_000))[0])}


async def failed(api: Api) -> dict[str, str]:
    """A job that has failed."""
    (job_id,) = await api.add()
    await api.fail(job_id)
    return {"job_id": escaped(job_id)}


async def scheduled(api: Api) -> dict[str, str]:
    """A schedule."""
    await api.service.add_job(QUEUE, DATA, SCHEDULE["options"])
    return {"key": escaped("__default__:hourly::3600000")}


async def dead(api: Api) -> dict[str, str]:
    """A dead letter of a job that is gone."""
    lost = f"lost-{uuid.uuid4().hex}"
    letter = {
        "queue": QUEUE, "jobId": lost, "name": "__default__", "data": DATA, "opts": {"attempts": 1},
        "failedReason": "no luck", "stacktrace": [], "attemptsMade": 1, "stalledCounter": 0,
        "timestamp": 1, "processedOn": 2, "failedAt": 3, "unreadable": [],
    }  # fmt: skip
    letters = api.service.dead_letters.queue
    job = await letters.add("__default__", letter, job_id=f"1:{QUEUE}:{lost}")
    return {"letter_id": escaped(job.id)}


_PLACES = ("start=x", "end=1.5", f"start={10**30}")
_BODIES = ("", "{", "[]", {"unknown": 1})
_ADDS = (
    *_BODIES,
    {},
    {"data": 1},
    {"data": {"type": "no such type"}},
    {"data": {"type": "temp-files", "data": {"maxAgeHours": "long"}}},
    {"data": DATA, "options": {"dealy": 5}},
    {"data": DATA, "options": {"attempts": 1_000_000}},
    {"data": DATA, "options": {"delay": -1}},
)

ENDPOINTS = (
    Endpoint(method="GET", path="/api/queues"),
    Endpoint(method="GET", path="/api/queues/{name}"),
    Endpoint(method="GET", path="/api/queues/{name}/counts"),
    Endpoint(method="GET", path="/api/queues/{name}/workers"),
    Endpoint(
        method="GET", path="/api/queues/{name}/metrics", bad_query=("minutes=0", "minutes=x", "minutes=99999999")
    ),
    Endpoint(method="GET", path="/api/queues/{name}/events", streams=True),
    Endpoint(method="GET", path="/api/queues/{name}/jobs", bad_query=("status=gone", *_PLACES)),
    Endpoint(
        method="GET", path="/api/queues/{name}/jobs/search", query="q=temp",
        bad_query=("", "q=", "q=x&status=gone", "q=x&limit=0", "q=x&limit=9999", "q=x&cursor=zzz", "q=x&cursor=é"),
    ),
    Endpoint(
        method="GET", path="/api/queues/{name}/jobs/export", streams=True,
        bad_query=("status=gone", "format=exe", "limit=0", "limit=99999999"),
    ),
    Endpoint(method="GET", path="/api/queues/{name}/jobs/{job_id}", prepare=waiting),
    Endpoint(method="GET", path="/api/queues/{name}/jobs/{job_id}/logs", prepare=waiting, bad_query=_PLACES),
    Endpoint(method="POST", path="/api/queues/{name}/jobs", body={"data": DATA}, bad=_ADDS, status=201),
    Endpoint(
        method="POST", path="/api/queues/{name}/jobs/bulk", body={"jobs": [{"data": DATA}]}, status=201,
        bad=(*_BODIES, {"jobs": []}, {"jobs": [{"data": DATA}] * 1001}, {"jobs": [{"data": {"type": "x"}}]}),
    ),
    Endpoint(
        method="POST", path="/api/queues/{name}/jobs/remove", body={"ids": ["a", "b"]},
        bad=(*_BODIES, {"ids": []}, {"ids": [1]}, {"ids": ["x"] * 1001}),
    ),
    Endpoint(method="POST", path="/api/queues/{name}/jobs/{job_id}/promote", prepare=delayed),
    Endpoint(method="POST", path="/api/queues/{name}/jobs/{job_id}/cancel", prepare=waiting),
    Endpoint(
        method="PUT", path="/api/queues/{name}/jobs/{job_id}/data", prepare=waiting, body={"data": DATA},
        bad=(*_BODIES, {"data": 1}, {"data": {"type": "no such type"}}),
    ),
    Endpoint(method="DELETE", path="/api/queues/{name}/jobs/{job_id}", prepare=waiting),
    Endpoint(method="POST", path="/api/queues/{name}/retry/{job_id}", prepare=failed),
    Endpoint(method="POST", path="/api/queues/{name}/retry-all"),
    Endpoint(method="POST", path="/api/queues/{name}/pause"),
    Endpoint(method="POST", path="/api/queues/{name}/resume"),
    Endpoint(
        method="POST", path="/api/queues/{name}/clean", body={"gracePeriod": 0, "type": "failed"},
        bad=("{", "[]", {"gracePeriod": -1}, {"gracePeriod": "x"}, {"type": "gone"}, {"limit": -1}, {"grace": 1}),
    ),
    Endpoint(method="POST", path="/api/queues/{name}/empty"),
    Endpoint(
        method="POST", path="/api/queues/{name}/obliterate", body={"confirm": QUEUE},
        bad=(*_BODIES, {}, {"confirm": "pdf"}, {"confirm": QUEUE, "force": "perhaps"}),
    ),
    Endpoint(method="GET", path="/api/queues/{name}/schedules", bad_query=_PLACES),
    Endpoint(
        method="POST", path="/api/queues/{name}/schedules", body=SCHEDULE, status=201,
        bad=(
            *_BODIES,
            {"data": DATA, "options": {}},
            {"data": DATA, "options": {"repeat": {"cron": "never"}}},
            {"data": DATA, "options": {"repeat": {"every": 1}}},
            {"data": {"type": "x"}, "options": SCHEDULE["options"]},
        ),
    ),
    Endpoint(
        method="PUT", path="/api/queues/{name}/schedules/{key}", prepare=scheduled, body=SCHEDULE,
        bad=(*_BODIES, {"data": DATA, "options": {}}),
    ),
    Endpoint(method="DELETE", path="/api/queues/{name}/schedules/{key}", prepare=scheduled),
    Endpoint(method="GET", path="/api/queues/dead-letters", bad_query=_PLACES),
    Endpoint(
        method="POST", path="/api/queues/dead-letters/retry-all", body={"queue": QUEUE},
        bad=("{", "[]", {"queue": 1}, {"unknown": 1}),
    ),
    Endpoint(method="GET", path="/api/queues/dead-letters/{letter_id}", prepare=dead),
    Endpoint(method="POST", path="/api/queues/dead-letters/{letter_id}/retry", prepare=dead),
    Endpoint(method="DELETE", path="/api/queues/dead-letters/{letter_id}", prepare=dead),
)  # fmt: skip
