"""The type ``time-utilization``: how each person's time was spent."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from toril.db.errors import RecordNotFoundError
from toril.queues.report.analytics import worth
from toril.queues.report.documents import utilization_pages
from toril.queues.report.making import Made, Making
from toril.queues.report.payloads import TimeUtilization
from toril.queues.report.queries import work
from toril.queues.report.values import share


async def make_utilization(payload: TimeUtilization, making: Making) -> Made:
    """Make the report: of the people that were named, else of all who work there or have worked in the period.

    Utilisation is the billable part of the time that was recorded, in per cent.

    Raises:
        RecordNotFoundError: somebody who was named is not one of the firm's people.
    """
    firm_id, span = making.report.firm_id, payload.span(making.report.zone)
    staff = payload.staff_ids
    async with making.asking() as session:
        people = (await session.execute(work.people(firm_id=firm_id, staff_ids=staff))).all()
        known = {person_id for person_id, _, _ in people}
        if missing := next((each for each in staff if each not in known), None):
            raise RecordNotFoundError("user", missing)
        await making.tell(30)
        rows = await session.execute(work.minutes_by_person(firm_id=firm_id, span=span, staff_ids=staff))
        minutes = {person_id: (total, billable) for person_id, total, billable in rows}
        await making.tell(60)
        rated: dict[str, list[tuple[Decimal, int]]] = defaultdict(list)
        for person_id, rate, count in await session.execute(
            work.minutes_by_rate(firm_id=firm_id, span=span, staff_ids=staff)
        ):
            rated[person_id].append((rate, count))
    lines = [
        _line(*minutes.get(person_id, (0, 0)), rated[person_id], userId=person_id, name=name)
        for person_id, name, active in people
        if active or staff or person_id in minutes
    ]
    # Time of somebody who is not, or no more, one of the firm's people still counts.
    lines += [
        _line(*minutes[person_id], rated[person_id], userId=None, name=None)
        for person_id in sorted(minutes.keys() - known)
    ]
    lines.sort(key=lambda line: (-line["minutes"], line["name"] or ""))
    every = [pair for pairs in rated.values() for pair in pairs]
    totals = _line(
        sum(line["minutes"] for line in lines), sum(line["billableMinutes"] for line in lines), every
    )
    summary = {"period": {"startDate": span.first, "endDate": span.last}, **totals, "byPerson": lines}
    document = {"type": "time-utilization", **summary}
    return Made(
        file=await making.write_json(document),
        stem=f"time-utilization-{span.first}-{span.last}",
        summary=summary,
        pdf=utilization_pages(document, making) if payload.format == "pdf" else None,
    )


def _line(minutes: int, billable: int, rated: list[tuple[Decimal, int]], **who: Any) -> dict[str, Any]:
    return {
        **who,
        "minutes": minutes,
        "billableMinutes": billable,
        "nonBillableMinutes": minutes - billable,
        "utilization": share(billable, minutes),
        "billableAmount": worth(rated),
    }
