"""Filters: which rows of a source are wanted. Each names a column, an operator and a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from pydantic_core import PydanticCustomError

from toril.queues.base import Payload
from toril.queues.days import read_day
from toril.queues.report.catalogue import no_such_column
from toril.queues.report.fields import Name, problem, storable
from toril.queues.report.kinds import Column, Kind, Source

Operator = Literal["eq", "ne", "lt", "lte", "gt", "gte", "in", "contains", "between", "is_null"]

MAX_FILTERS: Final = 20
MAX_CHOICES: Final = 200  #: values of ``in``
MAX_TEXT: Final = 500  #: characters

_EQUAL: Final = frozenset({"eq", "ne", "is_null"})
_RANGE: Final = frozenset({"lt", "lte", "gt", "gte", "between"})

#: What can be asked of each kind.
OPERATORS: Final = {
    Kind.TEXT: _EQUAL | {"in", "contains"},
    Kind.ID: _EQUAL | {"in"},
    Kind.CHOICE: _EQUAL | {"in"},
    Kind.INTEGER: _EQUAL | _RANGE | {"in"},
    Kind.DECIMAL: _EQUAL | _RANGE | {"in"},
    Kind.DATE: _EQUAL | _RANGE | {"in"},
    Kind.MOMENT: _EQUAL | _RANGE,
    Kind.YES_NO: _EQUAL,
}


class Filter(Payload):
    """Keeps the rows whose ``column`` compares with ``value`` as ``operator`` says.

    Attributes:
        value: one; a list for ``in``; ``[from, to]`` for ``between``; true or false for ``is_null``.
    """

    column: Name
    operator: Operator = "eq"
    value: Any = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter that was checked: its column, and its value as the column has them."""

    column: Column
    operator: Operator
    value: Any


Problems = list[tuple[str, tuple[str | int, ...]]]


def read_filters(
    filters: Sequence[tuple[tuple[str | int, ...], Filter]], source: Source, problems: Problems
) -> list[Condition]:
    """Check filters against what the source has.

    Args:
        filters: each with its path in the payload.
        problems: takes what is wrong, with the path of each.
    """
    conditions = []
    for path, each in filters:
        column = source.columns.get(each.column)
        if column is None:
            problems.append((no_such_column(source, each.column), (*path, "column")))
        elif each.operator not in OPERATORS[column.kind]:
            able = ", ".join(sorted(OPERATORS[column.kind]))
            problems.append(
                (
                    f"{column.name} cannot be asked for {each.operator!r} (it can for {able})",
                    (*path, "operator"),
                )
            )
        else:
            try:
                conditions.append(Condition(column, each.operator, _operand(each, column)))
            except PydanticCustomError as error:
                problems.append((error.message(), (*path, "value")))
    return conditions


def _operand(given: Filter, column: Column) -> Any:
    value, operator = given.value, given.operator
    if operator == "is_null":
        if value is not None and not isinstance(value, bool):
            raise problem("should be true or false")
        return value is not False
    if operator == "in":
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_CHOICES:
            raise problem(f"should be a list of 1 to {MAX_CHOICES} values")
        return [_value(each, column) for each in value]
    if operator == "between":
        if not isinstance(value, list) or len(value) != 2:
            raise problem("should be a list of two values, from and to")
        return [_value(each, column) for each in value]
    return _value(value, column)


def _value(value: Any, column: Column) -> Any:
    if value is None:
        raise problem("a value is needed (the operator is_null asks for none)")
    return _READ[column.kind](value, column)


def _text(value: Any, column: Column) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise problem(f"should be a text of at most {MAX_TEXT} characters")
    return storable(value)


def _id(value: Any, column: Column) -> str:
    lowered = value.lower() if isinstance(value, str) else ""
    if len(lowered) != 24 or not set(lowered) <= set("0123456789abcdef"):
        raise problem("should be a record's id: 24 hex digits")
    return lowered


def _choice(value: Any, column: Column) -> str:
    if not isinstance(value, str) or value not in column.choices:
        raise problem(f"should be one of {', '.join(column.choices)}")
    return value


def _integer(value: Any, column: Column) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**31:
        raise problem("should be a whole number below 2,147,483,648")
    return value


def _decimal(value: Any, column: Column) -> Decimal:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise InvalidOperation
        # str() of a float is the shortest text that means it, so that 0.1 stays 0.1.
        found = Decimal(str(value).strip()[:60])
    except InvalidOperation:
        raise problem("should be a number, or a text with one such as 1234.50") from None
    if not found.is_finite():
        raise problem("should be a number that is finite")
    if abs(found) >= Decimal(10) ** (column.precision - column.scale):
        raise problem(
            f"is too large: {column.name} has {column.precision - column.scale} digits before the point"
        )
    if found != round(found, column.scale):
        raise problem(f"has more decimals than {column.name}, which has {column.scale}")
    return round(found, column.scale)


def _day(value: Any, column: Column) -> date | datetime:
    return read_day(value)


def _yes_no(value: Any, column: Column) -> bool:
    if not isinstance(value, bool):
        raise problem("should be true or false")
    return value


_READ: Final[dict[Kind, Callable[[Any, Column], Any]]] = {
    Kind.TEXT: _text,
    Kind.ID: _id,
    Kind.CHOICE: _choice,
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.DATE: _day,
    Kind.MOMENT: _day,
    Kind.YES_NO: _yes_no,
}


def filters_of_object(given: dict[str, Any], source: Source) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Filters written as an object: ``{"status": "paid", "total": {"gte": 100}, "startDate": "2026-01-01"}``.

    A list asks for any of its values, and null for nothing. ``startDate`` and ``endDate`` are about the source's
    own day, unless it has columns of these names.

    Returns:
        Each as a ``Filter`` takes it, with its path.
    """
    found: list[tuple[tuple[str, ...], dict[str, Any]]] = []
    for name, value in given.items():
        if value is None:
            continue
        edge = {"startDate": "gte", "endDate": "lte"}.get(name) if name not in source.columns else None
        if edge:
            found.append(((name,), {"column": source.day, "operator": edge, "value": value}))
        elif isinstance(value, dict):
            for operator, operand in value.items():
                found.append(
                    ((name, str(operator)), {"column": name, "operator": operator, "value": operand})
                )
        else:
            operator = "in" if isinstance(value, list) else "eq"
            found.append(((name,), {"column": name, "operator": operator, "value": value}))
    return found
