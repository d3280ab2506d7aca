"""Kinds of columns, and the columns and sources that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Date, Enum, FromClause, Integer
from sqlalchemy.sql.type_api import TypeEngine

from toril.db.types import Exact, Id, Moment


class Kind(StrEnum):
    """What the values of a column are."""

    TEXT = "text"
    ID = "id"
    CHOICE = "choice"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    MOMENT = "moment"
    YES_NO = "yes_no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that may be asked for.

    Attributes:
        expression: where its values come from.
        precision, scale: digits in all and decimals, of a decimal.
        choices: all values that one of the kind ``CHOICE`` can have.
    """

    name: str
    kind: Kind
    expression: ColumnElement[Any]
    precision: int = 0
    scale: int = 0
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Records of one kind.

    Attributes:
        rows: the table with what it is joined to. A join compares the firm too, and drops no row.
        firm: the column that says whose a row is. Every query compares it.
        key: unique; it makes any order complete.
        day: name of the column that a period is about.
        brief: names of the columns for which a page has room.
    """

    name: str
    rows: FromClause
    firm: ColumnElement[Any]
    key: ColumnElement[Any]
    day: str
    columns: Mapping[str, Column]
    brief: tuple[str, ...]


_KINDS: tuple[tuple[type[TypeEngine[Any]], Kind], ...] = (
    (Id, Kind.ID),
    (Moment, Kind.MOMENT),
    (Date, Kind.DATE),
    (Boolean, Kind.YES_NO),
    (Integer, Kind.INTEGER),
)


def column_of(name: str, expression: ColumnElement[Any]) -> Column:
    """A column of the kind that its type in the database says."""
    of: Any = expression.type
    if isinstance(of, Exact):
        return Column(
            name=name, kind=Kind.DECIMAL, expression=expression, precision=of.precision, scale=of.scale
        )
    if isinstance(of, Enum):
        choices = tuple(str(choice.value) for choice in of.enum_class or ())
        return Column(name=name, kind=Kind.CHOICE, expression=expression, choices=choices)
    kind = next((kind for type_, kind in _KINDS if isinstance(of, type_)), Kind.TEXT)
    return Column(name=name, kind=kind, expression=expression)
