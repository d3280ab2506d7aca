"""CSV: RFC 4180, UTF-8 with a mark."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from toril.queues.report.kinds import Kind
from toril.queues.report.writers.base import Rows, Sheet
from toril.queues.spreadsheet import csv_writer, harmless


class CsvWriter:
    """A row of names, then the rows.

    Texts are in quotes; numbers are not, and stay numbers. Without the mark at its start Excel takes the file for an
    older encoding, and Arabic for rubbish.
    """

    def __init__(self, path: Path, sheet: Sheet) -> None:
        self.remarks: list[str] = []
        self._file = path.open("x", encoding="utf-8-sig", newline="")
        self._writer = csv_writer(self._file)
        self._writer.writerow([column.name for column in sheet.columns])
        self._cells = [_cell(column.kind, sheet.zone) for column in sheet.columns]

    def write(self, rows: Rows) -> None:
        """Add rows."""
        cells = self._cells
        self._writer.writerows(
            [cell(value) if value is not None else "" for cell, value in zip(cells, row, strict=True)]
            for row in rows
        )

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def discard(self) -> None:
        """Let go of the file."""
        self._file.close()


def _cell(kind: Kind, zone: tzinfo) -> Callable[[Any], Any]:
    match kind:
        case Kind.TEXT:
            return harmless
        case Kind.MOMENT:
            return lambda moment: _iso(moment, zone)
        case Kind.DATE:
            return lambda day: day.isoformat()
        case Kind.YES_NO:
            return lambda yes: "true" if yes else "false"
        case Kind.CHOICE:
            return lambda choice: choice.value
        case _:  # ids are hex digits; numbers are written as they are
            return lambda value: value


def _iso(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds")
