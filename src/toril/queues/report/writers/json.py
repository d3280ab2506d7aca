"""One JSON array of objects, written as it comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Any

import orjson

from toril.queues.report.kinds import Kind
from toril.queues.report.writers.base import Rows, Sheet


class JsonWriter:
    """A row a line. Decimals are numbers with all their digits: ``1150.00``."""

    def __init__(self, path: Path, sheet: Sheet) -> None:
        self.remarks: list[str] = []
        self._names = [column.name for column in sheet.columns]
        self._values = [_value(column.kind, sheet.zone) for column in sheet.columns]
        self._file = path.open("xb")
        self._file.write(b"[")
        self._before = b"\n"

    def write(self, rows: Rows) -> None:
        """Add rows."""
        for row in rows:
            record = {
                name: value if value is None else to_value(value)
                for name, to_value, value in zip(self._names, self._values, row, strict=True)
            }
            self._file.write(self._before + orjson.dumps(record))
            self._before = b",\n"

    def close(self) -> None:
        """End the file."""
        self._file.write(b"\n]\n")
        self._file.close()

    def discard(self) -> None:
        """Let go of the file."""
        self._file.close()


def _value(kind: Kind, zone: tzinfo) -> Callable[[Any], Any]:
    match kind:
        case Kind.DECIMAL:
            return lambda number: orjson.Fragment(f"{number:f}")
        case Kind.MOMENT:
            return lambda moment: moment.astimezone(zone)
        case _:  # orjson knows days, and choices by their value
            return lambda value: value
