"""Days in payloads, and when they begin: one rule for reports, syncs and whatever else asks for a period.

A day that is written as a day is that one. A moment stands for the day it is in the time zone of the firm, whatever its
own offset is: what JavaScript sends for the first of March in Riyadh is a moment of the last of February in UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo
from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

#: Years. What is earlier is most likely seconds where milliseconds are meant; nearer to the ends of the calendar a
#: moment cannot be moved to another zone.
_EARLIEST: Final = 1980
_LATEST: Final = 2200


def read_day(value: Any) -> date | datetime:
    """A day, or a moment that stands for its day in the firm's zone; see ``day_in``.

    Args:
        value: ``2026-01-31``, ISO 8601 with a time and its offset, milliseconds since 1970, or a Python date.

    Raises:
        PydanticCustomError: it is none of these.
    """
    found: date | datetime | None = None
    shown = repr(value)[:60]
    try:
        if isinstance(value, date):
            found = value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value / 1000, UTC)
        elif isinstance(value, str) and len(text := value.strip()) <= 64:
            found = date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        pass
    if found is None or not _EARLIEST <= found.year < _LATEST:
        raise _problem(
            f"{shown} is not a day such as 2026-01-31, a time such as 2026-01-31T09:30:00Z, or milliseconds "
            f"since 1970, from {_EARLIEST} on"
        )
    if isinstance(found, datetime) and found.utcoffset() is None:
        raise _problem(f"{shown} has no offset from UTC: write 2026-01-31T09:30:00+03:00, or the day alone")
    return found


def day_in(value: date | datetime, zone: tzinfo) -> date:
    """The day that ``read_day`` gave, as the calendar of ``zone`` has it."""
    return value.astimezone(zone).date() if isinstance(value, datetime) else value


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins in ``zone``, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _problem(text: str) -> PydanticCustomError:
    # Passed as context: the message is a template, and the text may quote braces from the payload.
    return PydanticCustomError("day", "{text}", {"text": text})


Day = Annotated[date | datetime, BeforeValidator(read_day)]
