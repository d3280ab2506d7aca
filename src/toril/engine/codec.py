"""JSON in and out of Redis, strict enough for Node to read, with errors that name the spot."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

import orjson

from toril.errors import DataError

#: Largest JSON text of one job's data, bytes, unless the queue says otherwise.
MAX_DATA_BYTES = 10 * 1024 * 1024


#: Digits that a float surely holds.
_FLOAT_DIGITS = 300

#: A null that is a value of its own rather than part of a text, as far as a look can tell.
_NULL = re.compile(rb"(?:^|[\[:,])null(?:$|[\],}])")


def encode(value: Any, *, what: str = "data", limit: int = MAX_DATA_BYTES) -> bytes:
    """``value`` as JSON text (UTF-8).

    Dataclasses, dates, UUIDs and enums are written as orjson does. NaN and infinities are refused: they are
    not JSON, and would arrive as null.

    Raises:
        DataError: not JSON (the message has the path of the first bad value), or longer than ``limit`` bytes.
    """
    try:
        text = orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise DataError(f"{_bad_spot(value, what) or what} is not JSON: {error}") from None
    if value is not None and b"null" in text and _NULL.search(text) and _has_bad_number(value):
        spot = _not_a_number(value, what) or what
        raise DataError(f"{spot} is NaN or infinite, which JSON cannot say; send None or a text")
    if len(text) > limit:
        raise DataError(
            f"{what} is {len(text):,} bytes of JSON, more than the {limit:,} allowed; "
            "store it elsewhere and pass its key, or raise max_data_bytes"
        )
    return text


def decode(text: bytes | str) -> Any:
    """Read JSON text.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Halves of surrogate pairs and NaN, which other clients may have written.
        try:
            return json.loads(text, parse_int=_as_in_node)
        except RecursionError:
            raise ValueError("it is nested too deep") from None


def _as_in_node(digits: str) -> int | float:
    """A whole number that no float holds is infinite there; an int of that size breaks all that reckons with it."""
    return int(digits) if len(digits) <= _FLOAT_DIGITS else float(digits)


def check_text(text: str, what: str) -> None:
    """Refuse a text that cannot be sent.

    Raises:
        DataError: it holds half a surrogate pair.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{what} {text!r} cannot be sent to the server: {error}") from None


def to_text(text: bytes | str) -> str:
    """Bytes from the server as text; bytes that are not UTF-8 are shown as escapes."""
    return text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text


def _children(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(f".{key}" if isinstance(key, str) else f"[{key!r}]", item) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [(f"[{index}]", item) for index, item in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f".{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value)]
    return []


def _has_bad_number(value: Any) -> bool:
    """Whether something that is written as null is none. The standard library's encoder is far faster than a walk."""
    try:
        json.dumps(value, allow_nan=False, default=_in_parts)
    except ValueError as error:
        return "not JSON compliant" in str(error)
    except (TypeError, RecursionError):  # keys that only orjson writes
        return _not_a_number(value, "") is not None
    return False


def _in_parts(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    return value.value if isinstance(value, Enum) else None


def _bad_spot(value: Any, path: str, depth: int = 0) -> str | None:
    if depth > 100:
        return f"{path[:80]}… (nested too deep, or holding itself)"
    if isinstance(value, Mapping) and any(not isinstance(key, str) for key in value):
        return path
    for step, child in _children(value):
        if found := _bad_spot(child, path + step, depth + 1):
            return found
    if _children(value):
        return None
    try:
        orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return path
    return None


def _not_a_number(value: Any, path: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    for step, child in _children(value):
        if found := _not_a_number(child, path + step):
            return found
    return None
