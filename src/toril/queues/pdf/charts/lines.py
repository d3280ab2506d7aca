"""Line charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from toril.queues.pdf.charts.bars import Print, Values
from toril.queues.pdf.charts.canvas import Canvas
from toril.queues.pdf.charts.frame import draw_frame
from toril.queues.pdf.charts.scale import scale_of

_MANY = 31  # points that are too close together for dots


def draw_lines(
    canvas: Canvas, labels: Sequence[str], values: Values, colors: Sequence[str], print_: Print
) -> None:
    """A line for each series, broken where values are missing; one alone has its area shaded."""
    scale = scale_of([value for series in values for value in series])
    frame = draw_frame(canvas, scale, labels, [print_(mark) for mark in scale.marks], in_a_row=True)
    zero = frame.y(Decimal(0))
    for series, color in zip(values, colors, strict=False):
        for piece in _pieces(series):
            points = [(frame.middle(at), frame.y(value)) for at, value in piece]
            if len(values) == 1:
                canvas.polygon([(points[0][0], zero), *points, (points[-1][0], zero)], color, opacity=0.1)
            if len(points) > 1:
                canvas.polyline(points, color)
            if len(labels) <= _MANY or len(points) == 1:
                for x, y in points:
                    canvas.circle(x, y, 1.9, color, stroke="#fff")


def _pieces(series: Sequence[Decimal | None]) -> Iterator[list[tuple[int, Decimal]]]:
    """The runs of values without a gap, each value with its place."""
    piece: list[tuple[int, Decimal]] = []
    for at, value in enumerate(series):
        if value is not None:
            piece.append((at, value))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece
