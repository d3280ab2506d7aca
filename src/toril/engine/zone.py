"""Local time of a zone: what a clock on the wall shows, and which instant a reading means."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from toril.errors import OptionError

HOUR = 3_600
DAY = 86_400

_SECOND = timedelta(seconds=1)
_FIXED = re.compile(r"utc(?:([+-])([0-9]{1,2})(?::([0-9]{2}))?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LocalClock:
    """A zone's clock. Instants are whole seconds since 1970 in UTC, readings the same count in local time.

    Where clocks jump, a reading names two instants or none. The choice made here is that of Luxon 3, the date
    library below Node's cron-parser, so that both sides run a job at the same moment.
    """

    #: Seconds east of UTC at an instant.
    offset: Callable[[int], int]

    def reading(self, instant: int) -> int:
        """What the clock shows at ``instant``."""
        return instant + self.offset(instant)

    def instant(self, reading: int, offset: int) -> int:
        """The instant of ``reading``.

        Of a reading that comes twice the one with the given ``offset`` is meant, usually that of where one
        comes from; a reading that is skipped is taken as if the clock had not jumped yet.
        """
        guess = reading - offset
        first = self.offset(guess)
        if first == offset:
            return guess
        second = self.offset(reading - first)
        return reading - min(first, second)

    def floor(self, instant: int, unit: int) -> int:
        """Start of the minute, hour or day (``unit`` seconds long) that the clock shows at ``instant``."""
        offset = self.offset(instant)
        reading = instant + offset
        return self.instant(reading - reading % unit, offset)

    def following(self, instant: int, unit: int) -> int:
        """Start of the next second, minute or hour in elapsed time; always later than ``instant``."""
        start = self.floor(instant + unit, unit)
        # Clocks that go back by half an hour have the hour start again before now.
        return start if start > instant else start + HOUR


@lru_cache(maxsize=256)
def local_clock(tz: str | None) -> LocalClock:
    """The clock of a zone.

    Args:
        tz: an IANA name (upper and lower case are the same), ``UTC``, ``GMT``, or a fixed offset such as
            ``UTC+3`` or ``UTC-05:30``. ``None``, ``local``, ``system`` and ``default`` are this process's own
            zone as in Node: the variable ``TZ``, or else the machine's setting.

    Raises:
        OptionError: no such zone.
    """
    if tz is None or tz.lower() in ("local", "system", "default"):
        return LocalClock(lambda instant: time.localtime(instant).tm_gmtoff)
    if tz.lower() == "gmt":
        return LocalClock(lambda instant: 0)
    if fixed := _FIXED.fullmatch(tz):
        sign, hours, minutes = fixed.groups(default="0")
        seconds = int(hours) * HOUR + int(minutes) * 60
        east = -seconds if sign == "-" else seconds
        return LocalClock(lambda instant: east)
    zone = _zone(tz)

    def offset(instant: int) -> int:
        return (datetime.fromtimestamp(instant, zone).utcoffset() or timedelta()) // _SECOND

    return LocalClock(offset)


def _zone(tz: str) -> ZoneInfo:
    names = _zone_names()
    if (name := names.get(tz.lower())) is not None:
        return ZoneInfo(name)
    near = get_close_matches(tz.lower(), names, n=1)
    hint = f", did you mean {names[near[0]]!r}?" if near else "; use an IANA name such as 'Europe/Athens'"
    raise OptionError(f"there is no time zone {tz!r}{hint}")


@lru_cache(maxsize=1)
def _zone_names() -> dict[str, str]:
    # What else the database holds: names for "not set" and for the machine's own zone.
    others = {"Factory", "localtime", "posixrules"}
    return {name.lower(): name for name in available_timezones() - others}
