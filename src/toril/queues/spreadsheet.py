"""CSV that spreadsheets open as it is meant: no text runs as a formula, and a cell stays one cell."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Any, Final, Protocol, TextIO

#: What makes a spreadsheet take a cell for a formula: OWASP, "CSV Injection". The wide and small forms and the minus
#: sign are the same to some; space and characters without a shape before them are dropped by some.
_FORMULA: Final = re.compile(
    r"[\t\r\n]|[\s\x00-\x1f\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*[=+\-@−＝＋－＠﹦﹢﹣﹫]"
)


class RowWriter(Protocol):
    """What ``csv`` writes with."""

    def writerow(self, row: Iterable[Any], /) -> Any:
        """Add a row."""
        ...

    def writerows(self, rows: Iterable[Iterable[Any]], /) -> Any:
        """Add rows."""
        ...


def csv_writer(file: TextIO) -> RowWriter:
    """Writes rows of numbers and of texts that ``harmless`` has seen.

    Every text is in quotes: where semicolons separate, one within a text would else begin another cell, which nobody
    has looked at.
    """
    return csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")


def harmless(text: str) -> str:
    """``text`` so that no spreadsheet runs it: what begins like a formula gets an apostrophe before it."""
    return f"'{text}" if _FORMULA.match(text) else text
