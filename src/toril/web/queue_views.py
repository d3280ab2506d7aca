"""What the queue endpoints take and answer, for checking bodies and for the API's description."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from toril.web.schemas import Answer, ErrorBody, Model

T = TypeVar("T")

MOST_AT_ONCE = 1000


class ListAnswer(Model, Generic[T]):
    """A list: how many are in ``data``, and how many there are in all."""

    success: Literal[True] = True
    count: int
    total: int | None = None
    data: list[T]


class Said(Answer[T], Generic[T]):
    """Done, and said so for people."""

    message: str


class QueueStats(Model):
    """How many jobs of a queue are in each state."""

    name: str
    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int
    paused: int


class QueueAnswer(Model):
    """One queue, and whether it is paused."""

    success: Literal[True] = True
    is_paused: bool
    data: QueueStats


class Counts(Model):
    """How many jobs are in each state, at one moment."""

    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int
    paused: int


class JobStatus(Model):
    """Where a job is and what came of it; times in milliseconds since 1970."""

    job_id: str
    queue_name: str
    state: str
    progress: Any
    data: Any
    options: dict[str, Any]
    timestamp: float | None
    processed_on: float | None
    finished_on: float | None
    failed_reason: str | None
    return_value: Any
    attempts_made: int
    stacktrace: list[str]


class JobPage(ListAnswer[JobStatus]):
    """Jobs of one state, from place ``start`` to ``end``."""

    total: int
    start: int
    end: int
    complete: bool | None = None


class AddedJob(Model):
    """A job that was added; or, with ``existed``, one that was there already. ``cut``: most of its data is left out."""

    job_id: str
    queue_name: str
    data: Any
    options: dict[str, Any]
    existed: bool = False
    cut: bool = False


class JobRef(Model):
    """Which job it was about."""

    job_id: str
    queue_name: str


class Outcome(Model):
    """What was done to one of many jobs."""

    job_id: str
    done: bool
    error: ErrorBody | None = None


class Outcomes(ListAnswer[Outcome]):
    """What was done to each of many jobs."""

    removed: int


class Swept(Model):
    """What was done to many jobs. When ``finished`` is false there are more: ask again."""

    count: int
    finished: bool
    job_ids: list[str] | None = None


class RefusedLetter(Model):
    """Why a job could not go back into its queue."""

    job_id: str
    error: ErrorBody


class SweptLetters(Answer[Swept]):
    """What was done to many letters, and which stayed."""

    refused: list[RefusedLetter]


class NewJob(Model):
    """A job to add: ``{"type", "data"}`` as its queue takes them, and Bull's options, in milliseconds."""

    data: dict[str, Any]
    options: dict[str, Any] | None = None


class NewJobs(Model):
    """Jobs to add; all are checked before the first is added."""

    jobs: Annotated[list[NewJob], Field(min_length=1, max_length=MOST_AT_ONCE)]


class Clean(Model):
    """Which jobs to delete: of one state, left alone for so many milliseconds."""

    grace_period: Annotated[float, Field(ge=0, le=1e14, allow_inf_nan=False)] = 86_400_000
    type: Literal["completed", "failed", "delayed", "waiting", "wait", "paused", "active"] = "completed"
    limit: Annotated[int, Field(ge=0, le=10**9, description="How many at most; 0 is any number.")] = 0


class Obliterate(Model):
    """The queue's name once more, so that nobody deletes the wrong one."""

    confirm: str
    force: bool = False


class JobIds(Model):
    """Some jobs."""

    ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=600)]],
        Field(min_length=1, max_length=MOST_AT_ONCE),
    ]


class NewData(Model):
    """What a job's data becomes."""

    data: dict[str, Any]


class LogRows(Model):
    """Rows of a job's log."""

    logs: list[str]
    count: int


class NewSchedule(Model):
    """A job to run again and again: ``options.repeat`` says when."""

    data: dict[str, Any]
    options: dict[str, Any]


class ScheduleView(Model):
    """A schedule; times in milliseconds."""

    key: str
    name: str
    id: str | None
    cron: str | None
    tz: str | None
    every: float | None
    end_date: float | None
    next: float
    limit: int | None
    count: int | None
    data: Any
    options: dict[str, Any] | None


class LetterScope(Model):
    """Only letters of this queue; of all without it."""

    queue: str | None = None


class PerMinute(Model):
    """Jobs that ended in each of the last minutes, the newest first; workers count when their ``metrics`` is on."""

    completed: list[int]
    failed: list[int]


class Percentiles(Model):
    """Milliseconds within which so many percent of the jobs were; null without jobs."""

    p50: float | None
    p95: float | None
    p99: float | None
    jobs: int


class MetricsView(Model):
    """How much a queue does, and how quickly."""

    per_minute: PerMinute
    completed_in_all: int
    failed_in_all: int
    latency: Percentiles
    run_time: Percentiles


class SearchAnswer(Model):
    """Jobs that were found. With a ``cursor`` there is more to look at, even if nothing was found this time."""

    success: Literal[True] = True
    count: int
    looked_at: int
    cursor: str | None
    data: list[JobStatus]
