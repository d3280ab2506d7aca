"""Cron expressions, and the moments they name; equal to what Node's Bull 4 computes.

Bull asks cron-parser 4.9 for the next run, and whichever worker fetches a run schedules the next one. Two
answers for one schedule would run jobs twice or not at all, so these are that parser's, habits included:

- Five fields, or six with the second first. Fewer are taken as the last ones, the others get their default:
  ``1`` alone is each minute of Monday.
- Day of month and day of week, both restricted, mean either. The length of its list tells whether a field is
  restricted: ``0-6`` as day of week is, ``1-7`` is not; ``1-30`` as day of month is in months of 31 days.
- ``1#2`` is the second Monday; it narrows a restricted day of month as well.
- Where clocks jump forward, a run in the gap takes place an hour later. Where they go back, a restricted hour
  counts once and ``*`` twice. Where the gap touches midnight, its runs are left out.

What cron-parser accepts although it can only be a mistake is refused: a range of three parts (``1-5-7``),
digits beside ``*``, empty or negative bounds, ``L`` with a number as day of month, ``8L`` and a bare ``L``
(which never runs there) as day of week.

Method: field by field search from the present moment, as in cron-parser 4.9.0, ``lib/expression.js``; written
anew so that ordinary days are looked up instead of walked.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from math import floor

from toril.engine.zone import DAY, HOUR, LocalClock, local_clock
from toril.errors import OptionError

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
#: field, lowest, highest, default, names
_FIELDS: tuple[tuple[str, int, int, str, dict[str, int]], ...] = (
    ("second", 0, 59, "0", {}),
    ("minute", 0, 59, "*", {}),
    ("hour", 0, 23, "*", {}),
    ("day of month", 1, 31, "*", {}),
    ("month", 1, 12, "*", _MONTHS),
    ("day of week", 0, 7, "*", _WEEKDAYS),
)
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITEM = re.compile(r"(?:[*?]|([0-9]{1,9})(?:-([0-9]{1,9}))?)(?:/([0-9]{1,9}))?")
#: What JavaScript and Python both take for white space.
_SPACE = " \t\n\r\f\v"
_LONGEST_EXPRESSION = 1_000
_ONE_DAY = timedelta(days=1)
_EPOCH = date(1970, 1, 1)
#: Days and months looked at before giving up; cron-parser's own limit, 27 years or more.
_MOST_STEPS = 10_000
#: Years 1902 to 9000: far enough from the ends of ``datetime`` for the search.
_FIRST_S, _LAST_S = -2_145_916_800, 221_845_392_000


@dataclass(frozen=True, slots=True)
class CronFields:
    """A parsed expression. Values are sorted and may repeat, since the length of a list has a meaning."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]  #: 0 is Sunday; a 7 beside it is only counted
    last_day: bool  #: ``L``
    last_weekdays: tuple[int, ...]  #: ``5L``
    nth: int  #: ``#n``, 0 for none

    def day_matches(self, day: date) -> bool:
        """Whether the day of month and the day of week allow ``day``; the month is not looked at."""
        weekday = day.isoweekday() % 7
        in_days = day.day in self.days or (self.last_day and (day + _ONE_DAY).month != day.month)
        in_weekdays = weekday in self.weekdays or (
            weekday in self.last_weekdays and (day + 7 * _ONE_DAY).month != day.month
        )
        any_day = len(self.days) + self.last_day >= _LONGEST_MONTH[day.month - 1]
        any_weekday = len(self.weekdays) + len(self.last_weekdays) == 8
        if not in_days and (any_weekday or not in_weekdays):
            return False
        if any_day and not any_weekday and not in_weekdays:
            return False
        return self.nth == 0 or (day.day + 6) // 7 == self.nth

    def second_of_day(self, at_least: int) -> int | None:
        """First matching second of a day of 24 hours, counted from midnight."""
        hour, rest = divmod(at_least, HOUR)
        minute, second = divmod(rest, 60)
        for h in self.hours[bisect_left(self.hours, hour) :]:
            same_hour = h == hour
            for m in self.minutes[bisect_left(self.minutes, minute) if same_hour else 0 :]:
                i = bisect_left(self.seconds, second) if same_hour and m == minute else 0
                if i < len(self.seconds):
                    return h * HOUR + m * 60 + self.seconds[i]
        return None


