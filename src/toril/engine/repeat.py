"""Repeatable jobs as values: options, the schedule's key, its runs' ids and times, as Bull 4.16 has them.

A schedule is a member of the sorted set ``repeat``: its key, scored by the time of the next run. That run is
a delayed job, and whoever fetches it adds the one after. Node and Python have to agree on keys, ids and times
to the letter. The functions take the ``repeat`` object as a job's options carry it in JSON.

Source: ``lib/repeatable.js`` of Bull 4.16.5, and what it stores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import md5
from math import ceil, isfinite
from typing import Any

from toril.engine import cron as crons
from toril.engine.backoff import to_ms
from toril.engine.dates import date_ms, iso_text
from toril.engine.zone import local_clock
from toril.errors import OptionError

#: Python name → Bull's name, of the options both sides know.
_BULL_NAMES = {
    "cron": "cron",
    "every": "every",
    "tz": "tz",
    "limit": "limit",
    "start_date": "startDate",
    "end_date": "endDate",
    "job_id": "jobId",
    "count": "count",
    "key": "key",
}
#: ``who`` is the name, a colon and the job id, which may be empty.
_EVERY_KEY = re.compile(r"(?P<who>.*):(?P<end>-?[0-9]*):(?P<every>[0-9]+(?:\.[0-9]+)?)", re.DOTALL)
_CRON_KEY = re.compile(
    r"(?P<who>.*):(?P<end>-?[0-9]*):(?P<tz>utc[+-][0-9]{1,2}:[0-9]{2}|[^:0-9][^:]*|):(?P<cron>[^:]*)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """When a job runs again and again. Give either ``cron`` or ``every``.

    Attributes:
        cron: five fields, or six with the second first; see ``toril.engine.cron``.
        every: seconds between runs, at least a millisecond. Runs are aligned to 1970-01-01, not to the add.
        tz: zone of ``cron``, such as ``Asia/Riyadh``; without one, that of the process that schedules a run.
        limit: runs in all, at least 1; runs up to number ``count`` are taken as done already.
        start_date: runs of ``cron`` are later than this. A ``datetime`` with a zone, Unix milliseconds, or a
            text in ISO 8601 (as in JavaScript, a bare date is midnight UTC, a time without offset is local).
        end_date: no run of ``cron`` is later than this, and none of ``every`` is scheduled after it. Same
            forms; for ``cron``, a text without offset is read in ``tz``, as Bull does.
        job_id: tells schedules with the same name and times apart.
        count: number of the last run of this schedule; 0 before the first.
        key: the schedule's key, written by the queue.
        extra: other keys found in Bull's form, kept as they are; only ``utc`` has an effect.

    Raises:
        OptionError: one of them is bad, or they do not go together.
    """

    cron: str | None = None
    every: float | timedelta | None = None
    tz: str | None = None
    limit: int | None = None
    start_date: datetime | int | str | None = None
    end_date: datetime | int | str | None = None
    job_id: str | None = None
    count: int = 0
    key: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("cron", "tz", "job_id", "key"):
            text = getattr(self, name)
            if text is not None and (not isinstance(text, str) or not text):
                raise OptionError(f"repeat {name} must be a text of at least one character, got {text!r}")
        for name, least in (("limit", 1), ("count", 0)):
            number = getattr(self, name)
            if number is not None and (type(number) is not int or number < least):
                raise OptionError(f"repeat {name} must be a whole number of at least {least}, got {number!r}")
        if (self.cron is None) == (self.every is None):
            given = "neither" if self.cron is None else "both"
            raise OptionError(f"repeat takes either cron or every, got {given}")
        if self.cron is not None:
            crons.validate(self.cron, self.tz)
        else:
            self._check_every()
        start_ms, end_ms = (_argument_ms(value) for value in (self.start_date, self.end_date))
        if start_ms is not None and end_ms is not None and end_ms <= start_ms:
            raise OptionError(f"repeat end_date {self.end_date} is not after start_date {self.start_date}")
        if known := sorted(self.extra.keys() & set(_BULL_NAMES.values())):
            raise OptionError(f"repeat extra has {known[0]!r}, which is an option of its own")

    def _check_every(self) -> None:
        every = self.every.total_seconds() if isinstance(self.every, timedelta) else self.every
        if isinstance(every, bool) or not isinstance(every, int | float) or not 0.001 <= every < 1e11:
            raise OptionError(
                f"repeat every must be seconds (a number or a timedelta), at least 0.001, got {self.every!r}"
            )
        if self.start_date is not None:
            raise OptionError("repeat start_date has no effect on every, only on cron; leave it out")
        if self.tz is not None:
            local_clock(self.tz)

    def to_bull(self) -> dict[str, Any]:
        """As Bull stores it: its names, milliseconds, and a ``datetime`` as JavaScript's JSON writes it."""
        bull = dict(self.extra)
        for name, bull_name in _BULL_NAMES.items():
            value = getattr(self, name)
            if value is None or (name == "count" and value == 0):
                continue
            if name == "every":
                value = to_ms(value)
            bull[bull_name] = iso_text(value) if isinstance(value, datetime) else value
        return bull

    @classmethod
    def from_bull(cls, raw: Any) -> Repeat:
        """Read Bull's form; what it has no option for goes to ``extra``.

        Raises:
            OptionError: it is not an object, or one of its values is bad.
        """
        if not isinstance(raw, Mapping):
            raise OptionError(f"repeat must be an object with cron or every, got {raw!r}")
        options = {name: raw[bull] for name, bull in _BULL_NAMES.items() if raw.get(bull) not in (None, "")}
        extra = {name: value for name, value in raw.items() if name not in _BULL_NAMES.values()}
        options |= {name: value for name in ("limit", "count") if (value := _number(raw, name)) is not None}
        options.pop("every", None)
        if every := _number(raw, "every"):
            options["every"] = every / 1_000
            options.pop("start_date", None)  # of no effect in Bull
        if "job_id" in options:
            options["job_id"] = str(options["job_id"])
        return cls(**options, extra=extra)


def repeat_key(name: str, bull_repeat: Mapping[str, Any]) -> str:
    """Key of the schedule; adds with the same key are the same schedule.

    Raises:
        OptionError: not one of cron and every is given, or the end date is no date.
    """
    cron, every = _cron_or_every(bull_repeat)
    end = bull_repeat.get("endDate")
    end_text = date_ms(end, "repeat endDate") if end else ""
    when = every if cron is None else f"{bull_repeat.get('tz') or ''}:{cron}"
    return f"{name}:{bull_repeat.get('jobId') or ''}:{end_text}:{when}"


def instance_prefix(name: str, job_id: str | None, key: str) -> str:
    """What the ids of all runs of the schedule ``key`` start with; the run's time in milliseconds follows."""
    return "repeat:" + _md5(f"{name}{job_id or ''}:{_md5(key)}") + ":"


def instance_id(name: str, bull_repeat: Mapping[str, Any], next_ms: int) -> str:
    """Id of the job that is the run at ``next_ms``.

    Raises:
        OptionError: as ``repeat_key``.
    """
    return f"{instance_prefix(name, bull_repeat.get('jobId'), repeat_key(name, bull_repeat))}{next_ms}"


def next_run(bull_repeat: Mapping[str, Any], *, now_ms: float, prev_ms: float | None = None) -> int | None:
    """Time of the run to schedule next, in Unix milliseconds.

    Args:
        bull_repeat: the ``repeat`` object; its ``count`` is the number of the run just fetched, 0 or absent
            when the schedule is added, and the run asked for is number ``count + 1``.
        now_ms: the present; runs missed until now are left out.
        prev_ms: time of the run just fetched (``prevMillis``).

    Returns:
        Later than both; ``None`` when the schedule has ended by its limit or its end date. For ``every`` the
        end date is only held against the present, so the last run can come a period after it, as in Bull.

    Raises:
        OptionError: an option is bad.
    """
    limit, count = _number(bull_repeat, "limit"), _number(bull_repeat, "count") or 0
    if limit is not None and count + 1 > limit:
        return None
    start, end = (value if value != "" else None for value in map(bull_repeat.get, ("startDate", "endDate")))
    if end is not None and now_ms > date_ms(end, "repeat endDate"):
        return None
    base_ms = max(now_ms, prev_ms or 0)
    cron, every = _cron_or_every(bull_repeat)
    if cron is None:
        # Node keeps fractions of a millisecond; rounded up, the result still is later than the run before.
        return ceil(base_ms // every * every + every)
    tz = "UTC" if bull_repeat.get("utc") else bull_repeat.get("tz") or None
    return crons.next_time_ms(
        cron,
        after_ms=base_ms,
        tz=tz,
        start_ms=None if start is None else date_ms(start, "repeat startDate"),
        # Bull holds the end against the present as a JavaScript date, against the run as one of the zone.
        end_ms=None if end is None else date_ms(end, "repeat endDate", local_clock(tz)),
    )


def parse_repeat_key(key: str, score: float) -> dict[str, Any]:
    """What a member of ``repeat`` says, under the names of Bull's ``getRepeatableJobs``.

    Bull takes the parts from the left and goes wrong when one holds a colon. Taken from the right, names with
    colons and zones such as ``UTC+05:30`` come out whole. Where there is a job id too, nothing tells whether
    it or the name has the colon; it is taken to be the job id.

    Args:
        key: the member.
        score: its score, the next run in Unix milliseconds.

    Returns:
        ``key``, ``name``, ``id``, ``endDate`` (ms), ``tz``, ``cron``, ``every`` (ms), ``next`` (ms), each
        ``None`` if it is not there. A member that is no key of Bull's is all name.
    """
    found: dict[str, Any] = dict.fromkeys(("key", "name", "id", "endDate", "tz", "cron", "every", "next"))
    found |= {"key": key, "name": key, "next": int(score)}
    by_cron, by_every = (_match_key(form, key) for form in (_CRON_KEY, _EVERY_KEY))
    # A number up to 7 can be a cron expression of one field, the day of week.
    if by_every and (by_cron is None or float(by_every["every"]) > 7):
        found["every"] = float(by_every["every"]) if "." in by_every["every"] else int(by_every["every"])
    elif by_cron:
        found |= {"tz": by_cron["tz"] or None, "cron": by_cron["cron"]}
    parts = by_every if found["every"] is not None else by_cron
    if parts is not None:
        name, _, job_id = parts["who"].removesuffix(":").partition(":")
        if parts["who"].endswith(":"):
            name, job_id = parts["who"][:-1], ""
        found |= {"name": name, "id": job_id or None, "endDate": int(parts["end"]) if parts["end"] else None}
    return found


def _match_key(form: re.Pattern[str], key: str) -> dict[str, str] | None:
    match = form.fullmatch(key)
    return match.groupdict() if match and ":" in match["who"] else None


def _cron_or_every(raw: Mapping[str, Any]) -> tuple[str | None, int | float]:
    """The expression, or else ``None`` and the milliseconds."""
    cron, every = raw.get("cron"), _number(raw, "every")
    if cron and every:
        raise OptionError("repeat has both cron and every; leave one out")
    if every:
        if every < 0:
            raise OptionError(f"repeat every must be milliseconds above 0, got {every!r}")
        return None, every
    if not isinstance(cron, str) or not cron:
        raise OptionError(f"repeat needs every, or cron as a text, got {cron!r}")
    return cron, 0


def _number(raw: Mapping[str, Any], name: str) -> int | float | None:
    """A number of Bull's form; JavaScript's are whole without saying so, and may come as texts."""
    value = raw.get(name)
    if value in (None, ""):
        return None
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise OptionError(f"repeat {name} must be a number, got {value!r}")
    return int(value) if value == int(value) else value


def _argument_ms(value: datetime | int | str | None) -> int | None:
    if value is None:
        return None
    return date_ms(iso_text(value) if isinstance(value, datetime) else value, "a date of repeat")


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
