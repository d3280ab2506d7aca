"""Excel's format, with typed cells, written straight into the archive: no row is kept, in memory or on disk.

Only what a plain table needs of Office Open XML (ECMA-376, part 1) is written: one or more sheets whose texts are
inside their cells, and a few number formats.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Final
from xml.sax.saxutils import escape

from toril.queues.report.kinds import Column, Kind
from toril.queues.report.values import number
from toril.queues.report.writers.base import Rows, Sheet
from toril.queues.report.writers.xlsx_parts import PARTS, content_types, head_of_sheet, styles, workbook

#: Limits of the format. Source: Microsoft, "Excel specifications and limits".
MAX_ROWS: Final = 1_048_576
MAX_TEXT: Final = 32_767

#: Bytes of a sheet's XML, before it is packed. Larger members make an archive that Excel wants to repair.
MAX_SHEET_BYTES: Final = 1_500_000_000

#: Day 0 of serial numbers, for all dates after February 1900.
_EPOCH: Final = date(1899, 12, 30)
_EPOCH_MOMENT: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - cells have no zone
_DAY_S: Final = 86_400

#: What XML cannot hold as it is; and what would be read as an escape.
_SPECIAL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_SUSPICIOUS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff&<>]|_x")

_Cell = Callable[[Any], str]


class XlsxWriter:
    """Rows on a sheet, and on further ones where it is full.

    Text is always text, never a formula or a link. Times are those of the zone, since cells have none.
    """

    def __init__(self, path: Path, sheet: Sheet) -> None:
        self.remarks: list[str] = []
        self._sheet = sheet
        self._titles: list[str] = []
        self._cut = 0
        self._scales = sorted({column.scale for column in sheet.columns if column.kind is Kind.DECIMAL})
        self._cells = [self._cell(column) for column in sheet.columns]
        self._letters = [f'<c r="{letters(at)}' for at in range(len(sheet.columns))]
        self._archive = zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=3)
        self._member: IO[bytes]
        self._begin_sheet()

    def write(self, rows: Rows) -> None:
        """Add rows."""
        lines: list[str] = []
        for row in rows:
            if self._row == MAX_ROWS or self._size > MAX_SHEET_BYTES:
                self._put(lines)
                lines = []
                self._end_sheet()
                self._begin_sheet()
            self._row += 1
            at = self._row
            cells = [
                f'{begin}{at}"{cell(value)}'
                for begin, cell, value in zip(self._letters, self._cells, row, strict=True)
                if value is not None
            ]
            lines.append(f'<row r="{at}">{"".join(cells)}</row>')
        self._put(lines)

    def close(self) -> None:
        """End the file."""
        self._end_sheet()
        for name, text in PARTS.items():
            self._archive.writestr(name, text)
        self._archive.writestr("xl/styles.xml", styles(self._scales))
        for name, text in workbook(self._titles).items():
            self._archive.writestr(name, text)
        self._archive.writestr("[Content_Types].xml", content_types(len(self._titles)))
        self._archive.close()
        if self._cut:
            self.remarks.append(
                f"{self._cut} texts were cut to the {MAX_TEXT:,} characters that a cell holds"
            )
        if len(self._titles) > 1:
            self.remarks.append(f"the rows are on {len(self._titles)} sheets, as one holds no more")

    def discard(self) -> None:
        """Let go of the file."""
        with suppress(OSError, ValueError):  # a full disk, an end that was begun
            self._member.close()
        with suppress(OSError, ValueError):
            self._archive.close()

    def _begin_sheet(self) -> None:
        number = len(self._titles) + 1
        self._titles.append(self._sheet.title[:24] + (f" {number}" if number > 1 else ""))
        self._member = self._archive.open(f"xl/worksheets/sheet{number}.xml", "w")
        self._row, self._size = 1, 0
        names = "".join(
            f'{begin}1" s="1" t="inlineStr"><is><t>{column.name}</t></is></c>'
            for begin, column in zip(self._letters, self._sheet.columns, strict=True)
        )
        self._put([head_of_sheet(self._sheet.columns), f'<row r="1">{names}</row>'])

    def _end_sheet(self) -> None:
        self._put(["</sheetData></worksheet>"])
        self._member.close()

    def _put(self, lines: list[str]) -> None:
        content = "".join(lines).encode()
        self._size += len(content)
        self._member.write(content)

    def _cell(self, column: Column) -> _Cell:
        """Gives the rest of a cell, after its place."""
        zone = self._sheet.zone

        def decimal(value: Any) -> str:
            # A cell holds 15 digits; what has more is exact as text only.
            exact = number(value)
            return _text(exact) if isinstance(exact, str) else f"{style}<v>{value:f}</v></c>"

        def moment(value: Any) -> str:
            since = value.astimezone(zone).replace(tzinfo=None) - _EPOCH_MOMENT
            return f' s="3"><v>{since.days + since.seconds / _DAY_S:.9f}</v></c>'

        match column.kind:
            case Kind.DECIMAL:
                style = f' s="{4 + self._scales.index(column.scale)}">'
                return decimal
            case Kind.INTEGER:
                return lambda value: f"><v>{value}</v></c>"
            case Kind.YES_NO:
                return lambda value: f' t="b"><v>{int(value)}</v></c>'
            case Kind.DATE:
                return lambda value: f' s="2"><v>{(value - _EPOCH).days}</v></c>'
            case Kind.MOMENT:
                return moment
            case Kind.CHOICE:
                return lambda value: _text(value.value)
            case _:
                return self._long_text

    def _long_text(self, value: str) -> str:
        if len(value) > MAX_TEXT:
            self._cut += 1
            value = value[:MAX_TEXT]
        return _text(value)


def letters(at: int) -> str:
    """A column's name: A to Z, then AA and so on."""
    return (letters(at // 26 - 1) if at >= 26 else "") + chr(ord("A") + at % 26)


def _text(value: str) -> str:
    if _SUSPICIOUS.search(value):
        value = escape(_SPECIAL.sub(lambda match: f"_x{ord(match[0]):04X}_", value))
    return f' t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'
