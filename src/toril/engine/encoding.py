"""A new job as the arguments of ``add_jobs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from toril.engine.keys import check_job_id
from toril.engine.options import JobOptions
from toril.errors import OptionError

#: The 8 arguments of an option group; see ``lua/add_jobs.lua``.
Group = tuple[bytes, str, str, str, str, str, str, str]

MAX_OPTION_BYTES = 64 * 1024


def number(value: float) -> str:
    """A number as Redis and Node write it: no ``.0`` on whole ones."""
    return str(int(value)) if value == int(value) else repr(value)


def encode_group(bull: Mapping[str, Any]) -> Group:
    """Options in Bull's form as an option group.

    The creation time is left out unless given: the server puts its own in.
    """
    stored = {"attempts": 1, "delay": 0, **bull}
    stamp = stored.pop("timestamp", None)
    expires_in = stored.pop("expiresIn", None)
    if stamp is not None:
        stored["timestamp"] = stamp
        if expires_in is not None:
            stored["expiresAt"] = stamp + expires_in
    try:
        text = orjson.dumps(stored)
    except TypeError as error:
        raise OptionError(f"the options are not JSON: {error}") from None
    if len(text) > MAX_OPTION_BYTES:
        raise OptionError(f"the options are {len(text)} bytes of JSON, more than {MAX_OPTION_BYTES}")
    debounce = stored.get("debounce") or {}
    return (
        text if stamp is not None else text[:-1] + b',"timestamp":',
        "" if stamp is None else number(stamp),
        number(max(0, stored["delay"])),
        number(stored.get("priority") or 0),
        "1" if stored.get("lifo") else "0",
        str(debounce.get("id", "")),
        number(debounce["ttl"]) if debounce.get("ttl") else "",
        "" if expires_in is None or stamp is not None else number(expires_in),
    )


class OptionEncoder:
    """Merges options with the queue's defaults and encodes them; equal ones are encoded once.

    Args:
        defaults: the queue's default job options, in Bull's form.
    """

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self._plain = encode_group(self.defaults)
        self._known: dict[tuple[Any, ...], tuple[Group, dict[str, Any]]] = {}

    def encode(self, options: Mapping[str, Any]) -> tuple[Group, dict[str, Any]]:
        """Keyword options as (option group, merged options in Bull's form).

        Raises:
            OptionError: an unknown or bad option.
        """
        job_id = options.get("job_id")
        if job_id is not None:
            # Every id is another, but the rest of the options are mostly those of the job before.
            rest = {name: value for name, value in options.items() if name != "job_id"}
            merged = {**self.encode(rest)[1], "jobId": check_job_id(job_id)}
            return encode_group(merged), merged
        if not options:
            return self._plain, self.defaults
        # With the types: True == 1, so a wrong one could hide behind a right one.
        key: tuple[Any, ...] | None = (*options.items(), *map(type, options.values()))
        try:
            known = self._known.get(key)  # type: ignore[arg-type]
        except TypeError:  # an option that cannot be hashed
            known, key = None, None
        if known is not None:
            return known
        checked = JobOptions.from_dict(options)
        merged = {**self.defaults, **checked.to_bull()}
        made = (encode_group(merged), merged)
        if key is not None and not _is_moment(checked):
            if len(self._known) > 500:
                self._known.clear()
            self._known[key] = made
        return made


def _is_moment(options: JobOptions) -> bool:
    """Whether what is stored depends on the time of the call."""
    return hasattr(options.delay, "tzinfo")
