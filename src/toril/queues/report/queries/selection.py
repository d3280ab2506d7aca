"""A declarative query as SQL, and its rows as the result has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, distinct, func, literal, select

from toril.db.exact_sums import by_size
from toril.queues.report.kinds import Kind
from toril.queues.report.queries.calendar import local_day, month_of, year_of
from toril.queues.report.queries.conditions import matching
from toril.queues.report.query import Output, Query
from toril.queues.report.values import rounded


def selection(query: Query, *, firm_id: str, zone: ZoneInfo, dialect: str) -> Select[Any]:
    """The statement of a query: at most one row more than its limit, which tells that there are more.

    Its columns are numbered, so that no name out of a payload is part of the SQL. An ``avg`` takes two of them,
    the sum and the number of values: databases would round it in ways of their own.
    """
    wanted = matching(query.of, query.conditions, firm_id=firm_id, zone=zone)
    sources = [_expression(output, zone, dialect) for output in query.outputs]
    if not query.is_grouped:
        columns = [each.label(f"c{at}") for at, each in enumerate(sources)]
        plain = select(*columns).select_from(query.of.rows).where(wanted)
        sort = {output.name: source for output, source in zip(query.outputs, sources, strict=True)}
        return plain.order_by(*_order(query, sort), query.of.key).limit(query.limit + 1)

    # Groups are made of a subquery's plain columns: an expression with parameters would not be seen as the same
    # in SELECT and in GROUP BY.
    rows = (
        select(*(each.label(f"c{at}") for at, each in enumerate(sources)))
        .select_from(query.of.rows)
        .where(wanted)
        .subquery("matching")
    )
    groups, columns, sort = [], [], {}
    for at, output in enumerate(query.outputs):
        column = rows.c[f"c{at}"]
        if output.function is None:
            groups.append(column)
        parts = _measured(output, column)
        columns += [part.label(f"r{at}_{number}") for number, part in enumerate(parts)]
        match output.function:
            case "avg":
                sort[output.name] = func.avg(column)
            case "sum":
                sort[output.name] = by_size(parts[0])
            case _:
                sort[output.name] = parts[0]
    grouped = select(*columns).select_from(rows).group_by(*groups)
    return grouped.order_by(*_order(query, sort), *(group.asc().nulls_last() for group in groups)).limit(
        query.limit + 1
    )


def read_row(outputs: Sequence[Output], row: Sequence[Any]) -> dict[str, Any]:
    """A row of the statement as the result has it."""
    values = iter(row)
    read: dict[str, Any] = {}
    for output in outputs:
        value = next(values)
        if output.function == "avg":
            count = next(values)
            value = rounded(Decimal(value) / count, f"1E-{output.scale}") if count else None
        elif output.function == "sum" and value is None:
            value = Decimal(0) if output.kind is Kind.DECIMAL else 0
        read[output.name] = value
    return read


def _expression(output: Output, zone: ZoneInfo, dialect: str) -> ColumnElement[Any]:
    """What a row of the source gives to an output."""
    if output.column is None:
        return literal(1)
    expression = output.column.expression
    if output.by is None:
        return expression
    day: ColumnElement[date] = (
        local_day(expression, zone, dialect) if output.column.kind is Kind.MOMENT else expression
    )
    if output.by == "day":
        return day
    return month_of(day, dialect) if output.by == "month" else year_of(day, dialect)


def _measured(output: Output, column: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    match output.function:
        case None:
            return [column]
        case "avg":
            return [func.sum(column), func.count(column)]
        case "count_distinct":
            return [func.count(distinct(column))]
        case function:
            return [getattr(func, function)(column)]


def _order(query: Query, sort: dict[str, ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    # Databases differ in where they put what is not there.
    return [
        (sort[order.by].asc() if order.direction == "asc" else sort[order.by].desc()).nulls_last()
        for order in query.order
    ]
