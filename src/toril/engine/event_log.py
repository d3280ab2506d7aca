"""The log of a queue's events, kept without anybody asking for it, on the logger ``toril.queue``.

Each line is the event's name; the fields beside it say what it happened to: ids, names, attempts, durations
and the text of errors, but never a job's data or result.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from toril.engine.outcome import attempts_of, reason_of
from toril.errors import ConfigurationError, UnrecoverableError

if TYPE_CHECKING:
    from toril.engine.job import Job

log = logging.getLogger("toril.queue")

#: Level of each event. Of a failed attempt that is followed by another, ``retrying`` tells.
LEVELS: Final = {
    "waiting": logging.DEBUG,
    "active": logging.DEBUG,
    "progress": logging.DEBUG,
    "drained": logging.DEBUG,
    "duplicated": logging.DEBUG,
    "debounced": logging.DEBUG,
    "completed": logging.INFO,
    "retrying": logging.INFO,
    "removed": logging.INFO,
    "cleaned": logging.INFO,
    "paused": logging.INFO,
    "resumed": logging.INFO,
    "failed": logging.WARNING,
    "stalled": logging.WARNING,
    "lock_lost": logging.WARNING,
    "lock_extension_failed": logging.WARNING,
    "error": logging.ERROR,
}


def log_event(queue: str, event: str, arguments: tuple[Any, ...]) -> None:
    """Write the line about one event.

    Args:
        arguments: as ``hooks`` lists them for the event.
    """
    if event == "failed" and _goes_on(*arguments):
        return
    describe = _DESCRIBE.get(event)
    fields = describe(*arguments) if describe is not None else {}
    extra = {"queue": queue, "event": event, **fields}
    if "error" in fields:
        log.log(LEVELS[event], "%s: %s", event, fields["error"], extra=extra)
    else:
        log.log(LEVELS[event], event, extra=extra)


def _goes_on(job: Job[Any] | None, error: object) -> bool:
    if job is None or job.finished_on is not None or job.discarded:
        return False
    final = isinstance(error, UnrecoverableError | ConfigurationError)
    return not final and job.attempts_made < attempts_of(job.opts)


def _id(job_id: str) -> dict[str, Any]:
    return {"job_id": job_id}


def _job(job: Job[Any]) -> dict[str, Any]:
    return {"job_id": job.id, "job_name": job.name, "attempts_made": job.attempts_made}


def _completed(job: Job[Any], _result: Any) -> dict[str, Any]:
    return _job(job) | _duration(job)


def _failed(job: Job[Any] | None, error: object) -> dict[str, Any]:
    fields = {} if job is None else _job(job) | _duration(job)
    return fields | _error(error)


def _retrying(job: Job[Any], error: object, wait_ms: float) -> dict[str, Any]:
    return _job(job) | {"wait_ms": wait_ms} | _error(error)


def _extension_failed(job_ids: list[str], error: object) -> dict[str, Any]:
    return {"job_ids": list(job_ids)} | _error(error)


def _cleaned(job_ids: list[str], state: str) -> dict[str, Any]:
    return {"count": len(job_ids), "state": state}


def _error(error: object) -> dict[str, Any]:
    name = type(error).__name__
    text = reason_of(error) if isinstance(error, BaseException) else str(error)
    return {"error": text or name, "error_type": name}


def _duration(job: Job[Any]) -> dict[str, Any]:
    if job.processed_on is None or job.finished_on is None:
        return {}
    return {"duration_ms": job.finished_on - job.processed_on}


_DESCRIBE: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "waiting": _id,
    "active": _job,
    "progress": lambda job_id, _value: _id(job_id),
    "completed": _completed,
    "failed": _failed,
    "retrying": _retrying,
    "stalled": _id,
    "lock_lost": _job,
    "lock_extension_failed": _extension_failed,
    "removed": _id,
    "cleaned": _cleaned,
    "duplicated": _id,
    "debounced": _id,
    "error": _error,
}
