"""Times and days that services write, as far as they can be worked with."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from typing import Any, Final

#: Years. Nearer to the ends of the calendar a time cannot be moved to another zone, and one in a service's answer that
#: is so far away was meant by nobody.
_EARLIEST, _LATEST = 1970, 2200
_LONGEST: Final = 64  #: characters


def moment_of(value: Any, *, zone: tzinfo | None = None) -> datetime | None:
    """A time that a service gives: ISO 8601, or seconds since 1970. None for anything else, and for times that no
    service means, such as those of the year 1 or 9999.

    Args:
        zone: of a time that names none; without it such a time is none.
    """
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, UTC)
        elif isinstance(value, str) and len(value) <= _LONGEST:
            found = datetime.fromisoformat(value)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    if not _EARLIEST < found.year < _LATEST:
        return None
    if found.tzinfo is not None:
        return found
    return None if zone is None else found.replace(tzinfo=zone)


def day_of(value: Any) -> date | None:
    """A day such as ``2026-03-01``; None for anything else, as with ``moment_of``."""
    try:
        found = date.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if _EARLIEST < found.year < _LATEST else None
