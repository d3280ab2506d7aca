"""The kinds of values in a report job's payload, and how a mistake in one is told.

Each is an annotated type: what a JavaScript application sends goes in, a clean Python value comes out.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from toril.queues.texts import UNPRINTABLE

_EARLIEST, _LATEST = 1980, 2200  #: years; what is earlier is most likely seconds where milliseconds are meant


def problem(text: str) -> PydanticCustomError:
    """An error of the value that is being checked."""
    # Passed as context: the message is a template, and the text may quote braces from the payload.
    return PydanticCustomError("report", "{text}", {"text": text})


def problems_at(found: list[tuple[str, tuple[str | int, ...]]]) -> ValidationError:
    """Errors of the fields at the given paths, for a check that sees the whole model."""
    return ValidationError.from_exception_data(
        "report", [InitErrorDetails(type=problem(text), loc=path, input=None) for text, path in found]
    )


def read_day(value: Any) -> date | datetime:
    """A day, or a moment that stands for its day in the firm's zone.

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
        elif isinstance(value, str):
            text = value.strip()
            found = date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        pass
    if found is None or not _EARLIEST <= found.year < _LATEST:
        raise problem(
            f"{shown} is not a day such as 2026-01-31, a time such as 2026-01-31T09:30:00Z, or milliseconds "
            f"since 1970, from {_EARLIEST} on"
        )
    if isinstance(found, datetime) and found.utcoffset() is None:
        raise problem(f"{shown} has no offset from UTC: write 2026-01-31T09:30:00+03:00, or the day alone")
    return found


def day_in(value: date | datetime, zone: tzinfo) -> date:
    """The day that ``read_day`` gave, as the calendar of ``zone`` has it."""
    return value.astimezone(zone).date() if isinstance(value, datetime) else value


def storable(text: str) -> str:
    """A text without control characters and halves of a character.

    Raises:
        PydanticCustomError: it has one. PostgreSQL keeps neither; SQLite would compare them with nothing.
    """
    if UNPRINTABLE.search(text):
        raise problem("has a control character")
    return text


def _default(value: Any) -> Any:
    return [] if value is None else value


#: Such as ``507f1f77bcf86cd799439011``.
RecordId = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{24}$", to_lower=True)]
Day = Annotated[date | datetime, BeforeValidator(read_day)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_upper=True)]
#: Name of a source's column, or one that a query gives to a result.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
#: Before a list: null is an empty one.
NONE_IS_EMPTY = BeforeValidator(_default)
