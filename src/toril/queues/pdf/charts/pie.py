"""Pie and donut charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from toril.queues.pdf.charts.canvas import Canvas
from toril.queues.pdf.charts.frame import INK

_HOLE = 0.6  # of the radius


def draw_pie(canvas: Canvas, shares: Sequence[float], colors: Sequence[str], *, middle: str | None) -> None:
    """Slices from the top in reading direction; with ``middle``, a ring with that text in it.

    Args:
        shares: of the whole, 0 to 1, adding up to 1.
    """
    x, y = canvas.width / 2, canvas.height / 2
    radius = min(x, y) - 1
    begin = 0.0
    for share, color in zip(shares, colors, strict=False):
        if share > 0.9999:
            canvas.circle(x, y, radius, color)
        elif share > 0:
            ends = (_point(x, y, radius, begin), _point(x, y, radius, begin + share))
            canvas.sector(x, y, radius, ends, color, wide=share > 0.5)
        begin += share
    if middle is not None:
        canvas.circle(x, y, radius * _HOLE, "#fff")
        figure = not any(letter.isalpha() for letter in middle)
        canvas.text(x, y + 4, middle, anchor="middle", size=11, fill=INK, bold=True, figure=figure)


def shares_of(values: Sequence[Decimal | None]) -> list[float]:
    """Each value's share of the sum; all zero if there is nothing to share."""
    known = [value or Decimal(0) for value in values]
    total = sum(known, Decimal(0))
    return [float(value / total) if total else 0.0 for value in known]


def _point(x: float, y: float, radius: float, turn: float) -> tuple[float, float]:
    angle = 2 * math.pi * turn
    return x + radius * math.sin(angle), y - radius * math.cos(angle)
