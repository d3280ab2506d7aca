"""What bars and lines stand in: the axis of values with its grid, and labels under the other one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from toril.queues.pdf.charts.canvas import Canvas, in_two_lines, shortened, text_width
from toril.queues.pdf.charts.scale import Scale

SIZE = 7.0  #: of labels, in points
GRID, ZERO, INK = "#e4e8ee", "#98a2b3", "#475467"
_LINE = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where things go on the canvas: bands of equal width, a label to each, over a scale of values."""

    canvas: Canvas
    scale: Scale
    start: float
    end: float
    top: float
    bottom: float
    bands: int

    @property
    def band(self) -> float:
        """Width of a band."""
        return (self.end - self.start) / self.bands

    def middle(self, at: int) -> float:
        """The ``x`` in the middle of a band."""
        return self.start + self.band * (at + 0.5)

    def y(self, value: Decimal) -> float:
        """The ``y`` of a value."""
        return self.bottom - self.scale.share(value) * (self.bottom - self.top)


def draw_frame(
    canvas: Canvas, scale: Scale, labels: Sequence[str], marks: Sequence[str], *, in_a_row: bool
) -> Frame:
    """Draw grid and labels.

    Args:
        marks: the texts of the scale's marks.
        in_a_row: the labels are of an order that is plain, such as months, so that some may be left out.
    """
    start = max(text_width(mark, SIZE) for mark in marks) + 8
    band = (canvas.width - start) / len(labels)
    every = 1
    if in_a_row or band < 14:
        widest = max(text_width(label, SIZE) for label in labels)
        every = max(1, -int(-min(widest + 6, 60) // band))
    lines = [in_two_lines(label, band * every - 3, SIZE) for label in labels]
    if in_a_row:
        lines = [[shortened(label, max(band * every - 3, 24), SIZE)] for label in labels]
    bottom = canvas.height - _LINE * max(map(len, lines)) - 4
    frame = Frame(
        canvas=canvas, scale=scale, start=start, end=canvas.width, top=12, bottom=bottom, bands=len(labels)
    )
    for value, mark in zip(scale.marks, marks, strict=True):
        y = frame.y(value)
        canvas.line(start, y, canvas.width, y, GRID if value else ZERO, width=0.5 if value else 0.7)
        canvas.text(
            start - 5, y + SIZE * 0.35, mark, anchor="end", size=SIZE, fill="#667085", figure=_plain(mark)
        )
    for at in range(0, len(labels), every):
        for row, text in enumerate(lines[at]):
            half = text_width(text, SIZE) / 2
            x = min(max(frame.middle(at), half), canvas.width - half)
            canvas.text(x, bottom + _LINE * (row + 1), text, anchor="middle", size=SIZE, fill=INK)
    return frame


def _plain(mark: str) -> bool:
    """Whether it is a number alone, without a word."""
    return not any(letter.isalpha() for letter in mark)
