"""The kinds of values in payloads of the queue ``sync``: what Node sends goes in, a clean value comes out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints
from pydantic_core import PydanticCustomError

_EARLIEST, _LATEST = 1980, 2200  #: years


def read_day(value: Any) -> date:
    """A day: ``2026-01-31``, or a moment as JavaScript writes it, which stands for its day in UTC.

    Raises:
        PydanticCustomError: it is neither.
    """
    found: date | None = None
    try:
        if isinstance(value, datetime):
            found = value.astimezone(UTC).date() if value.tzinfo else None
        elif isinstance(value, date):
            found = value
        elif isinstance(value, str) and len(text := value.strip()) <= 40:
            if len(text) <= 10:
                found = date.fromisoformat(text)
            elif (moment := datetime.fromisoformat(text)).tzinfo is not None:
                found = moment.astimezone(UTC).date()
    except (ValueError, OverflowError):
        pass
    if found is None or not _EARLIEST <= found.year < _LATEST:
        # Passed as context: the message is a template, and the text may quote braces from the payload.
        raise PydanticCustomError("sync", "{text}", {
            "text": f"{str(value)[:40]!r} is not a day such as 2026-01-31, or a time such as 2026-01-31T09:30:00Z"
        })  # fmt: skip
    return found


#: Such as ``507f1f77bcf86cd799439011``.
RecordId = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{24}$", to_lower=True)]
Day = Annotated[date, BeforeValidator(read_day)]
