"""The HTTP header Retry-After."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_seconds(value: str | None, *, now: datetime, cap: float = 3600.0) -> float | None:
    """Seconds to wait, from ``Retry-After`` as seconds or as an HTTP date (RFC 9110, 10.2.3).

    Args:
        value: the header, ``None`` when it was not sent.
        now: our clock, with a time zone.
        cap: the most to return, whatever the server says.
    Returns:
        0 or more; ``None`` if the header is absent or makes no sense.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text) if text.isascii() and text.replace(".", "", 1).isdigit() else None
        if seconds is None:
            due = parsedate_to_datetime(text)
            seconds = (due if due.tzinfo else due.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), cap)
