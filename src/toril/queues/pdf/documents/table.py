"""A table of a payload as templates take it."""

from __future__ import annotations

from typing import Any

from toril.queues.pdf.payloads.table import Table
from toril.queues.pdf.printer import Printer

_MANY_COLUMNS = 6


def table_content(table: Table, printer: Printer) -> dict[str, Any]:
    """Headings, rows of printed values and the line of sums, each with what its column holds."""
    columns = [
        {"label": column.label, "kind": column.kind, "number": column.kind not in ("text", "date")}
        for column in table.columns
    ]
    totals = table.totals
    sums = [
        printer.measure(totals[column.key], column.kind) if column.key in totals else None
        for column in table.columns
    ]
    # The word for the sum stands in the cells before the first of them.
    before = next((at for at, value in enumerate(sums) if value is not None), 0)
    return {
        "title": table.title,
        "columns": columns,
        "rows": [
            [printer.value(row[column.key], column.kind) for column in table.columns] for row in table.rows
        ],
        "sums": sums if totals and table.rows else None,
        "before": before,
        "dense": len(columns) > _MANY_COLUMNS,
    }
