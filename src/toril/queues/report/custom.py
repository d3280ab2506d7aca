"""The type ``custom``: the rows of a declarative query."""

from __future__ import annotations

from typing import Any, Final

from toril.queues.report.documents import table_pages
from toril.queues.report.making import UPRIGHT_COLUMNS, Made, Making
from toril.queues.report.payloads import Custom
from toril.queues.report.queries.calendar import dialect_of
from toril.queues.report.queries.selection import read_row, selection
from toril.queues.report.values import to_json

#: Rows that the job's result has; the file has all of them.
RESULT_ROWS: Final = 1000


async def make_custom(payload: Custom, making: Making) -> Made:
    """Make the report. It says so when there are more rows than its limit."""
    query, zone = payload.query, making.report.zone
    async with making.asking() as session:
        statement = selection(query, firm_id=making.report.firm_id, zone=zone, dialect=dialect_of(session))
        found = (await session.execute(statement)).all()
        printing = payload.format == "pdf"
        currency = await making.currency(session, query.of, query.conditions) if printing else None
    await making.tell(70)
    rows = [read_row(query.outputs, row) for row in found[: query.limit]]
    columns = [{"name": output.name, "kind": output.kind} for output in query.outputs]
    summary: dict[str, Any] = {
        "name": payload.name,
        "source": query.of.name,
        "rowCount": len(rows),
        "truncated": len(found) > query.limit,
        "columns": columns,
    }
    document = {"type": "custom", **summary, "rows": rows}
    return Made(
        file=await making.write_json(document),
        stem=f"custom-{making.report.asked_on}",
        summary=summary,
        result={"rows": to_json(rows[:RESULT_ROWS], zone)},
        landscape=len(query.outputs) > UPRIGHT_COLUMNS,
        pdf=table_pages(payload.name, query.outputs, rows, making, currency=currency) if printing else None,
    )