def next_time_ms(
    expression: str,
    *,
    after_ms: float,
    tz: str | None = None,
    start_ms: float | None = None,
    end_ms: float | None = None,
) -> int | None:
    """First moment the expression names after ``after_ms``.

    Args:
        expression: five or six fields, or ``@hourly``, ``@daily``, ``@weekly``, ``@monthly``, ``@yearly``.
        after_ms: Unix time in milliseconds; the result is later than this.
        tz: zone the fields are read in, see ``zone.local_clock``; ``None`` is this process's own, as in Bull.
        start_ms: the result is later than this too.
        end_ms: the result is not later than this.

    Returns:
        Unix time in milliseconds, a whole second; ``None`` when the end comes first, or when no such moment
        comes within 27 years.

    Raises:
        OptionError: a bad expression, an unknown zone, or a time outside the years 1902 to 9000.
    """
    fields, clock = parse(expression), local_clock(tz)
    base_ms = after_ms if start_ms is None else max(after_ms, start_ms)
    if not _FIRST_S * 1_000 <= base_ms <= _LAST_S * 1_000:
        raise OptionError(f"cron {expression!r}: time {base_ms!r} ms is not within the years 1902 to 9000")
    found = _search(fields, clock, floor(base_ms / 1_000))
    if found is None or (end_ms is not None and found * 1_000 > end_ms):
        return None
    return found * 1_000


def validate(expression: str, tz: str | None = None) -> None:
    """Check an expression and a zone.

    Raises:
        OptionError: one of them is bad, or the expression names no day of the calendar (31 April).
    """
    fields = parse(expression)
    local_clock(tz)
    if _search(fields, local_clock("UTC"), 0) is None:
        raise OptionError(f"cron {expression!r} names no day of the calendar, so it would never run")


@lru_cache(maxsize=1_024)
def parse(expression: str) -> CronFields:
    """Read an expression.

    Raises:
        OptionError: it is not one; the message names the expression and the part that is wrong.
    """
    if not isinstance(expression, str) or not expression.strip():
        raise OptionError(f"cron must be a text such as '*/5 * * * *', got {expression!r}")
    if len(expression) > _LONGEST_EXPRESSION:
        raise OptionError(f"cron {expression[:40]!r}… is longer than {_LONGEST_EXPRESSION} characters")
    given = re.split(f"[{_SPACE}]+", _ALIASES.get(expression, expression).strip(_SPACE))
    if len(given) > len(_FIELDS):
        raise OptionError(f"cron {expression!r} has {len(given)} fields; at most 6, the second first")
    texts = [default for _, _, _, default, _ in _FIELDS[: -len(given)]] + given
    nth = 0
    if "#" in texts[5]:
        texts[5], _, occurrence = texts[5].partition("#")
        if not re.fullmatch("[1-5]", occurrence) or re.search("[-,/]", texts[5]):
            raise OptionError(
                f"cron {expression!r}: '#' in the day of week takes one day and one number 1-5, as in '1#2'"
            )
        nth = int(occurrence)
    try:
        values = [_values(i, text) for i, text in enumerate(texts)]
    except OptionError as error:
        raise OptionError(f"cron {expression!r}: {error}") from None
    last = [[int(v[:-1] or 0) % 7 for v in found if isinstance(v, str)] for found in values]
    seconds, minutes, hours, days, months, weekdays = (
        tuple(sorted(v for v in found if isinstance(v, int))) for found in values
    )
    if len(months) == 1:
        longest = _LONGEST_MONTH[months[0] - 1]
        if days and days[0] > longest:
            raise OptionError(f"cron {expression!r}: month {months[0]} never has a day {days[0]}")
        days = tuple(day for day in days if day <= longest)
    return CronFields(seconds, minutes, hours, days, months, weekdays, bool(last[3]), tuple(last[5]), nth)


def _values(index: int, text: str) -> list[int | str]:
    """Values of one field; ``L`` and ``5L`` stay texts."""
    name, low, high, _, names = _FIELDS[index]

    def number(match: re.Match[str]) -> str:
        if (value := names.get(match[0].lower())) is None:
            raise OptionError(f"{name} {text!r}: {match[0]!r} is not one of {', '.join(names)}")
        return str(value)

    if names:
        text = re.sub("[A-Za-z]{3}", number, text)
    is_day = index in (3, 5)
    if "?" in text and (not is_day or "*" in text):
        raise OptionError(f"{name} {text!r}: '?' stands alone, as day of month or day of week")
    values: list[int | str] = []
    for item in text.split(","):
        if is_day and re.fullmatch("L" if index == 3 else "[0-7]L", item):
            values.append(item)
        else:
            values += _numbers(name, low, high, item)
    return values


