"""Checked filters as SQL. Values are always parameters, never part of the text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from operator import eq, ge, gt, le, lt
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, not_, or_, select

from toril.queues.days import day_in, midnight
from toril.queues.report.filters import Condition
from toril.queues.report.kinds import Kind, Source

_COMPARE: Final[dict[str, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]]] = {
    "eq": eq,
    "lt": lt,
    "lte": le,
    "gt": gt,
    "gte": ge,
}


def matching(
    source: Source, conditions: list[Condition], *, firm_id: str, zone: ZoneInfo
) -> ColumnElement[bool]:
    """Which rows of a source are wanted: the firm's own, that fit all conditions."""
    return and_(source.firm == firm_id, *(condition_sql(each, zone) for each in conditions))


def currencies(
    source: Source, conditions: list[Condition], *, firm_id: str, zone: ZoneInfo
) -> Select[Any] | None:
    """The currencies of the wanted rows, at most two; None when all amounts of the source are in riyals."""
    if (currency := source.columns.get("currency")) is None:
        return None
    wanted = matching(source, conditions, firm_id=firm_id, zone=zone)
    return select(currency.expression).select_from(source.rows).where(wanted).distinct().limit(2)


def condition_sql(condition: Condition, zone: ZoneInfo) -> ColumnElement[bool]:
    """One condition. A day means the whole of it, in ``zone``; ``ne`` is true of what is not there."""
    column: ColumnElement[Any] = condition.column.expression
    operator, value = condition.operator, condition.value
    if operator == "is_null":
        return column.is_(None) if value else column.is_not(None)
    if operator == "contains":
        return column.icontains(value, autoescape=True)
    if condition.column.kind is Kind.MOMENT:
        return _of_moments(column, operator, value, zone)
    if condition.column.kind is Kind.DATE:
        value = [day_in(each, zone) for each in value] if isinstance(value, list) else day_in(value, zone)
    if operator == "in":
        return column.in_(value)
    if operator == "between":
        return and_(column >= value[0], column <= value[1])
    if operator == "ne":
        return column.is_distinct_from(value)
    return _COMPARE[operator](column, value)


def _of_moments(column: ColumnElement[Any], operator: str, value: Any, zone: ZoneInfo) -> ColumnElement[bool]:
    if operator == "between":
        return and_(_of_moments(column, "gte", value[0], zone), _of_moments(column, "lte", value[1], zone))
    if operator == "ne":
        return or_(column.is_(None), not_(_of_moments(column, "eq", value, zone)))
    begin, end = _edges(value, zone)
    match operator:
        case "lt":
            return column < begin
        case "gte":
            return column >= begin
        case "gt":
            return column > begin if end is None else column >= end
        case "lte":
            return column <= begin if end is None else column < end
        case _:
            return column == begin if end is None else and_(column >= begin, column < end)


def _edges(value: date | datetime, zone: ZoneInfo) -> tuple[datetime, datetime | None]:
    """When a day begins and is over; a moment is itself."""
    if isinstance(value, datetime):
        return value, None
    return midnight(value, zone), midnight(value + timedelta(days=1), zone)
