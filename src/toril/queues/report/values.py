"""Figures and records as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

HALALA = Decimal("0.01")
ZERO = Decimal(0)


def to_json(value: Any, zone: tzinfo) -> Any:
    """``value``, and what is in it, as JSON has it: days and times as ISO 8601, times with the offset of ``zone``."""
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: to_json(each, zone) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each, zone) for each in value]
    return value


def number(value: Decimal) -> float | str:
    """A decimal as JSON's number, which is exact for up to 15 digits; as text when it has more."""
    nearest = float(value)
    return nearest if Decimal(repr(nearest)) == value else f"{value:f}"


def share(part: int, whole: int) -> Decimal:
    """Per cent, with one decimal; nothing of nothing is 0."""
    return rounded(Decimal(100 * part) / whole, "0.1") if whole else Decimal("0.0")


def hours(minutes: int) -> Decimal:
    """Minutes as hours, with two decimals."""
    return rounded(Decimal(minutes) / 60)


def rounded(value: Decimal, to: str = "0.01") -> Decimal:
    """To the nearest, halves away from zero, as money is rounded."""
    return value.quantize(Decimal(to), ROUND_HALF_UP)
