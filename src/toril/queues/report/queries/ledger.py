"""What a firm earned, got and spent: invoices, payments and expenses as one list of bookings, and its sums."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import CTE, ColumnElement, Row, Select, and_, case, func, literal, or_, select, union_all

from toril.db.exact_sums import by_size
from toril.db.models import OWED, RECEIVED, Case, Client, Expense, Invoice, InvoiceStatus, Payment
from toril.db.types import Exact
from toril.queues.report.queries.calendar import Span, local_day, month_of

_cases, _clients, _expenses = Case.__table__, Client.__table__, Expense.__table__
_invoices, _payments = Invoice.__table__, Payment.__table__

#: Invoices that count: sent ones, not withdrawn.
ISSUED: Final = _invoices.c.status.not_in((InvoiceStatus.DRAFT, InvoiceStatus.VOID))
#: What is still to be paid of an invoice.
BALANCE: Final = _invoices.c.total - _invoices.c.amount_paid
UNPAID: Final = and_(_invoices.c.status.in_(OWED), _invoices.c.total > _invoices.c.amount_paid)

#: The figures of a booking, in the order of ``figures``.
FIGURES: Final = ("revenue", "vat", "payments", "expenses", "expenses_vat", "outstanding", "invoices")

_NOTHING: Final = literal(Decimal(0), Exact())


def bookings(*, firm_id: str, span: Span, zone: ZoneInfo, dialect: str) -> CTE:
    """One row for each invoice, payment and expense of the period: its day, client, currency and figures.

    Revenue is what was invoiced without VAT; payments are what came in less what was paid back; expenses are
    without their VAT. A payment's client is its invoice's, and an expense's that of its case, if it has one.
    """
    days = (span.first, span.last)
    from_, until = span.moments(zone)
    invoices = select(
        _invoices.c.issue_date.label("day"),
        _invoices.c.client_id.label("client_id"),
        _invoices.c.currency.label("currency"),
        *_figures(
            revenue=_invoices.c.total - _invoices.c.vat_amount,
            vat=_invoices.c.vat_amount,
            outstanding=case((UNPAID, BALANCE), else_=_NOTHING),
            invoices=literal(1),
        ),
    ).where(
        _invoices.c.firm_id == firm_id,
        _invoices.c.issue_date.between(*days),
        ISSUED,
    )
    payments = (
        select(
            func.coalesce(_payments.c.paid_on, local_day(_payments.c.paid_at, zone, dialect)),
            func.coalesce(_payments.c.client_id, _invoices.c.client_id),
            _payments.c.currency,
            *_figures(payments=_payments.c.amount - _payments.c.refunded_amount),
        )
        .select_from(
            _payments.outerjoin(
                _invoices,
                and_(_payments.c.invoice_id == _invoices.c.id, _payments.c.firm_id == _invoices.c.firm_id),
            )
        )
        .where(
            _payments.c.firm_id == firm_id,
            _payments.c.status.in_(RECEIVED),
            or_(
                _payments.c.paid_on.between(*days),
                and_(
                    _payments.c.paid_on.is_(None), _payments.c.paid_at >= from_, _payments.c.paid_at < until
                ),
            ),
        )
    )
    expenses = (
        select(
            _expenses.c.spent_on,
            _cases.c.client_id,
            _expenses.c.currency,
            *_figures(
                expenses=_expenses.c.amount - _expenses.c.vat_amount, expenses_vat=_expenses.c.vat_amount
            ),
        )
        .select_from(
            _expenses.outerjoin(
                _cases, and_(_expenses.c.case_id == _cases.c.id, _expenses.c.firm_id == _cases.c.firm_id)
            )
        )
        .where(
            _expenses.c.firm_id == firm_id,
            _expenses.c.spent_on.between(*days),
        )
    )
    return union_all(invoices, payments, expenses).cte("bookings")


def in_currency(booked: CTE, currency: str) -> CTE:
    """The bookings in one currency, which alone can be added up."""
    return select(booked).where(booked.c.currency == currency).cte("in_currency")


def other_currencies(booked: CTE, currency: str) -> Select[Any]:
    """The currencies of the other bookings."""
    other = select(booked.c.currency).where(booked.c.currency != currency)
    return other.distinct().order_by(booked.c.currency)


def totals(booked: CTE) -> Select[Any]:
    """The sums of all bookings; null when there are none."""
    return select(*_sums(booked))


def by_month(booked: CTE, dialect: str) -> Select[Any]:
    """The sums of each month that has bookings: the month, then the figures."""
    rows = select(
        month_of(booked.c.day, dialect).label("month"), *(booked.c[name] for name in FIGURES)
    ).subquery()
    return select(rows.c.month, *_sums(rows)).group_by(rows.c.month).order_by(rows.c.month)


def by_client(booked: CTE, *, firm_id: str, limit: int) -> Select[Any]:
    """The sums of each client, those with the highest revenue first: id, name, then the figures.

    Bookings without a client have one row, without id and name.
    """
    sums = select(booked.c.client_id, *_sums(booked)).group_by(booked.c.client_id).subquery("sums")
    largest = (by_size(sums.c[name]).desc() for name in ("revenue", "payments"))
    order = (*largest, sums.c.client_id.asc().nulls_last())
    named = sums.outerjoin(_clients, and_(_clients.c.id == sums.c.client_id, _clients.c.firm_id == firm_id))
    columns = (_clients.c.id, _clients.c.name, *(sums.c[name] for name in FIGURES))
    return select(*columns).select_from(named).order_by(*order).limit(limit)


def read_figures(row: Row[Any]) -> dict[str, Any]:
    """The last columns of a row as figures by name; the sum of nothing is 0."""
    return no_figures() | {
        name: value for name, value in zip(FIGURES, row[-len(FIGURES) :], strict=True) if value is not None
    }


def no_figures() -> dict[str, Any]:
    """The figures where there are no bookings."""
    return dict.fromkeys(FIGURES, Decimal("0.00")) | {"invoices": 0}


def _figures(**given: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """The figures of a booking: those given, and nothing of the others."""
    nothing: Mapping[str, ColumnElement[Any]] = {"invoices": literal(0)}
    return [{**nothing, **given}.get(name, _NOTHING).label(name) for name in FIGURES]


def _sums(rows: Any) -> list[ColumnElement[Any]]:
    return [func.sum(rows.c[name]).label(name) for name in FIGURES]
