"""Formats of exports, cell by cell."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import literal

from toril.errors import NotConfiguredError
from toril.queues.report.kinds import Column, Kind
from toril.queues.report.values import number, to_json
from toril.queues.report.writers import base
from toril.queues.report.writers.base import Sheet, open_writer
from toril.queues.report.writers.xlsx import letters
from toril.queues.spreadsheet import harmless

RIYADH = ZoneInfo("Asia/Riyadh")


def sheet(*kinds: Kind) -> Sheet:
    columns = [
        Column(name=f"{kind}{at}", kind=kind, expression=literal(1), precision=18, scale=2)
        for at, kind in enumerate(kinds)
    ]
    return Sheet(title="rows", columns=columns, zone=RIYADH)


def written(path: Path, format: str, kinds: list[Kind], *rows: tuple[Any, ...]) -> list[str]:
    """Write rows to a file; the writer's remarks."""
    writer = open_writer(format, path, sheet(*kinds))
    writer.write(rows)
    writer.close()
    return writer.remarks


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\u00a0=1",
        "\ufeff=1",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        "−1",
        "﹦1",
        "﹫x",
        "\x00=1",
        "\u3000\u2003=1",
        "\u202e\u2066+1",
        " \n @x",
    ],
)
def test_a_text_that_begins_like_a_formula_is_made_harmless(text: str) -> None:
    assert harmless(text) == "'" + text


@pytest.mark.parametrize("text", ["", " ", "a=1", "Amal - Badr", "١٢٣", "'=1", "1-2", "  x=1", "\u200fأتعاب"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_csv_gives_back_every_text_in_its_own_cell(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    written(path, "csv", [Kind.TEXT] * len(texts), tuple(texts))
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True))
    assert len(rows) == 2
    assert [cell.removeprefix("'") for cell in rows[1]] == [text.removeprefix("'") for text in texts]
    assert all(cell[:1] not in ("=", "+", "-", "@", "\t", "\r") for cell in rows[1])


def test_negative_numbers_stay_numbers_in_csv(tmp_path: Path) -> None:
    written(tmp_path / "a", "csv", [Kind.DECIMAL, Kind.INTEGER, Kind.TEXT], (Decimal("-5.10"), -3, "-3"))
    assert (tmp_path / "a").read_text("utf-8-sig").splitlines()[1] == """-5.10,-3,"'-3\""""


@example(text="_x0041_ is no A, a_x \r\n\t <&>\x00")
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_xlsx_gives_back_every_text(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("xlsx") / "rows.xlsx"
    written(path, "xlsx", [Kind.TEXT], (text,))
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    found = root.findall(".//{*}row[@r='2']/{*}c/{*}is/{*}t")[0].text or ""
    assert unescaped(found) == text


def unescaped(text: str) -> str:
    """What a spreadsheet shows of a text in its file: ``_x0041_`` is A."""
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), text)


def test_a_text_that_no_cell_holds_is_cut_and_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    remarks = written(path, "xlsx", [Kind.TEXT, Kind.INTEGER], ("x" * 40_000, 1), ("x" * 32_767, 2))
    cells = [row[0].value for row in openpyxl.load_workbook(path)["rows"].iter_rows(min_row=2)]
    assert [len(cell) for cell in cells] == [32_767, 32_767]
    assert remarks == ["1 texts were cut to the 32,767 characters that a cell holds"]


def test_numbers_that_a_cell_cannot_hold_stay_exact_as_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    exact, large = Decimal("9999999999999.99"), Decimal("1234567890123456.78")
    written(path, "xlsx", [Kind.DECIMAL, Kind.YES_NO], (exact, True), (large, False), (None, None))
    rows = list(openpyxl.load_workbook(path)["rows"].iter_rows(min_row=2, values_only=True))
    assert rows == [(9999999999999.99, True), ("1234567890123456.78", False)]


def test_a_sheet_of_too_many_bytes_goes_on_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.queues.report.writers.xlsx.MAX_SHEET_BYTES", 3000)
    writer = open_writer("xlsx", tmp_path / "rows.xlsx", sheet(Kind.TEXT))
    for _ in range(3):
        writer.write([("x" * 1500,)])
    writer.close()
    book = openpyxl.load_workbook(tmp_path / "rows.xlsx")
    assert [len(list(page.iter_rows(min_row=2))) for page in book] == [2, 1]


def test_columns_have_letters() -> None:
    assert [letters(at) for at in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


def test_a_format_whose_package_is_missing_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(path: Path, sheet: Sheet) -> base.RowWriter:
        raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

    monkeypatch.setitem(base.FORMATS, "parquet", base.FileFormat("parquet", "x", missing))
    with pytest.raises(
        NotConfiguredError, match=r"needs the package 'pyarrow': pip install 'toril\[report\]'"
    ):
        open_writer("parquet", tmp_path / "a", sheet(Kind.TEXT))


@given(cents=st.integers(-(10**15) + 1, 10**15 - 1))
def test_amounts_are_exact_as_json_numbers(cents: int) -> None:
    amount = Decimal(cents).scaleb(-2)
    assert isinstance(number(amount), float)
    assert Decimal(repr(number(amount))) == amount


def test_an_amount_that_no_double_holds_is_text() -> None:
    assert number(Decimal("123456789012345.67")) == 123456789012345.67
    assert number(Decimal("1234567890123456.78")) == "1234567890123456.78"


def test_values_are_written_as_json_has_them() -> None:
    moment = datetime(2026, 1, 31, 22, tzinfo=UTC)
    assert to_json({"a": [Kind.TEXT, moment, moment.date(), None, True]}, RIYADH) == {
        "a": ["text", "2026-02-01T01:00:00+03:00", "2026-01-31", None, True]
    }
