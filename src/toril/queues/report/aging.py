"""The type ``client-aging``: who owes what, and since when."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from toril.queues.report.documents import aging_pages
from toril.queues.report.making import MAX_CLIENTS, SUMMARY_LINES, Made, Making
from toril.queues.report.payloads import ClientAging
from toril.queues.report.queries import aging
from toril.queues.report.values import ZERO


async def make_aging(payload: ClientAging, making: Making) -> Made:
    """Make the report, as of today where the firm is."""
    firm_id, today = making.report.firm_id, making.today
    rows = aging.unpaid(firm_id=firm_id, today=today, currency=payload.currency)
    async with making.asking() as session:
        found = {
            bucket: (count, amount) for bucket, count, amount in await session.execute(aging.by_bucket(rows))
        }
        await making.tell(40)
        clients = (await session.execute(aging.by_client(rows, firm_id=firm_id, limit=MAX_CLIENTS + 1))).all()
        await making.tell(70)
        others = list(
            await session.scalars(aging.other_currencies(firm_id=firm_id, currency=payload.currency))
        )
    buckets: dict[str, dict[str, Any]] = {}
    for bucket in aging.BUCKETS:
        count, amount = found.get(bucket, (0, Decimal("0.00")))
        buckets[bucket] = {"invoices": count, "amount": amount}
    by_client = [_client(row) for row in clients[:MAX_CLIENTS]]
    total = sum((each["amount"] for each in buckets.values()), ZERO)
    summary: dict[str, Any] = {
        "asOf": today,
        "currency": payload.currency,
        "total": total,
        "invoices": sum(each["invoices"] for each in buckets.values()),
        "buckets": buckets,
        "otherCurrencies": others,
        "byClient": by_client[:SUMMARY_LINES],
    }
    more = {"othersOfClients": _rest(total, by_client)} if len(clients) > MAX_CLIENTS else {}
    document = {"type": "client-aging", **summary, "byClient": by_client, **more}
    return Made(
        file=await making.write_json(document),
        stem=f"client-aging-{making.report.asked_on}",
        summary=summary,
        pdf=aging_pages(document, making) if payload.format == "pdf" else None,
    )


def _client(row: Any) -> dict[str, Any]:
    client_id, name, invoices, oldest, total, *owed = row
    return {
        "clientId": client_id,
        "name": name,
        "invoices": invoices,
        "oldestDueDate": oldest,
        "total": total,
        **dict(zip(aging.BUCKETS, owed, strict=True)),
    }


def _rest(total: Decimal, listed: list[dict[str, Any]]) -> dict[str, Any]:
    return {"total": total - sum((line["total"] for line in listed), ZERO)}
