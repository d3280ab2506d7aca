"""A drawing surface for charts: points as units, and sides named by reading direction.

``x`` grows from the side where reading starts, so that one description of a chart serves Arabic, where it is
the right, and English.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Literal

from markupsafe import Markup, escape

Anchor = Literal["start", "middle", "end"]

# Of letters that are narrower or wider than most, in ems; from the fonts of documents, with room to spare.
_WIDTHS = (
    (" .,:;'|!ilj", 0.28),
    ("ادذرزولأإآؤ", 0.38),
    ("سشصضطظكةmwMW@%", 0.85),
)

_OPPOSITE: dict[Anchor, Anchor] = {"start": "end", "middle": "middle", "end": "start"}


class Canvas:
    """Collects shapes and gives them out as one ``<svg>``; all text is escaped."""

    def __init__(self, width: float, height: float, *, rtl: bool) -> None:
        self.width, self.height, self.rtl = width, height, rtl
        self._parts: list[Markup] = []

    def rect(self, x: float, y: float, width: float, height: float, fill: str, *, radius: float = 0) -> None:
        """A filled rectangle; ``x`` is its side where reading starts."""
        left = self.width - x - width if self.rtl else x
        self._add(
            '<rect x="{}" y="{}" width="{}" height="{}" rx="{}" fill="{}"/>',
            *map(_number, (left, y, width, height, radius)),
            fill,
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str, *, width: float = 0.6) -> None:
        """A straight line."""
        self._add(
            '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" stroke-width="{}"/>',
            *map(_number, (self._x(x1), y1, self._x(x2), y2)),
            stroke,
            _number(width),
        )

    def polyline(self, points: Iterable[tuple[float, float]], stroke: str, *, width: float = 1.6) -> None:
        """Straight lines from point to point."""
        self._add(
            '<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" stroke-linejoin="round" '
            'stroke-linecap="round"/>',
            self._points(points),
            stroke,
            _number(width),
        )

    def polygon(self, points: Iterable[tuple[float, float]], fill: str, *, opacity: float = 1) -> None:
        """A filled shape with straight sides."""
        shape = '<polygon points="{}" fill="{}" fill-opacity="{}"/>'
        self._add(shape, self._points(points), fill, _number(opacity))

    def circle(self, x: float, y: float, radius: float, fill: str, *, stroke: str = "none") -> None:
        """A filled circle."""
        self._add(
            '<circle cx="{}" cy="{}" r="{}" fill="{}" stroke="{}"/>',
            *map(_number, (self._x(x), y, radius)),
            fill,
            stroke,
        )

    def sector(
        self, x: float, y: float, radius: float, ends: tuple[tuple[float, float], tuple[float, float]], fill: str,
        *, wide: bool,
    ) -> None:  # fmt: skip
        """A slice of a circle around (x, y) between two points on it, in reading direction from the first."""
        (x1, y1), (x2, y2) = ends
        self._add(
            '<path d="M{} {}L{} {}A{} {} 0 {} {} {} {}Z" fill="{}" stroke="#fff" stroke-width="1"/>',
            *map(_number, (self._x(x), y, self._x(x1), y1, radius, radius)),
            int(wide),
            int(not self.rtl),
            *map(_number, (self._x(x2), y2)),
            fill,
        )

    def text(
        self, x: float, y: float, text: str, *, anchor: Anchor = "start", size: float = 7, fill: str = "#475467",
        bold: bool = False, figure: bool = False,
    ) -> None:  # fmt: skip
        """One line of text, ``y`` being its base line; ``figure`` for numbers, which run left to right."""
        rtl = self.rtl and not figure
        if self.rtl and not rtl:  # the anchor's sides are those of the text's own direction
            anchor = _OPPOSITE[anchor]
        self._add(
            '<text x="{}" y="{}" direction="{}" text-anchor="{}" font-size="{}" fill="{}"{}{}>{}</text>',
            *map(_number, (self._x(x), y)),
            "rtl" if rtl else "ltr",
            anchor,
            _number(size),
            fill,
            Markup(' font-weight="700"') if bold else "",
            Markup(' class="figure"') if figure else "",
            text,
        )

    def svg(self, label: str) -> Markup:
        """The drawing; ``label`` says to those who do not see it what it is."""
        head = Markup(
            '<svg viewBox="0 0 {} {}" width="{}pt" height="{}pt" role="img" aria-label="{}">'
        ).format(*map(_number, (self.width, self.height, self.width, self.height)), label)
        return head + Markup("").join(self._parts) + Markup("</svg>")

    def _x(self, x: float) -> float:
        return self.width - x if self.rtl else x

    def _points(self, points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{_number(self._x(x))},{_number(y)}" for x, y in points)

    def _add(self, shape: str, *values: object) -> None:
        self._parts.append(Markup(shape).format(*map(escape, values)))  # noqa: S704 - shapes are ours


def text_width(text: str, size: float) -> float:
    """About how wide a line of text is, good enough to tell whether it fits; engines do not tell us."""
    return sum(_letter_width(letter) for letter in text) * size


def shortened(text: str, width: float, size: float) -> str:
    """``text``, or as much of its start as fits into ``width`` with an ellipsis."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…" if text else ""


def in_two_lines(text: str, width: float, size: float) -> list[str]:
    """``text`` in one line, or broken between words into two, the second shortened to fit."""
    first, words = "", text.split()
    for at, word in enumerate(words):
        longer = f"{first} {word}".strip()
        if first and text_width(longer, size) > width:
            return [shortened(first, width, size), shortened(" ".join(words[at:]), width, size)]
        first = longer
    return [shortened(first, width, size)]


def _letter_width(letter: str) -> float:
    for letters, width in _WIDTHS:
        if letter in letters:
            return width
    if unicodedata.category(letter) in ("Mn", "Cf"):
        return 0
    return 0.7 if letter.isupper() else 0.54


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
