"""How an attempt ended, on its way to the server."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from toril.engine.backoff import BackoffStrategy, bounded_ms, wait_ms
from toril.engine.codec import encode
from toril.engine.encoding import number
from toril.engine.job import Job
from toril.engine.options import keep_policy
from toril.errors import ConfigurationError, RetryableError, UnrecoverableError

Verb = Literal["complete", "fail", "cancel", "retry", "delay", "return"]

#: Characters of one stack trace that are kept: a runaway recursion must not fill the server.
_TRACE_LIMIT = 16_000
_REASON_LIMIT = 4_000


@dataclass(slots=True, eq=False)
class Outcome:
    """What happens to a job next, as the arguments of ``advance``, and what listeners are told."""

    verb: Verb
    job: Job[Any]
    arguments: tuple[str | bytes, ...]  #: six, see ``lua/advance.lua``
    value: Any = None
    error: BaseException | None = None
    wait_ms: float = 0.0
    resent: bool = False
    refusals: int = 0  #: how often the server could not record it


def completed(job: Job[Any], value: Any, text: bytes) -> Outcome:
    """The processor returned ``value``, whose JSON is ``text``."""
    left = "" if job.final_data is None else encode(job.final_data, what="the data it leaves")
    keep = job.opts.get("removeOnComplete")
    if keep is None:
        return Outcome("complete", job, (text, left, "", "-1", "-1", job.debounce_id or ""), value)
    count, age = keep_policy(keep)
    return Outcome("complete", job, (text, left, "", str(count), str(age), job.debounce_id or ""), value)


def handed_back(job: Job[Any]) -> Outcome:
    """The job goes back to the head of the queue as if it had not been taken."""
    return Outcome("return", job, ("", "", "", "", number(job.priority), ""))


def failed_for_good(job: Job[Any], error: BaseException) -> Outcome:
    """No further attempt."""
    count, age = keep_policy(job.opts.get("removeOnFail"))
    saved = _save_attempt(job, error)
    return Outcome("fail", job, (*saved, str(count), str(age), job.debounce_id or ""), error=error)


def cancelled_for_good(job: Job[Any]) -> Outcome:
    """Somebody wanted it stopped: it fails, and becomes no dead letter."""
    outcome = failed_for_good(job, UnrecoverableError("cancelled"))
    outcome.verb = "cancel"
    return outcome


async def after_error(
    job: Job[Any], error: BaseException, strategies: Mapping[str, BackoffStrategy]
) -> Outcome:
    """Another attempt, or none, as attempts and backoff say.

    Raises:
        OptionError: the job's backoff names an unknown strategy.
        Exception: whatever a custom strategy raises.
    """
    made = job.attempts_made + 1
    final = isinstance(error, UnrecoverableError | ConfigurationError) or job.discarded
    if final or made >= attempts_of(job.opts):
        return failed_for_good(job, error)
    wait = await wait_ms(job.opts.get("backoff"), made, error, strategies)
    if wait == -1:
        return failed_for_good(job, error)
    if isinstance(error, RetryableError) and error.retry_after:
        wait = max(wait, bounded_ms(error.retry_after * 1000))
    saved = _save_attempt(job, error)
    if wait > 0:
        return Outcome("delay", job, (*saved, number(round(wait, 3)), "", ""), error=error, wait_ms=wait)
    lifo = "1" if job.opts.get("lifo") else "0"
    return Outcome("retry", job, (*saved, lifo, number(job.priority), ""), error=error)


def attempts_of(opts: Mapping[str, Any]) -> int:
    """How many attempts a job has; what cannot be read as a number means one, as in Bull."""
    raw = opts.get("attempts", 1)
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return 1
    try:
        return int(raw)
    except (ValueError, OverflowError):
        return 1


def reason_of(error: BaseException) -> str:
    """The message of an error; the name of its class if it was given none, or cannot tell it."""
    try:
        text = str(error) or ("" if error.args else type(error).__name__)
        return _printable(text[:_REASON_LIMIT])
    except BaseException as trouble:
        return f"{type(error).__name__} (its message cannot be read: {type(trouble).__name__})"


def trace_of(error: BaseException) -> str:
    """Its stack trace, the last part of a long one."""
    try:
        trace = "".join(traceback.format_exception(error, limit=-50))
        return _printable(trace[-_TRACE_LIMIT:])
    except BaseException as trouble:
        return f"{reason_of(error)}\n(its stack trace cannot be read: {type(trouble).__name__})"


def _save_attempt(job: Job[Any], error: BaseException) -> tuple[str, bytes, str]:
    job.attempts_made += 1
    job.failed_reason = reason_of(error)
    job.stacktrace.append(trace_of(error))
    limit = job.opts.get("stackTraceLimit")
    if isinstance(limit, int) and limit > 0:
        del job.stacktrace[:-limit]
    return job.failed_reason, orjson.dumps(job.stacktrace), str(job.attempts_made)


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
