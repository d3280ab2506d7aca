"""Unpaid invoices by how many days they are overdue."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Select, Subquery, and_, case, func, literal, select

from toril.db.exact_sums import by_size
from toril.db.models import Client, Invoice
from toril.db.types import Exact
from toril.queues.report.queries.ledger import BALANCE, UNPAID

_clients, _invoices = Client.__table__, Invoice.__table__

#: Bucket → most days overdue in it. What is due today is not overdue.
LIMITS: Final = {"current": 0, "30": 30, "60": 60, "90": 90}
BUCKETS: Final = (*LIMITS, "90plus")

_NOTHING: Final = literal(Decimal(0), Exact())


def unpaid(*, firm_id: str, today: date, currency: str) -> Subquery:
    """Every unpaid invoice of the firm: client, day due, balance and bucket."""
    bucket = case(
        *((_invoices.c.due_date >= today - timedelta(days=limit), name) for name, limit in LIMITS.items()),
        else_="90plus",
    )
    return (
        select(_invoices.c.client_id, _invoices.c.due_date, BALANCE.label("balance"), bucket.label("bucket"))
        .where(_invoices.c.firm_id == firm_id, _invoices.c.currency == currency, UNPAID)
        .subquery("unpaid")
    )


def by_bucket(rows: Subquery) -> Select[Any]:
    """Each bucket that has invoices: its name, their number and what is owed on them."""
    return select(rows.c.bucket, func.count(), func.sum(rows.c.balance)).group_by(rows.c.bucket)


def by_client(rows: Subquery, *, firm_id: str, limit: int) -> Select[Any]:
    """Each client who owes something, those who owe most first.

    Returns:
        Id, name, number of invoices, the oldest due date, what is owed in all, and in each of ``BUCKETS``.
    """
    owed = [
        func.sum(case((rows.c.bucket == bucket, rows.c.balance), else_=_NOTHING)).label(f"b{at}")
        for at, bucket in enumerate(BUCKETS)
    ]
    sums = (
        select(
            rows.c.client_id,
            func.count().label("invoices"),
            func.min(rows.c.due_date).label("oldest"),
            func.sum(rows.c.balance).label("total"),
            *owed,
        )
        .group_by(rows.c.client_id)
        .subquery("sums")
    )
    named = sums.outerjoin(_clients, and_(_clients.c.id == sums.c.client_id, _clients.c.firm_id == firm_id))
    columns = [sums.c[name] for name in ("invoices", "oldest", "total", *(each.name for each in owed))]
    order = (by_size(sums.c.total).desc(), sums.c.client_id)
    return select(_clients.c.id, _clients.c.name, *columns).select_from(named).order_by(*order).limit(limit)


def other_currencies(*, firm_id: str, currency: str) -> Select[Any]:
    """Currencies that the firm has unpaid invoices in, beside the one that is reported."""
    wanted = and_(_invoices.c.firm_id == firm_id, _invoices.c.currency != currency, UNPAID)
    return select(_invoices.c.currency).where(wanted).distinct().order_by(_invoices.c.currency)
