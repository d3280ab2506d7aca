"""JSON in and out of Redis, strict enough for Node to read, with errors that name the spot."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import orjson

from toril.errors import DataError

#: Largest JSON text of one job's data, bytes, unless the queue says otherwise.
MAX_DATA_BYTES = 10 * 1024 * 1024


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
    if b"null" in text and (spot := _not_a_number(value, what)):
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
            return json.loads(text)
        except RecursionError:
            raise ValueError("it is nested too deep") from None


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
    return []


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
