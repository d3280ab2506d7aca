"""The firm's cases and clients, and the time spent on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, func, select

from toril.db.models import Case, Client, TimeEntry, User
from toril.queues.report.queries.calendar import Span, month_of

_cases, _clients, _time, _users = Case.__table__, Client.__table__, TimeEntry.__table__, User.__table__

_BILLABLE: Final = case((_time.c.billable, _time.c.minutes), else_=0)


def cases_by(column: str, *, firm_id: str, span: Span) -> Select[Any]:
    """How many cases that were opened in the period have each ``status`` or ``type``."""
    by = _cases.c[column]
    return select(by, func.count()).where(_opened(firm_id, span)).group_by(by)


def cases_closed(*, firm_id: str, span: Span) -> Select[Any]:
    """How many cases were closed in the period, whenever they were opened."""
    return select(func.count()).where(
        _cases.c.firm_id == firm_id, _cases.c.closed_on.between(span.first, span.last)
    )


def new_clients(*, firm_id: str, span: Span, dialect: str) -> Select[Any]:
    """How many clients came in each month, of each kind."""
    rows = (
        select(month_of(_clients.c.client_since, dialect).label("month"), _clients.c.kind)
        .where(_clients.c.firm_id == firm_id, _clients.c.client_since.between(span.first, span.last))
        .subquery()
    )
    return (
        select(rows.c.month, rows.c.kind, func.count())
        .group_by(rows.c.month, rows.c.kind)
        .order_by(rows.c.month, rows.c.kind)
    )


def minutes_by_month(*, firm_id: str, span: Span, dialect: str) -> Select[Any]:
    """Minutes of each month that has any: the month, all of them, those that are billable."""
    rows = (
        select(
            month_of(_time.c.worked_on, dialect).label("month"),
            _time.c.minutes.label("minutes"),
            _BILLABLE.label("billable"),
        )
        .where(_worked(firm_id, span))
        .subquery()
    )
    return (
        select(rows.c.month, func.sum(rows.c.minutes), func.sum(rows.c.billable))
        .group_by(rows.c.month)
        .order_by(rows.c.month)
    )


def minutes_by_person(*, firm_id: str, span: Span, staff_ids: Sequence[str]) -> Select[Any]:
    """Minutes of each person who has any: id, all of them, those that are billable."""
    return (
        select(_time.c.user_id, func.sum(_time.c.minutes), func.sum(_BILLABLE))
        .where(_worked(firm_id, span), *_of(_time.c.user_id, staff_ids))
        .group_by(_time.c.user_id)
    )


def minutes_by_rate(*, firm_id: str, span: Span, staff_ids: Sequence[str] = ()) -> Select[Any]:
    """Billable minutes of each person at each hourly rate, which is what their worth is worked out from."""
    return (
        select(_time.c.user_id, _time.c.hourly_rate, func.sum(_time.c.minutes))
        .where(
            _worked(firm_id, span),
            _time.c.billable,
            _time.c.hourly_rate.is_not(None),
            *_of(_time.c.user_id, staff_ids),
        )
        .group_by(_time.c.user_id, _time.c.hourly_rate)
    )


def people(*, firm_id: str, staff_ids: Sequence[str]) -> Select[Any]:
    """The firm's people by name: id, name, and whether they still work there."""
    return (
        select(_users.c.id, _users.c.name, _users.c.active)
        .where(_users.c.firm_id == firm_id, *_of(_users.c.id, staff_ids))
        .order_by(_users.c.name, _users.c.id)
    )


def _opened(firm_id: str, span: Span) -> ColumnElement[bool]:
    return (_cases.c.firm_id == firm_id) & _cases.c.opened_on.between(span.first, span.last)


def _worked(firm_id: str, span: Span) -> ColumnElement[bool]:
    return (_time.c.firm_id == firm_id) & _time.c.worked_on.between(span.first, span.last)


def _of(column: ColumnElement[Any], ids: Sequence[str]) -> list[ColumnElement[bool]]:
    return [column.in_(ids)] if ids else []
