"""Texts from payloads: what has no shape is dropped or refused, in time that a large text does not notice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

#: Control characters but tabs and line ends, and halves of surrogate pairs: Unicode's categories Cc and Cs.
UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def without_control_characters(text: str) -> str:
    """The text with ``\\n`` for each line end, and without control characters and halves of characters."""
    return UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def storable(value: Any, longest: int = 600) -> Any:
    """A value of JSON as every database takes it: texts cut, ``?`` for NUL and halves of characters."""
    if isinstance(value, str):
        return value[:longest].replace("\0", "?").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {name: storable(inner, longest) for name, inner in value.items()}
    return [storable(item, longest) for item in value] if isinstance(value, list) else value
