"""A table of a payload as templates take it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from toril.queues.pdf.page import LONGEST_WORD
from toril.queues.pdf.payloads.table import Table
from toril.queues.pdf.printer import Printer
from toril.queues.pdf.words import Words

_SIZE, _LEAST_SIZE = 9.0, 4.5  # of type, in points
_PADDING = 9.1  # of a cell, both sides, in points
_LETTER = 0.62  # width of a letter or digit, in ems, with room to spare


def table_content(table: Table, printer: Printer, *, width: float) -> dict[str, Any]:
    """Headings, rows of printed values and the line of sums, each with what its column holds.

    The type is as small as it has to be for the columns to fit into ``width`` points.
    """
    longest = min(LONGEST_WORD, max(6, 96 // len(table.columns)))
    is_number = [column.kind not in ("text", "date") for column in table.columns]
    rows = [[printer.value(row[column.key], column.kind) for column in table.columns] for row in table.rows]
    totals = table.totals
    sums = [
        printer.measure(totals[column.key], column.kind) if column.key in totals else None
        for column in table.columns
    ]
    letters = 0
    for at, column in enumerate(table.columns):
        values = [*(row[at] for row in rows), sums[at]]
        letters += max(_widest([column.label], longest), _widest(values, None if is_number[at] else longest))
    size = (width - _PADDING * len(table.columns)) / (letters * _LETTER)
    return {
        "title": table.title,
        "columns": [
            {"label": column.label, "number": number}
            for column, number in zip(table.columns, is_number, strict=True)
        ],
        "rows": rows,
        "sums": sums if totals and table.rows else None,
        # The word for the sum stands in the cells before the first of them.
        "before": next((at for at, value in enumerate(sums) if value is not None), 0),
        "size": round(max(_LEAST_SIZE, min(_SIZE, size)), 1),
        "longest": longest,
    }


def _widest(values: Iterable[str | Words | None], longest: int | None) -> int:
    """Letters of the widest value; of its widest word, broken after ``longest``, if it may be broken."""
    texts: list[str] = []
    for value in values:
        texts += (value.ar, value.en) if isinstance(value, Words) else (value or "",)
    if longest is None:
        return max(map(len, texts), default=1)
    return max((min(longest, len(word)) for text in texts for word in text.split()), default=1)
