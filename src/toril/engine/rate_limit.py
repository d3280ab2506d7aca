"""The limiter's options; what it does is in ``lua/includes/rate_limit.lua``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from toril.engine.backoff import seconds, to_ms
from toril.engine.encoding import number
from toril.errors import OptionError


def read_limiter(limiter: Mapping[str, Any] | None) -> str:
    """``{"max": jobs, "duration": seconds, "group_key": path}`` as the argument of ``advance``.

    Raises:
        OptionError: ``max`` or ``duration`` is missing or bad. ``bounce_back`` is refused: in Bull it loses jobs.
    """
    if limiter is None:
        return ""
    unknown = sorted(set(limiter) - {"max", "duration", "group_key"})
    if unknown:
        raise OptionError(f"limiter has no option {unknown[0]!r}; it takes max, duration and group_key")
    if limiter.get("max") is None or limiter.get("duration") is None:
        raise OptionError("Limiter requires `max` and `duration` options")
    most, duration = limiter["max"], seconds(limiter["duration"], "limiter duration")
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise OptionError(f"limiter max must be a whole number of at least 1, got {most!r}")
    if duration < 0.001:
        raise OptionError(f"limiter duration must be at least 0.001 s, got {duration!r}")
    return f"{most} {number(round(to_ms(duration)))} {1 if limiter.get('group_key') else 0}"


def grouped_id(job_id: str | None, data: Any, path: str) -> str:
    """A job's id with its group at the end, from which the limiter reads it, as Bull does.

    Args:
        path: where in the data the group is, with dots: ``user.id``.
    """
    value = data
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    # As Node writes values into a text.
    words = {None: "undefined", True: "true", False: "false"}
    group = words[value] if value is None or isinstance(value, bool) else str(value)
    return f"{job_id or uuid.uuid4()}:{group}"
