"""A job's options: checked in Python's terms, stored in Bull's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, TypedDict

from toril.engine.backoff import Backoff, seconds, to_ms
from toril.engine.keys import check_job_id
from toril.engine.repeat import Repeat
from toril.errors import OptionError

#: Largest priority number; what the score of the overflow set holds beside a sequence.
LOWEST_PRIORITY = 2**21 - 1


@dataclass(frozen=True, slots=True)
class Keep:
    """How many finished jobs to keep: the newest ``count``, none older than ``age`` seconds, or both."""

    count: int | None = None
    age: float | timedelta | None = None

    def __post_init__(self) -> None:
        if self.count is None and self.age is None:
            raise OptionError("Keep needs count, age or both; use True to remove at once, False to keep all")
        if self.count is not None and (isinstance(self.count, bool) or not isinstance(self.count, int)):
            raise OptionError(f"Keep count must be a whole number, got {self.count!r}")
        if self.count is not None and self.count < 0:
            raise OptionError(f"Keep count must be at least 0, got {self.count}")
        if self.age is not None:
            seconds(self.age, "Keep age")

    def to_bull(self) -> dict[str, Any]:
        """Bull's form; ``age`` is the one duration that Bull keeps in seconds."""
        age = self.age.total_seconds() if isinstance(self.age, timedelta) else self.age
        return {k: v for k, v in (("age", age), ("count", self.count)) if v is not None}


@dataclass(frozen=True, slots=True)
class Debounce:
    """One job per ``id`` at a time: an add while it is pending (or for ``ttl`` seconds) returns that job."""

    id: str
    ttl: float | timedelta | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise OptionError(f"Debounce id must be a text of at least one character, got {self.id!r}")
        if self.ttl is not None and seconds(self.ttl, "Debounce ttl") <= 0:
            raise OptionError("Debounce ttl must be more than 0 seconds")

    def to_bull(self) -> dict[str, Any]:
        return {"id": self.id} if self.ttl is None else {"id": self.id, "ttl": to_ms(self.ttl)}


