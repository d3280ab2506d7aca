"""A table in a report or a contract's schedule: typed columns, and rows by the columns' keys."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from toril.queues.base import Payload
from toril.queues.pdf.payloads.values import Kind, Value, read_value
from toril.queues.pdf.words import NONE, Heading, ShortWords

MAX_ROWS = 5000


class Column(Payload):
    """One column.

    Attributes:
        key: what its values are called in the rows.
        total: whether a line at the end adds its values up.
    """

    key: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    label: Heading
    kind: Kind = "text"
    total: bool = False

    @field_validator("total")
    @classmethod
    def _can_be_added_up(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("kind") in ("text", "date", "percent"):
            raise ValueError(f"values of the kind {info.data['kind']} cannot be added up")
        return value


class Table(Payload):
    """Rows of values. A value that a row lacks, or that is null, is shown as a dash."""

    title: ShortWords = NONE
    columns: list[Column] = Field(min_length=1, max_length=12)
    rows: list[dict[str, Any]] = Field(default_factory=list, max_length=MAX_ROWS, fail_fast=True)

    @property
    def totals(self) -> dict[str, Decimal]:
        """The sums of the columns that are to be added up, by key."""
        return {
            column.key: sum((row[column.key] for row in self.rows if row[column.key] is not None), Decimal(0))
            for column in self.columns
            if column.total
        }

    @field_validator("columns")
    @classmethod
    def _keys_differ(cls, columns: list[Column]) -> list[Column]:
        keys = [column.key for column in columns]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise ValueError(f"two columns have the key {twice!r}")
        return columns

    @field_validator("rows")
    @classmethod
    def _values_fit(cls, rows: list[dict[str, Any]], info: ValidationInfo) -> list[dict[str, Value]]:
        if "columns" not in info.data:
            return []  # the columns have their own error
        kinds: dict[str, Kind] = {column.key: column.kind for column in info.data["columns"]}
        return [_read_row(row, at, kinds) for at, row in enumerate(rows)]


def _read_row(row: dict[str, Any], at: int, kinds: dict[str, Kind]) -> dict[str, Value]:
    if strange := row.keys() - kinds.keys():
        raise ValueError(f"row {at} has {min(strange)!r}, which is the key of no column")
    read: dict[str, Value] = {}
    for key, kind in kinds.items():
        try:
            read[key] = read_value(row.get(key), kind)
        except ValueError as error:
            raise ValueError(f"row {at}, {key!r}: {error}") from None
    return read
