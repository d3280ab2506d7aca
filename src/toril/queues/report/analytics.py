"""The type ``analytics``: the firm's cases, new clients and billed hours in a period."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.models import CaseStatus, CaseType, ClientKind
from toril.queues.report.documents import analytics_pages
from toril.queues.report.making import Made, Making
from toril.queues.report.payloads import Analytics
from toril.queues.report.queries import work
from toril.queues.report.queries.calendar import Span, dialect_of
from toril.queues.report.values import ZERO, hours, rounded


async def make_analytics(payload: Analytics, making: Making) -> Made:
    """Make the report, with the metrics that were asked for."""
    firm_id, span = making.report.firm_id, payload.span(making.report.zone)
    found: dict[str, Any] = {}
    async with making.asking() as session:
        if {"casesByStatus", "casesByType"} & set(payload.metrics):
            found |= await _cases(session, firm_id, span, payload.metrics)
        await making.tell(40)
        if "newClients" in payload.metrics:
            found["newClients"] = await _new_clients(session, firm_id, span)
        await making.tell(60)
        if "hoursBilled" in payload.metrics:
            found["hoursBilled"] = await _hours_billed(session, firm_id, span)
    summary = {"period": {"startDate": span.first, "endDate": span.last}, **found}
    document = {"type": "analytics", **summary}
    return Made(
        file=await making.write_json(document),
        stem=f"analytics-{span.first}-{span.last}",
        summary=summary,
        pdf=analytics_pages(document, making) if payload.format == "pdf" else None,
    )


async def _cases(session: AsyncSession, firm_id: str, span: Span, metrics: Sequence[str]) -> dict[str, Any]:
    """Cases that were opened in the period, by what they are now; and how many were closed in it."""
    by_status = await session.execute(work.cases_by("status", firm_id=firm_id, span=span))
    status: dict[CaseStatus, int] = {each: count for each, count in by_status}  # noqa: C416 - rows, not pairs
    closed = await session.scalar(work.cases_closed(firm_id=firm_id, span=span))
    found: dict[str, Any] = {"cases": {"opened": sum(status.values()), "closed": closed or 0}}
    if "casesByStatus" in metrics:
        found["casesByStatus"] = {each.value: status.get(each, 0) for each in CaseStatus}
    if "casesByType" in metrics:
        rows = await session.execute(work.cases_by("type", firm_id=firm_id, span=span))
        types: dict[CaseType, int] = {each: count for each, count in rows}  # noqa: C416
        found["casesByType"] = {each.value: types.get(each, 0) for each in CaseType}
    return found


async def _new_clients(session: AsyncSession, firm_id: str, span: Span) -> dict[str, Any]:
    rows = (
        await session.execute(work.new_clients(firm_id=firm_id, span=span, dialect=dialect_of(session)))
    ).all()
    months = dict.fromkeys(span.months, 0)
    kinds = {kind.value: 0 for kind in ClientKind}
    for month, kind, count in rows:
        months[month] += count
        kinds[kind.value] += count
    by_month = [{"month": month, "count": count} for month, count in months.items()]
    return {"total": sum(months.values()), "byKind": kinds, "byMonth": by_month}


async def _hours_billed(session: AsyncSession, firm_id: str, span: Span) -> dict[str, Any]:
    """Billable time, and what it is worth at its rates."""
    rows = (
        await session.execute(work.minutes_by_month(firm_id=firm_id, span=span, dialect=dialect_of(session)))
    ).all()
    rates = (await session.execute(work.minutes_by_rate(firm_id=firm_id, span=span))).all()
    found = {month: (minutes, billable) for month, minutes, billable in rows}
    by_month = []
    for month in span.months:
        minutes, billable = found.get(month, (0, 0))
        by_month.append(
            {"month": month, "minutes": minutes, "billableMinutes": billable, "hours": hours(billable)}
        )
    billed = sum(line["billableMinutes"] for line in by_month)
    return {
        "minutes": billed,
        "hours": hours(billed),
        "nonBillableMinutes": sum(line["minutes"] for line in by_month) - billed,
        "amount": worth([(rate, minutes) for _, rate, minutes in rates]),
        "byMonth": by_month,
    }


def worth(rated: Sequence[tuple[Decimal, int]]) -> Decimal:
    """What minutes at hourly rates come to, rounded once, at the end."""
    return rounded(sum((rate * minutes for rate, minutes in rated), ZERO) / 60)