class OptionArguments(TypedDict, total=False):
    """The fields of ``JobOptions`` as keyword arguments, so that type checkers know them."""

    attempts: int | None
    backoff: Backoff | float | timedelta | None
    delay: float | timedelta | datetime | None
    priority: int | None
    timeout: float | timedelta | None
    lifo: bool | None
    job_id: str | None
    remove_on_complete: bool | int | Keep | None
    remove_on_fail: bool | int | Keep | None
    repeat: Repeat | None
    stack_trace_limit: int | None
    timestamp: datetime | None
    debounce: Debounce | None
    expires: float | timedelta | datetime | None
    prevent_parsing_data: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What ``queue.add`` and ``@queue.task`` take. ``None`` means: as the queue's defaults say.

    Attributes:
        attempts: tries in all, the first included (1).
        backoff: seconds or a ``Backoff``: the wait before another attempt (none).
        delay: seconds or ``timedelta`` before the first attempt; a ``datetime`` with a zone is a moment (0).
        priority: 1 is served first; 0 is none, served after all prioritised jobs (0).
        timeout: seconds after which a running attempt is stopped and fails (none).
        lifo: put it at the head of the queue (False).
        job_id: an id of one's own; while a job with it exists, another add changes nothing (a counter).
        remove_on_complete, remove_on_fail: True removes at once, False keeps all, a number or ``Keep`` keeps some.
        repeat: run it again and again; see ``Repeat``.
        stack_trace_limit: how many stack traces are kept (all).
        timestamp: moment of creation (now, by the server's clock).
        debounce: see ``Debounce``.
        expires: seconds, ``timedelta`` or ``datetime``: not started by then, it fails as ``expired`` (never).
        prevent_parsing_data: the processor gets the JSON text instead of the data (False).
    """

    attempts: int | None = None
    backoff: Backoff | float | timedelta | None = None
    delay: float | timedelta | datetime | None = None
    priority: int | None = None
    timeout: float | timedelta | None = None
    lifo: bool | None = None
    job_id: str | None = None
    remove_on_complete: bool | int | Keep | None = None
    remove_on_fail: bool | int | Keep | None = None
    repeat: Repeat | None = None
    stack_trace_limit: int | None = None
    timestamp: datetime | None = None
    debounce: Debounce | None = None
    expires: float | timedelta | datetime | None = None
    prevent_parsing_data: bool | None = None
    extra: Mapping[str, Any] = field(
        default_factory=dict, hash=False
    )  #: options of Bull's that we only carry

    def __post_init__(self) -> None:
        _whole(self.attempts, "attempts", 1, 1_000_000)
        _whole(self.priority, "priority", 0, LOWEST_PRIORITY)
        _whole(self.stack_trace_limit, "stack_trace_limit", 0, 1_000_000)
        for name in ("lifo", "prevent_parsing_data"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, bool):
                raise OptionError(f"{name} must be True or False, got {value!r}")
        for name in ("remove_on_complete", "remove_on_fail"):
            value = getattr(self, name)
            if not (value is None or isinstance(value, bool | Keep)):
                _whole(value, name, 0, 2**53)
        for name in ("delay", "expires"):
            value = getattr(self, name)
            if isinstance(value, datetime):
                _aware(value, name)
            elif value is not None:
                seconds(value, name)
        if self.timeout is not None and seconds(self.timeout, "timeout") <= 0:
            raise OptionError("timeout must be more than 0 seconds; leave it out for none")
        if self.backoff is not None and not isinstance(self.backoff, Backoff):
            seconds(self.backoff, "backoff")
        if self.timestamp is not None:
            _aware(self.timestamp, "timestamp")
        if self.job_id is not None:
            check_job_id(self.job_id)
        for name, kind in (("repeat", Repeat), ("debounce", Debounce)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise OptionError(f"{name} must be a {kind.__name__}, got {value!r}")

    def given(self) -> dict[str, Any]:
        """What was set, as keyword arguments of ``Queue.add``."""
        return {name: value for name in _KNOWN if (value := getattr(self, name)) is not None}

    def to_bull(self) -> dict[str, Any]:
        """Bull's camelCase and milliseconds; only what was given."""
        bull: dict[str, Any] = dict(self.extra)
        plain = (
            ("attempts", self.attempts),
            ("priority", self.priority),
            ("lifo", self.lifo),
            ("jobId", self.job_id),
            ("stackTraceLimit", self.stack_trace_limit),
            ("preventParsingData", self.prevent_parsing_data),
        )
        bull |= {name: value for name, value in plain if value is not None}
        if self.delay is not None:
            bull["delay"] = (
                max(0, _moment_ms(self.delay) - now_ms())
                if isinstance(self.delay, datetime)
                else to_ms(self.delay)
            )
        if self.timeout is not None:
            bull["timeout"] = to_ms(self.timeout)
        if self.backoff is not None:
            backoff = self.backoff if isinstance(self.backoff, Backoff) else Backoff.fixed(self.backoff)
            bull["backoff"] = backoff.to_bull()
        for name, keep in (
            ("removeOnComplete", self.remove_on_complete),
            ("removeOnFail", self.remove_on_fail),
        ):
            if keep is not None:
                bull[name] = keep.to_bull() if isinstance(keep, Keep) else keep
        if self.timestamp is not None:
            bull["timestamp"] = _moment_ms(self.timestamp)
        if self.repeat is not None:
            bull["repeat"] = self.repeat.to_bull()
        if self.debounce is not None:
            bull["debounce"] = self.debounce.to_bull()
        if isinstance(self.expires, datetime):
            bull["expiresAt"] = _moment_ms(self.expires)
        elif self.expires is not None:
            bull["expiresIn"] = to_ms(self.expires)
        return bull

    @classmethod
    def from_bull(cls, raw: Mapping[str, Any], *, strict: bool = True) -> JobOptions:
        """Read Bull's form.

        Args:
            strict: refuse unknown options, as for an HTTP body; otherwise they are kept in ``extra``.

        Raises:
            OptionError: an unknown or bad option.
        """
        return cls(**_from_bull(raw, strict))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> JobOptions:
        """From keyword arguments, with "did you mean" for unknown names."""
        for name in raw.keys() - _KNOWN:
            raise OptionError(_unknown(name, _KNOWN))
        return cls(**raw)


_KNOWN = frozenset(f.name for f in fields(JobOptions)) - {"extra"}

#: Bull's name → ours, for options whose value needs no translation.
_SAME = {
    "attempts": "attempts",
    "priority": "priority",
    "lifo": "lifo",
    "jobId": "job_id",
    "stackTraceLimit": "stack_trace_limit",
    "preventParsingData": "prevent_parsing_data",
}
_TIMES = {"delay": "delay", "timeout": "timeout"}
_KEEPS = {"removeOnComplete": "remove_on_complete", "removeOnFail": "remove_on_fail"}
_OTHERS = ("backoff", "timestamp", "repeat", "debounce", "expiresAt", "expiresIn", "prevMillis")
_BULL = frozenset((*_SAME, *_TIMES, *_KEEPS, *_OTHERS))


def _from_bull(raw: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise OptionError(f"options must be an object, got {type(raw).__name__}")
    ours: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in raw.items():
        if value is None:
            continue
        if name in _SAME:
            ours[_SAME[name]] = str(value) if name == "jobId" and isinstance(value, int) else value
        elif name in _TIMES:
            ours[_TIMES[name]] = _ms(value, name) / 1000
        elif name in _KEEPS:
            ours[_KEEPS[name]] = _keep(value, name)
        elif name == "backoff":
            ours["backoff"] = Backoff.from_bull(value)
        elif name == "timestamp":
            ours["timestamp"] = _from_ms(value, name)
        elif name == "repeat":
            ours["repeat"] = Repeat.from_bull(value)
        elif name == "debounce":
            ours["debounce"] = _debounce(value)
        elif name == "expiresAt":
            ours["expires"] = _from_ms(value, name)
        elif name == "expiresIn":
            ours["expires"] = _ms(value, name) / 1000
        elif name == "prevMillis" or not strict:
            extra[name] = value
        else:
            raise OptionError(_unknown(name, _BULL))
    return {**ours, "extra": extra} if extra else ours


def keep_policy(raw: Any) -> tuple[int, int]:
    """A stored ``removeOnComplete`` or ``removeOnFail`` as (count, age in seconds); -1 is no bound.

    A count of 0 removes at once. Reads everything Node accepts: true, numbers, {age, count}, and any other
    true value as "remove".
    """
    if raw is None or raw is False:
        return -1, -1
    if raw is True:
        return 0, -1
    if isinstance(raw, int | float):
        return _bound(raw), -1
    if isinstance(raw, Mapping):
        return _bound(raw.get("count")), _bound(raw.get("age"))
    return (0, -1) if raw else (-1, -1)


def _bound(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else -1


def now_ms() -> int:
    """This machine's clock, ms since the epoch; for what the server's clock cannot know."""
    return round(datetime.now(UTC).timestamp() * 1000)


def _unknown(name: str, known: frozenset[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"unknown option {name!r}" + (
        f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"
    )


def _whole(value: Any, name: str, least: int, most: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(f"{name} must be a whole number, got {value!r}")
    if not least <= value <= most:
        raise OptionError(f"{name} must be from {least} to {most}, got {value}")


def _aware(value: Any, name: str) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise OptionError(f"{name} must be a datetime with a time zone, got {value!r}")


def _moment_ms(value: datetime) -> int:
    return round(value.timestamp() * 1000)


def _ms(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(f"{name} must be a number of milliseconds, got {value!r}")
    if value < 0:
        raise OptionError(f"{name} must be at least 0, got {value!r}")
    return value


def _from_ms(value: Any, name: str) -> datetime:
    milliseconds = _ms(value, name)
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise OptionError(f"{name} must be a moment in ms since 1970, got {value!r}") from None


def _keep(value: Any, name: str) -> bool | int | Keep:
    if isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping) and value and not set(value) - {"age", "count"}:
        return Keep(count=value.get("count"), age=value.get("age"))
    raise OptionError(
        f"{name} must be true, false, a number or an object with age (s) and count, got {value!r}"
    )


def _debounce(value: Any) -> Debounce:
    if not isinstance(value, Mapping) or "id" not in value:
        raise OptionError(f"debounce must be an object with id and ttl, got {value!r}")
    ttl = value.get("ttl")
    return Debounce(value["id"], None if ttl is None else _ms(ttl, "debounce.ttl") / 1000)
