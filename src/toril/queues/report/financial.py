"""The type ``financial``: what a firm earned, got and spent in a period."""

from __future__ import annotations

from typing import Any

from toril.queues.report.documents import financial_pages
from toril.queues.report.making import MAX_CLIENTS, SUMMARY_LINES, Made, Making
from toril.queues.report.payloads import Financial
from toril.queues.report.queries import ledger
from toril.queues.report.queries.calendar import dialect_of


async def make_financial(payload: Financial, making: Making) -> Made:
    """Make the report. The figures of its months, and of its clients with ``others``, add up to its totals."""
    zone, firm_id = making.report.zone, making.report.firm_id
    span = payload.span(zone)
    async with making.asking() as session:
        dialect = dialect_of(session)
        every = ledger.bookings(firm_id=firm_id, span=span, zone=zone, dialect=dialect)
        booked = ledger.in_currency(every, payload.currency)
        total = (await session.execute(ledger.totals(booked))).one()
        await making.tell(30)
        months = (await session.execute(ledger.by_month(booked, dialect))).all()
        await making.tell(50)
        clients = (
            await session.execute(ledger.by_client(booked, firm_id=firm_id, limit=MAX_CLIENTS + 1))
        ).all()
        await making.tell(70)
        others = list(await session.scalars(ledger.other_currencies(every, payload.currency)))
    totals = _line(ledger.read_figures(total))
    found = {row[0]: ledger.read_figures(row) for row in months}
    by_month = [{"month": month, **_line(found.get(month) or ledger.no_figures())} for month in span.months]
    by_client = [
        {"clientId": row[0], "name": row[1], **_line(ledger.read_figures(row))}
        for row in clients[:MAX_CLIENTS]
    ]
    summary: dict[str, Any] = {
        "period": {"startDate": span.first, "endDate": span.last},
        "currency": payload.currency,
        **totals,
        "otherCurrencies": others,
        "byMonth": by_month,
        "byClient": by_client[:SUMMARY_LINES],
    }
    more = {"othersOfClients": _rest(totals, by_client)} if len(clients) > MAX_CLIENTS else {}
    document = {"type": "financial", **summary, "byClient": by_client, **more}
    return Made(
        file=await making.write_json(document),
        stem=f"financial-{span.first}-{span.last}",
        summary=summary,
        pdf=financial_pages(document, making) if payload.format == "pdf" else None,
    )


def _line(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures as the report names them, with the profit."""
    return {
        "revenue": figures["revenue"],
        "vat": figures["vat"],
        "payments": figures["payments"],
        "expenses": figures["expenses"],
        "expensesVat": figures["expenses_vat"],
        "netProfit": figures["revenue"] - figures["expenses"],
        "outstanding": figures["outstanding"],
        "invoices": figures["invoices"],
    }


def _rest(totals: dict[str, Any], listed: list[dict[str, Any]]) -> dict[str, Any]:
    """What the totals have beyond the lines that are listed."""
    return {name: total - sum(line[name] for line in listed) for name, total in totals.items()}
