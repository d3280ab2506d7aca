"""Filters of exports: every operator of every kind of column, against lists made by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.records import add_client, add_firm, add_user
from tests.support.report_jobs import ReportJob, content_of, reports
from tests.support.report_ledger import case, utc

from toril.db.models import CaseStatus, Firm, TimeEntry
from toril.db.session import Database
from toril.queues.report.filters import OPERATORS
from toril.queues.report.kinds import Kind

A, B, C, D = (f"{at}" * 24 for at in range(1, 5))

#: id, worked_on, minutes, billable, hourly_rate, description, created_at
ENTRIES = [
    (A, "2026-01-31", 15, True, "100.05", "أتعاب استشارة", "2026-01-31T20:59:59"),
    (B, "2026-02-01", 30, False, "100.50", "Draft", "2026-01-31T21:00:00"),  # February in Riyadh
    (C, "2026-02-28", 60, True, None, "drafting 50%", "2026-02-28T20:59:59"),
    (D, "2026-03-01", 90, False, "200.00", "", "2026-02-28T21:00:00"),
]

#: column → operator → (value, the ids that are found)
CASES: dict[str, dict[str, list[tuple[Any, list[str]]]]] = {
    "id": {
        "eq": [(A, [A]), ("9" * 24, [])],
        "ne": [(A, [B, C, D])],
        "in": [([A, D], [A, D])],
        "is_null": [(True, []), (False, [A, B, C, D])],
    },
    "workedOn": {
        "eq": [("2026-02-01", [B]), ("2026-01-31T21:30:00Z", [B])],
        "ne": [("2026-02-01", [A, C, D])],
        "lt": [("2026-02-01", [A])],
        "lte": [("2026-02-01", [A, B])],
        "gt": [("2026-02-28", [D])],
        "gte": [("2026-02-28", [C, D])],
        "between": [(["2026-02-01", "2026-02-28"], [B, C]), (["2026-02-28", "2026-02-01"], [])],
        "in": [(["2026-01-31", "2026-03-01"], [A, D])],
        "is_null": [(True, [])],
    },
    "minutes": {
        "eq": [(30, [B]), (30.0, [B])],
        "ne": [(30, [A, C, D])],
        "lt": [(30, [A])],
        "lte": [(30, [A, B])],
        "gt": [(30, [C, D])],
        "gte": [(30, [B, C, D])],
        "between": [([15, 60], [A, B, C])],
        "in": [([15, 90, 7], [A, D])],
        "is_null": [(True, [])],
    },
    "hourlyRate": {
        "eq": [("100.05", [A]), (100.5, [B])],
        "ne": [("100.05", [B, C, D])],
        "lt": [("100.50", [A])],
        "lte": [("100.50", [A, B])],
        "gt": [(100.05, [B, D])],
        "gte": [("200", [D])],
        "between": [(["100.06", 200], [B, D])],
        "in": [(["100.05", 200], [A, D])],
        "is_null": [(True, [C]), (False, [A, B, D])],
    },
    "description": {
        "eq": [("Draft", [B]), ("أتعاب استشارة", [A])],
        "ne": [("Draft", [A, C, D])],
        "contains": [("draft", [B, C]), ("استشارة", [A]), ("50%", [C]), ("%", [C]), ("_", [])],
        "in": [(["Draft", ""], [B, D])],
        "is_null": [(True, [])],
    },
    "billable": {
        "eq": [(True, [A, C]), (False, [B, D])],
        "ne": [(True, [B, D])],
        "is_null": [(True, [])],
    },
    "createdAt": {
        "eq": [("2026-02-01", [B]), ("2026-01-31T21:00:00Z", [B])],
        "ne": [("2026-02-01", [A, C, D])],
        "lt": [("2026-02-01", [A])],
        "lte": [("2026-02-28", [A, B, C])],
        "gt": [("2026-02-01", [C, D]), ("2026-02-28T20:59:59Z", [D])],
        "gte": [("2026-02-01", [B, C, D])],
        "between": [(["2026-02-01", "2026-02-28"], [B, C])],
        "is_null": [(True, [])],
    },
}  # fmt: skip


@pytest.mark.parametrize("column", CASES)
async def test_a_filter_keeps_the_rows_it_means(column: str, database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        own, other = await add_firm(session), await add_firm(session)
        await add_entries(session, own)
        await add_entries(session, other, ids="abcd")  # the same, which nobody may find
    for operator, cases in CASES[column].items():
        for value, found in cases:
            rows = await export(database, tmp_path, own, "time-entries", column, operator, value)
            assert [row["id"] for row in rows] == found, (operator, value)


async def test_choices_are_compared_by_their_names(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        client = await add_client(session, firm)
        for status in CaseStatus:
            await case(session, firm, client, status=status)

    async def found(operator: str, value: Any) -> list[str]:
        rows = await export(database, tmp_path, firm, "cases", "status", operator, value)
        return [row["status"] for row in rows]

    assert await found("eq", "on_hold") == ["on_hold"]
    assert await found("ne", "on_hold") == ["open", "pending", "closed"]
    assert await found("in", ["closed", "open"]) == ["open", "closed"]
    assert await found("is_null", True) == []


def test_no_operator_is_without_a_case() -> None:
    kinds = {
        "id": Kind.ID, "workedOn": Kind.DATE, "minutes": Kind.INTEGER, "hourlyRate": Kind.DECIMAL,
        "description": Kind.TEXT, "billable": Kind.YES_NO, "createdAt": Kind.MOMENT,
    }  # fmt: skip
    assert {kinds[column]: set(operators) for column, operators in CASES.items()} == {
        kind: operators for kind, operators in OPERATORS.items() if kind is not Kind.CHOICE
    }
    assert OPERATORS[Kind.CHOICE] == {"eq", "ne", "in", "is_null"}


async def add_entries(session: AsyncSession, firm: Firm, *, ids: str = "1234") -> None:
    """Store the entries, with ids of these digits."""
    user = await add_user(session, firm)
    for digit, (_, day, minutes, billable, rate, text, created) in zip(ids, ENTRIES, strict=True):
        session.add(
            TimeEntry(
                id=digit * 24, firm_id=firm.id, user_id=user.id, worked_on=date.fromisoformat(day),
                minutes=minutes, billable=billable, hourly_rate=Decimal(rate) if rate else None,
                description=text, created_at=utc(created),
            )
        )  # fmt: skip
    await session.flush()


async def export(
    database: Database, folder: Path, firm: Firm, source: str, column: str, operator: str, value: Any
) -> list[dict[str, Any]]:
    """The rows of an export with one filter, written in both ways."""
    listed = [{"column": column, "operator": operator, "value": value}]
    results: list[Any] = []
    for filters in (listed, {column: {operator: value}}):
        job = ReportJob("data-export", firmId=firm.id, exportType=source, format="json", filters=filters)
        result = await reports(database, folder).process(job)
        results.append(content_of(result))
    assert results[0] == results[1]
    return list(results[0])
