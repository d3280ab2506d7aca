"""Dates as Bull's options carry them: numbers and texts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

from toril.engine.zone import LocalClock, local_clock
from toril.errors import OptionError

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
_ISO = re.compile(f"{_DAY}([T ]{_TIME}(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?")
_RFC_2822 = re.compile(
    "(?:[A-Z][a-z]{2}, )?[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} "
    "[0-9]{2}:[0-9]{2}(?::[0-9]{2})? (?:GMT|[+-][0-9]{4})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The last moment a JavaScript ``Date`` holds.
_LAST_MS = 8_640_000_000_000_000


def date_ms(value: Any, what: str, clock: LocalClock | None = None) -> int:
    """A date in Unix milliseconds.

    Args:
        value: milliseconds, or a text in ISO 8601 or RFC 2822.
        what: its name, for the message.
        clock: reads texts without a zone. Without one they are read as JavaScript's ``Date`` does: a bare
            date is midnight UTC, a time is one of this process's zone.

    Raises:
        OptionError: it is not a date.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isfinite(value) and abs(value) <= _LAST_MS:
            return int(value)
    elif isinstance(value, str):
        try:
            return _text_ms(value, clock)
        except ValueError:
            pass
    raise OptionError(
        f"{what} must be Unix milliseconds or a text such as '2031-01-01T00:00:00Z', got {value!r}"
    )


def iso_text(moment: datetime) -> str:
    """As JavaScript's JSON writes a date: UTC, with milliseconds.

    Raises:
        OptionError: the datetime has no zone, so it names no moment.
    """
    if moment.tzinfo is None:
        raise OptionError(f"datetime {moment} has no zone; add one, such as tzinfo=ZoneInfo('Asia/Riyadh')")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text_ms(text: str, clock: LocalClock | None) -> int:
    if _RFC_2822.fullmatch(text):
        moment = parsedate_to_datetime(text)
        return _since_epoch_ms(moment.replace(tzinfo=moment.tzinfo or UTC))
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(text)
    time, offset = match.groups()
    moment = datetime.fromisoformat(text)
    if offset is not None:
        return _since_epoch_ms(moment)
    reading, ms = divmod(_since_epoch_ms(moment.replace(tzinfo=UTC)), 1_000)
    if clock is None:
        clock = local_clock("UTC" if time is None else None)
    return clock.instant(reading, clock.offset(reading)) * 1_000 + ms


def _since_epoch_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
