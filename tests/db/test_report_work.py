"""Analytics and time utilization, against lists kept by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from tests.support.records import add_client, add_firm, add_user
from tests.support.report_jobs import ReportJob, reports
from tests.support.report_ledger import case, worked

from toril.db.models import CaseStatus, CaseType, ClientKind
from toril.db.session import Database
from toril.errors import UnrecoverableError

QUARTER = {"startDate": "2026-01-01", "endDate": "2026-03-31"}


async def test_analytics_count_what_the_firm_did(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        user = await add_user(session, firm)
        first = await add_client(session, firm, client_since=date(2026, 1, 1))
        await add_client(session, firm, client_since=date(2026, 3, 31), kind=ClientKind.BUSINESS)
        await add_client(session, firm, client_since=date(2026, 3, 1), kind=ClientKind.BUSINESS)
        await add_client(session, firm, client_since=date(2025, 12, 31))
        await case(session, firm, first, "2026-01-01", type=CaseType.LABOUR)
        await case(session, firm, first, "2026-03-31", type=CaseType.LABOUR, status=CaseStatus.ON_HOLD)
        await case(
            session, firm, first, "2026-02-01", status=CaseStatus.CLOSED, closed_on=date(2026, 4, 1)
        )  # closed after the period
        await case(session, firm, first, "2025-06-01", status=CaseStatus.CLOSED, closed_on=date(2026, 2, 2))
        await case(session, firm, first, "2026-04-01")
        await worked(session, firm, user, "2026-01-31", 50, hourly_rate=Decimal("999.99"))  # 833.325
        await worked(session, firm, user, "2026-02-01", 10, hourly_rate=Decimal("999.99"))  # 166.665
        await worked(session, firm, user, "2026-02-02", 7, hourly_rate=Decimal("0.01"))  # 0.00116…
        await worked(session, firm, user, "2026-02-02", 30, billable=False, hourly_rate=Decimal("500"))
        await worked(session, firm, user, "2026-02-03", 60)  # billable, but nobody said at what rate
        await worked(session, firm, user, "2026-04-01", 600, hourly_rate=Decimal("500"))
        other = await add_firm(session)
        await case(session, other, await add_client(session, other))

    job = ReportJob("analytics", firmId=firm.id, **QUARTER)
    summary = (await reports(database, tmp_path).process(job))["summary"]

    assert summary["cases"] == {"opened": 3, "closed": 1}
    assert summary["casesByStatus"] == {"open": 1, "pending": 0, "on_hold": 1, "closed": 1}
    assert {kind: count for kind, count in summary["casesByType"].items() if count} == {
        "labour": 2,
        "other": 1,
    }
    assert summary["newClients"]["total"] == 3
    assert summary["newClients"]["byKind"] == {"person": 1, "business": 2, "government": 0}
    assert [line["count"] for line in summary["newClients"]["byMonth"]] == [1, 0, 2]
    billed = summary["hoursBilled"]
    assert (billed["minutes"], billed["hours"], billed["nonBillableMinutes"]) == (127, 2.12, 30)
    assert (
        billed["amount"] == 999.99
    )  # 60 minutes at 999.99, and next to nothing: rounded once, not three times
    assert [(line["month"], line["billableMinutes"]) for line in billed["byMonth"]] == [
        ("2026-01", 50), ("2026-02", 77), ("2026-03", 0),
    ]  # fmt: skip


async def test_analytics_have_the_metrics_that_were_asked_for(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
    job = ReportJob("analytics", firmId=firm.id, metrics=["new-clients", "cases_by_type"], **QUARTER)

    summary = (await reports(database, tmp_path).process(job))["summary"]

    assert set(summary) == {"period", "cases", "casesByType", "newClients"}


async def test_everybody_s_time_is_added_up(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        amal = await add_user(session, firm, name="Amal")
        badr = await add_user(session, firm, name="Badr")
        gone = await add_user(session, firm, name="Gone", active=False)
        idle = await add_user(session, firm, name="Idle")
        await add_user(session, firm, name="Long gone", active=False)
        await worked(session, firm, amal, "2026-01-01", 90, hourly_rate=Decimal("800"))
        await worked(session, firm, amal, "2026-03-31", 45, hourly_rate=Decimal("600"))
        await worked(session, firm, amal, "2026-02-01", 65, billable=False)
        await worked(session, firm, badr, "2026-02-01", 30, billable=False)
        await worked(session, firm, gone, "2026-02-01", 10, hourly_rate=Decimal("100"))
        await worked(session, firm, badr, "2025-12-31", 999)
        other = await add_firm(session)
        await worked(session, other, await add_user(session, other), "2026-02-01", 999)
    queue = reports(database, tmp_path)

    summary = (await queue.process(ReportJob("time-utilization", firmId=firm.id, **QUARTER)))["summary"]
    named = ReportJob(
        "time-utilization", id="2", firmId=firm.id, staffIds=[badr.id.upper(), idle.id], **QUARTER
    )
    of_two = (await queue.process(named))["summary"]

    columns = ("name", "minutes", "billableMinutes", "nonBillableMinutes", "utilization", "billableAmount")
    assert [tuple(line[name] for name in columns) for line in summary["byPerson"]] == [
        ("Amal", 200, 135, 65, 67.5, 1650.00),
        ("Badr", 30, 0, 30, 0, 0),
        ("Gone", 10, 10, 0, 100, 16.67),
        ("Idle", 0, 0, 0, 0, 0),
    ]
    assert tuple(summary[name] for name in columns[1:]) == (240, 145, 95, 60.4, 1666.67)
    assert [(line["name"], line["minutes"]) for line in of_two["byPerson"]] == [("Badr", 30), ("Idle", 0)]
    assert of_two["minutes"] == 30


async def test_somebody_of_another_firm_is_not_found(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm, other = await add_firm(session), await add_firm(session)
        stranger = await add_user(session, other, name="Secret Person")
        await worked(session, firm, stranger, "2026-02-01", 15)
    queue = reports(database, tmp_path)

    with pytest.raises(UnrecoverableError, match=f"user '{stranger.id}': not found or access denied"):
        await queue.process(ReportJob("time-utilization", firmId=firm.id, staffIds=[stranger.id], **QUARTER))
    result = await queue.process(ReportJob("time-utilization", id="2", firmId=firm.id, **QUARTER))

    (line,) = result["summary"]["byPerson"]
    assert (line["userId"], line["name"], line["minutes"]) == (None, None, 15)
