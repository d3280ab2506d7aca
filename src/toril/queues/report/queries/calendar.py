"""Days and months in SQL and beside it, in a firm's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Date, String, case, cast, func, literal
from sqlalchemy.ext.asyncio import AsyncSession

from toril.queues.days import midnight

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)

#: Between these, changes of a zone's clock are known to the queries of a database that does not know zones.
_FROM, _UNTIL = datetime(1990, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """Days from the first to the last, both included."""

    first: date
    last: date

    @property
    def months(self) -> list[str]:
        """Every month it touches, as ``2026-01``."""
        begin, end = self.first.year * 12 + self.first.month - 1, self.last.year * 12 + self.last.month - 1
        return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(begin, end + 1)]

    def moments(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """When the first day begins in ``zone``, and when the last one is over."""
        return midnight(self.first, zone), midnight(self.last + _DAY, zone)


def dialect_of(session: AsyncSession) -> str:
    """``sqlite`` or ``postgresql``."""
    return session.get_bind().dialect.name


def local_day(moment: ColumnElement[Any], zone: ZoneInfo, dialect: str) -> ColumnElement[date]:
    """The day on which a moment falls in ``zone``."""
    if dialect == "postgresql":
        return cast(func.timezone(zone.key, moment), Date)
    # SQLite knows no zones, but takes an offset.
    return func.date(moment, _offset(moment, zone), type_=Date)


def month_of(day: ColumnElement[Any], dialect: str) -> ColumnElement[str]:
    """``2026-01`` of a day."""
    return _formatted(day, dialect, "YYYY-MM", "%Y-%m")


def year_of(day: ColumnElement[Any], dialect: str) -> ColumnElement[str]:
    """``2026`` of a day."""
    return _formatted(day, dialect, "YYYY", "%Y")


def _formatted(day: ColumnElement[Any], dialect: str, postgres: str, sqlite: str) -> ColumnElement[str]:
    if dialect == "postgresql":
        return func.to_char(day, postgres, type_=String)
    return func.strftime(sqlite, day, type_=String)


def _offset(moment: ColumnElement[Any], zone: ZoneInfo) -> ColumnElement[str]:
    """The offset of ``zone`` at a moment, as SQLite's date functions take it."""
    (_, earliest), *later = _offsets(zone)
    if not later:
        return literal(f"{earliest} seconds", String)
    whens = [(moment >= begin, f"{seconds} seconds") for begin, seconds in reversed(later)]
    return case(*whens, else_=f"{earliest} seconds")


@lru_cache(maxsize=32)
def _offsets(zone: ZoneInfo) -> tuple[tuple[datetime, int], ...]:
    """From when on a zone is how many seconds east of UTC."""
    found = [(_FROM, _seconds_east(_FROM, zone))]
    at = _FROM
    while at < _UNTIL:
        # No zone changes its clock and changes it back within a week.
        following = at + 7 * _DAY
        if _seconds_east(following, zone) != found[-1][1]:
            while following - at > timedelta(seconds=1):
                middle = at + (following - at) // 2
                at, following = (
                    (middle, following) if _seconds_east(middle, zone) == found[-1][1] else (at, middle)
                )
            change = following.replace(microsecond=0)
            found.append((change, _seconds_east(change, zone)))
            at = change
            continue
        at = following
    return tuple(found)


def _seconds_east(moment: datetime, zone: ZoneInfo) -> int:
    return (moment.astimezone(zone).utcoffset() or timedelta()) // timedelta(seconds=1)
