"""What writes the rows of an export to a file, whichever format it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, Protocol

from toril.errors import NotConfiguredError
from toril.queues.report.kinds import Column

Rows = Sequence[Sequence[Any]]


class RowWriter(Protocol):
    """Takes rows a few at a time, keeps none of them, and does so from one thread at a time.

    Attributes:
        remarks: what a reader of the file should know, such as cells that had to be cut.
    """

    remarks: list[str]

    def write(self, rows: Rows) -> None: ...

    def close(self) -> None:
        """End the file, which is then whole."""
        ...

    def discard(self) -> None:
        """Let go of the file, which is of no use."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is written: the values of each row are as the columns say.

    Attributes:
        zone: that times are given in, where the format has a zone for them.
    """

    title: str
    columns: Sequence[Column]
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class FileFormat:
    """One format.

    Attributes:
        open: begins a file; the path does not exist yet.
    """

    suffix: str
    media_type: str
    open: Callable[[Path, Sheet], RowWriter]


def _csv(path: Path, sheet: Sheet) -> RowWriter:
    from toril.queues.report.writers.csv import CsvWriter

    return CsvWriter(path, sheet)


def _json(path: Path, sheet: Sheet) -> RowWriter:
    from toril.queues.report.writers.json import JsonWriter

    return JsonWriter(path, sheet)


def _xlsx(path: Path, sheet: Sheet) -> RowWriter:
    from toril.queues.report.writers.xlsx import XlsxWriter

    return XlsxWriter(path, sheet)


def _parquet(path: Path, sheet: Sheet) -> RowWriter:
    from toril.queues.report.writers.parquet import ParquetWriter

    return ParquetWriter(path, sheet)


FORMATS: Final = {
    "csv": FileFormat("csv", "text/csv; charset=utf-8", _csv),
    "json": FileFormat("json", "application/json", _json),
    "xlsx": FileFormat("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _xlsx),
    "parquet": FileFormat("parquet", "application/vnd.apache.parquet", _parquet),
}


def open_writer(format: str, path: Path, sheet: Sheet) -> RowWriter:
    """Begin a file.

    Raises:
        NotConfiguredError: the package that writes this format is not installed.
    """
    try:
        return FORMATS[format].open(path, sheet)
    except ModuleNotFoundError as error:
        raise NotConfiguredError(
            f"writing {format} needs the package {error.name!r}: pip install 'toril[report]'"
        ) from error
