"""The shape of JSON, written as JSON.

``"string"``, ``"integer"``, ``"number"``, ``"boolean"``, ``"null"`` and ``"any"`` are kinds; ``"string | null"`` is
either. ``{"=": value}`` is this value, ``{"~": pattern}`` a text of this form; ``[shape]`` is a list of one or more of
the shape, ``[]`` an empty list. An object has exactly the shape's keys; one that ends with ``?`` may be missing.
"""

from __future__ import annotations

import re
from typing import Any

_KINDS: dict[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "any": lambda value: True,
}


def differences(value: Any, shape: Any, where: str = "$") -> list[str]:
    """In what ``value`` differs from ``shape``; empty if in nothing."""
    if isinstance(shape, str):
        fits = any(_KINDS[kind](value) for kind in shape.split(" | "))
        return [] if fits else [f"{where}: {value!r} is no {shape}"]
    if isinstance(shape, list):
        return _of_list(value, shape, where)
    if shape.keys() == {"="}:
        return [] if value == shape["="] else [f"{where}: {value!r} is not {shape['=']!r}"]
    if shape.keys() == {"~"}:
        fits = isinstance(value, str) and re.fullmatch(shape["~"], value) is not None
        return [] if fits else [f"{where}: {value!r} is not of the form {shape['~']}"]
    return _of_object(value, shape, where)


def _of_list(value: Any, shape: list[Any], where: str) -> list[str]:
    if not isinstance(value, list) or bool(value) != bool(shape):
        return [f"{where}: {value!r} is no {'list with something in it' if shape else 'empty list'}"]
    return [each for at, item in enumerate(value) for each in differences(item, shape[0], f"{where}[{at}]")]


def _of_object(value: Any, shape: dict[str, Any], where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    needed = {name for name in shape if not name.endswith("?")}
    known = {name.rstrip("?"): inner for name, inner in shape.items()}
    found = [f"{where}: {name} is missing" for name in sorted(needed - value.keys())]
    found += [f"{where}: {name} is not expected" for name in sorted(value.keys() - known.keys())]
    for name in value.keys() & known.keys():
        found += differences(value[name], known[name], f"{where}.{name}")
    return found
