"""JSON that strangers send: read with an effort that does not grow with what they put into it."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import orjson

#: Values of one body, each number, text, list and object counted. What a reader of JSON costs goes by these and not by
#: bytes: five million empty lists fit into 16 MB, and keep a reader for seconds.
MOST_VALUES: Final = 200_000

#: Bytes that are looked at in one step.
_STEP: Final = 256 * 1024


class TooManyValues(ValueError):
    """More than anybody has a use for."""


def read_json(text: bytes) -> Any:
    """What a body says.

    Raises:
        TooManyValues: it has more than ``MOST_VALUES`` values; it was not read.
        ValueError, RecursionError: it is no JSON.
    """
    # Each value but the first of a list or an object comes after a comma. Most bodies are known to be small by that.
    if _count(text) > MOST_VALUES and _has_more_than(MOST_VALUES, text):
        raise TooManyValues(f"has more than {MOST_VALUES:,} values")
    try:
        return orjson.loads(text)
    except ValueError:
        # For integers past 64 bits and halves of surrogate pairs; else as strict: UTF-8, no NaN.
        return json.loads(text.decode(), parse_constant=_finite, parse_float=_finite)


def _count(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _has_more_than(most: int, text: bytes) -> bool:
    """Whether there are more values, commas and brackets in texts not counted: a page of HTML is full of them."""
    plain, values, quotes, inside = text.replace(b"\\\\", b"").replace(b'\\"', b""), 0, 0, 0
    for start in range(0, len(plain), _STEP):
        parts = plain[start : start + _STEP].split(b'"')
        values += _count(b"".join(parts[inside::2]))
        quotes += len(parts) - 1
        inside = quotes % 2
        if values > most or quotes > 4 * most + 4:  # two for a value, and two for its name
            return True
    return False


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON")
    return number
