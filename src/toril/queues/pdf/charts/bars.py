"""Bar charts, standing and lying."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from toril.queues.pdf.charts.canvas import Canvas, shortened, text_width
from toril.queues.pdf.charts.frame import INK, SIZE, ZERO, draw_frame
from toril.queues.pdf.charts.scale import scale_of

Values = Sequence[Sequence[Decimal | None]]
Print = Callable[[Decimal], str]


def draw_bars(
    canvas: Canvas,
    labels: Sequence[str],
    values: Values,
    colors: Sequence[str],
    print_: Print,
    *,
    stacked: bool,
) -> None:
    """Standing bars: those of several series side by side, or on top of each other."""
    sums = _sums(values, len(labels))
    scale = scale_of(sums if stacked else [value for series in values for value in series])
    frame = draw_frame(
        canvas, scale, labels, [print_(mark) for mark in scale.marks], in_a_row=len(labels) > 16
    )
    beside = 1 if stacked else len(values)
    wide = min(frame.band * 0.72, 34.0 * beside)
    bar = wide / beside
    shown = sums if stacked else [value for series in values for value in series if value is not None]
    written = max(text_width(print_(value), SIZE - 0.5) for value in shown) <= bar + 2
    for at in range(len(labels)):
        base = Decimal(0)
        x = frame.middle(at) - wide / 2
        for number, series in enumerate(values):
            value = series[at]
            if value is None:
                continue
            low, high = (base, base + value) if stacked else (min(value, Decimal(0)), max(value, Decimal(0)))
            place = x if stacked else x + bar * number + bar * 0.05
            top, bottom = frame.y(high), frame.y(low)
            canvas.rect(
                place,
                top,
                bar if stacked else bar * 0.9,
                bottom - top,
                colors[number],
                radius=min(1.2, bar / 4),
            )
            if stacked:
                base += value
            elif written:
                _write(
                    canvas,
                    place + bar * 0.45,
                    (top - 3) if value >= 0 else (bottom + SIZE + 1),
                    print_(value),
                )
        if stacked and written:
            _write(canvas, frame.middle(at), frame.y(base) - 3, print_(base))
    zero = frame.y(Decimal(0))
    canvas.line(frame.start, zero, frame.end, zero, ZERO, width=0.7)


ROW, BAR = 27.0, 8.0  #: height of a row of lying bars with its label, and of a bar
_GAP, _BETWEEN = 6.0, 1.5  # under a row, and between bars of one


def rows_height(labels: int, series: int, *, stacked: bool) -> float:
    """The height of lying bars."""
    return labels * (ROW + (0 if stacked else (series - 1) * (BAR + _BETWEEN)))


def draw_rows(
    canvas: Canvas,
    labels: Sequence[str],
    values: Values,
    colors: Sequence[str],
    print_: Print,
    *,
    stacked: bool,
) -> None:
    """Lying bars, each with its label above it and its value at its end; without an axis."""
    sums = _sums(values, len(labels))
    lengths = sums if stacked else [value for series in values for value in series if value is not None]
    # From the longest bar rather than from a round number: there is no axis to read it off.
    most = max(lengths, default=Decimal(0)) or Decimal(1)
    length = canvas.width - max((text_width(print_(value), SIZE) for value in lengths), default=0) - 8
    y = 0.0
    for at, label in enumerate(labels):
        canvas.text(0, y + 9, shortened(label, canvas.width, SIZE + 0.5), size=SIZE + 0.5, fill=INK)
        y += ROW - BAR - _GAP
        x = 0.0
        for number, series in enumerate(values):
            value = series[at]
            if value is not None:
                long = max(float(value / most) * length, 0.6)
                canvas.rect(x, y, long, BAR, colors[number], radius=1.2)
                x += long
                if not stacked:
                    _write(canvas, x + 4, y + BAR - 2, print_(value), middle=False)
            if not stacked:
                x = 0.0
                y += BAR + _BETWEEN if number < len(values) - 1 else 0
        if stacked:
            _write(canvas, x + 4, y + BAR - 2, print_(sums[at]), middle=False)
        y += BAR + _GAP


def _sums(values: Values, count: int) -> list[Decimal]:
    return [sum((series[at] or Decimal(0) for series in values), Decimal(0)) for at in range(count)]


def _write(canvas: Canvas, x: float, y: float, text: str, *, middle: bool = True) -> None:
    figure = not any(letter.isalpha() for letter in text)
    canvas.text(x, y, text, anchor="middle" if middle else "start", size=SIZE - 0.5, fill=INK, figure=figure)