def _numbers(name: str, low: int, high: int, item: str) -> list[int | str]:
    """Values of a number, a range or ``*``, each with or without a step."""
    match = _ITEM.fullmatch(item)
    if match is None:
        hint = "; 'W' and 'H' are not supported" if re.search("[WH]", item) else ""
        if "L" in item:
            hint = "; 'L' is written alone as day of month, after a weekday as in '5L' as day of week"
        raise OptionError(f"{name} {item!r} is not a number, a range, '*' or a step of them{hint}")
    first, last, step = match.groups()
    start = low if first is None else int(first)
    end = int(last) if last is not None else start if first is not None and step is None else high
    if not (low <= start <= high and low <= end <= high):
        raise OptionError(f"{name} {item!r} is outside {low}-{high}")
    if start > end:
        raise OptionError(f"{name} {item!r} runs backwards; write it as two ranges")
    if step is not None and int(step) < 1:
        raise OptionError(f"{name} {item!r}: a step must be at least 1")
    is_weekday = high == 7
    if is_weekday and first is not None and last is None and step is None:
        return [start % 7]
    values: list[int | str] = list(range(start, end + 1, int(step or 1)))
    # A range of weekdays that ends on 7 holds Sunday, whatever its step.
    return [0, *values] if is_weekday and end % 7 == 0 and 0 not in values else values


def _search(fields: CronFields, clock: LocalClock, base: int) -> int | None:
    """First matching instant after ``base`` (seconds)."""
    now, steps = base, _MOST_STEPS
    while steps > 0:
        start, steps = _start_of_day(fields, clock, now, steps)
        if start is None:
            return None
        found, now = _within_day(fields, clock, start, base)
        if found:
            return now
        steps -= 1
    return None


def _start_of_day(fields: CronFields, clock: LocalClock, now: int, steps: int) -> tuple[int | None, int]:
    """``now`` if its day matches, else the start of the first day that does; with the steps left."""
    today = _EPOCH + timedelta(days=clock.reading(now) // DAY)
    day, previous, ahead = today, today, 0
    while True:
        if not fields.day_matches(day):
            previous, day = day, day + _ONE_DAY
            ahead = 1
        elif day.month not in fields.months:
            previous, day = day, _next_month(day)
            ahead = (_same_day(day, previous.day) - previous).days
        else:
            break
        steps -= 1
        if steps == 0:
            return None, 0
    if ahead == 0:
        return now, steps
    # Of a midnight that comes twice, take that with the offset found a day or a month after the last stop.
    at = now if previous == today else clock.instant(_midnight(previous), clock.offset(now))
    near = clock.instant(clock.reading(at) + ahead * DAY, clock.offset(at))
    start = clock.instant(_midnight(day), clock.offset(near))
    if clock.reading(start) >= _midnight(day) + DAY:
        # The zone has no such day (Samoa left out 30 December 2011).
        return _start_of_day(fields, clock, start, steps)
    return start, steps


def _within_day(fields: CronFields, clock: LocalClock, now: int, base: int) -> tuple[bool, int]:
    """Whether a match comes before the day ends, and its instant; else an instant of another day."""
    offset = clock.offset(now)
    day, second = divmod(now + offset, DAY)
    end = clock.instant((day + 1) * DAY, offset)
    if end - now != DAY - second:
        return _walk(fields, clock, now, base)
    found = fields.second_of_day(second + 1 if now == base else second)
    return (False, end) if found is None else (True, now + found - second)


def _walk(fields: CronFields, clock: LocalClock, now: int, base: int) -> tuple[bool, int]:
    """As ``_within_day``, step by step, for a day on which the clock jumps."""
    restricted = len(fields.hours) != 24
    after_gap = repeated = -1  # the hour shown after a jump forward, and the one that comes a second time
    day = clock.reading(now) // DAY

    def step(unit: int) -> int:
        nonlocal after_gap, repeated
        later = clock.following(now, unit)
        hour, reading = clock.reading(now) % DAY // HOUR, clock.reading(later)
        later_hour = reading % DAY // HOUR
        if restricted and later_hour == hour + 2:
            after_gap = later_hour
        elif restricted and later_hour == hour and reading % HOUR == 0:
            repeated = later_hour
        return later

    while (reading := clock.reading(now)) // DAY == day:
        hour = reading % DAY // HOUR
        if hour in fields.hours:
            if hour == repeated:
                repeated = -1
                now = step(HOUR)
                continue
        elif hour != after_gap:
            after_gap = -1
            now = step(HOUR)
            continue
        elif hour - 1 not in fields.hours:
            now = clock.following(now, HOUR)
            continue
        if reading % HOUR // 60 not in fields.minutes:
            now = step(60)
        elif reading % 60 not in fields.seconds or now == base:
            now = step(1)
        else:
            return True, now
    return False, now


def _midnight(day: date) -> int:
    return (day - _EPOCH).days * DAY


def _next_month(day: date) -> date:
    return day.replace(day=1, month=day.month % 12 + 1, year=day.year + day.month // 12)


def _same_day(month: date, day: int) -> date:
    """Day ``day`` of the month, or its last."""
    return month.replace(day=min(day, monthrange(month.year, month.month)[1]))
