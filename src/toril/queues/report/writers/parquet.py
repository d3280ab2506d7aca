"""Apache Parquet, a row group at a time, with exact decimals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow  # type: ignore[import-untyped]
from pyarrow import parquet

from toril.queues.report.kinds import Column, Kind
from toril.queues.report.writers.base import Rows, Sheet

#: Rows of a group: enough to pack well, few enough to be small in memory.
GROUP: Final = 5000


class ParquetWriter:
    """Columns of the types that the records have; times are in UTC."""

    def __init__(self, path: Path, sheet: Sheet) -> None:
        self.remarks: list[str] = []
        self._schema = pyarrow.schema([(column.name, _type(column)) for column in sheet.columns])
        self._choices = [at for at, column in enumerate(sheet.columns) if column.kind is Kind.CHOICE]
        self._waiting: list[Any] = []
        # Memory that the allocator gives back: Arrow's own one keeps for itself what was used once.
        self._pool = pyarrow.system_memory_pool()
        self._file = parquet.ParquetWriter(
            str(path), self._schema, compression="zstd", memory_pool=self._pool
        )

    def write(self, rows: Rows) -> None:
        """Add rows."""
        self._waiting += rows
        if len(self._waiting) >= GROUP:
            self._write_group()

    def close(self) -> None:
        """End the file."""
        if self._waiting:
            self._write_group()
        self._file.close()

    def discard(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _write_group(self) -> None:
        columns: list[Any] = list(zip(*self._waiting, strict=True))
        for at in self._choices:
            columns[at] = [None if choice is None else choice.value for choice in columns[at]]
        arrays = [
            pyarrow.array(values, type_, memory_pool=self._pool)
            for values, type_ in zip(columns, self._schema.types, strict=True)
        ]
        self._file.write_batch(pyarrow.record_batch(arrays, schema=self._schema))
        self._waiting = []


def _type(column: Column) -> Any:
    match column.kind:
        case Kind.DECIMAL:
            return pyarrow.decimal128(column.precision, column.scale)
        case Kind.INTEGER:
            return pyarrow.int64()
        case Kind.YES_NO:
            return pyarrow.bool_()
        case Kind.DATE:
            return pyarrow.date32()
        case Kind.MOMENT:
            return pyarrow.timestamp("us", tz="UTC")
        case _:
            return pyarrow.string()
