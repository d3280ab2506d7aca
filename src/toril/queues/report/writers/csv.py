"""CSV that spreadsheets open as it is meant: RFC 4180, UTF-8 with a mark, and no cell that runs as a formula."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final

from toril.queues.report.kinds import Kind
from toril.queues.report.writers.base import Rows, Sheet

#: What makes a spreadsheet take a cell for a formula: OWASP, "CSV Injection". The wide and small forms and the minus
#: sign are the same to some; space and characters without a shape before them are dropped by some.
_FORMULA: Final = re.compile(
    r"[\t\r\n]|[\s\x00-\x1f\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*[=+\-@−＝＋－＠﹦﹢﹣﹫]"
)


class CsvWriter:
    """A row of names, then the rows.

    Every text is in quotes, so that a cell stays one cell where semicolons separate; numbers are not, and stay
    numbers. Without the mark at its start Excel takes the file for an older encoding, and Arabic for rubbish.
    """

    def __init__(self, path: Path, sheet: Sheet) -> None:
        self.remarks: list[str] = []
        self._file = path.open("x", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
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


def harmless(text: str) -> str:
    """``text`` so that no spreadsheet runs it: what begins like a formula gets an apostrophe before it."""
    return f"'{text}" if _FORMULA.match(text) else text


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
