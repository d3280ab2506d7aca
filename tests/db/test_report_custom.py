"""Custom reports: what a declarative query gives."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from tests.support.records import add_client, add_firm, add_user
from tests.support.report_jobs import ReportJob, content_of, reports
from tests.support.report_ledger import add_books, case, invoice, payment, worked

from toril.db.models import Firm, Payment
from toril.db.session import Database
from toril.queues.report.payloads import Custom
from toril.queues.report.queries.calendar import dialect_of, local_day
from toril.queues.report.queries.selection import selection

RIYADH = ZoneInfo("Asia/Riyadh")


async def ask(database: Database, folder: Path, firm: Firm, **query: Any) -> list[Any]:
    """The rows of a query as tuples."""
    job = ReportJob("custom", firmId=firm.id, name="Asked", query=query)
    result = await reports(database, folder).process(job)
    assert content_of(result)["rows"] == result["rows"]
    return [tuple(row.values()) for row in result["rows"]]


async def test_groups_are_measured_exactly(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm, _, _ = await add_books(session)
        await add_books(session)

    rows = await ask(
        database, tmp_path, firm,
        source="invoices",
        filters=[
            {"column": "status", "operator": "in", "value": ["paid", "partial", "sent"]},
            {"column": "currency", "value": "SAR"},
            {"column": "issueDate", "operator": "between", "value": ["2026-01-01", "2026-03-31"]},
        ],
        groupBy=[{"column": "issueDate", "by": "month"}, "clientName"],
        measures=[
            {"function": "count"},
            {"function": "sum", "column": "total", "as": "billed"},
            {"function": "avg", "column": "balance"},
            {"function": "max", "column": "issueDate"},
            {"function": "count_distinct", "column": "clientId"},
        ],
        order=[{"by": "billed", "direction": "desc"}],
    )  # fmt: skip

    assert rows == [
        ("2026-03", "Amal", 1, 2000.0, 0.0, "2026-03-31", 1),
        ("2026-01", "Amal", 1, 1150.12, 150.12, "2026-01-01", 1),
        ("2026-02", "Badr", 1, 230.0, 230.0, "2026-02-14", 1),
        ("2026-01", "Badr", 1, 38.33, 0.0, "2026-01-31", 1),
    ]


async def test_an_average_is_rounded_once_and_the_same_everywhere(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        client = await add_client(session, firm)
        user = await add_user(session, firm)
        for net in ("0.01", "0.01", "0.02"):  # 0.013333…
            await invoice(session, firm, client, "2026-01-01", net, "0")
        for minutes in (1, 2, 2, 2, 2, 2):  # 1.8333…
            await worked(session, firm, user, "2026-01-01", minutes)

    money = await ask(
        database, tmp_path, firm, source="invoices", measures=[{"function": "avg", "column": "total"}]
    )
    time = await ask(
        database, tmp_path, firm, source="timeEntries", measures=[{"function": "avg", "column": "minutes"}]
    )
    assert (money, time) == ([(0.0133,)], [(1.83,)])


async def test_measures_of_nothing(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
    measures = [
        {"function": name, "column": "total"}
        for name in ("count", "sum", "avg", "min", "max", "count_distinct")
    ]
    assert await ask(database, tmp_path, firm, source="invoices", measures=measures) == [
        (0, 0, None, None, None, 0)
    ]
    grouped = await ask(database, tmp_path, firm, source="invoices", groupBy=["status"], measures=measures)
    assert grouped == []


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("eq", "A%", ["A%"]),
        ("ne", "A%", ["Ab", "ab_c", None]),
        ("in", ["Ab", "nobody"], ["Ab"]),
        ("contains", "%", ["A%"]),
        ("contains", "_", ["ab_c"]),
        ("contains", "AB", ["Ab", "ab_c"]),
        ("contains", "' OR 1=1 --", []),
        ("is_null", True, [None]),
        ("is_null", False, ["A%", "Ab", "ab_c"]),
    ],
)
async def test_texts_are_compared_as_they_are(
    operator: str, value: Any, found: list[str | None], database: Database, tmp_path: Path
) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        for email in ("A%", "Ab", "ab_c", None):
            await add_client(session, firm, email=email)
        await add_client(session, await add_firm(session), email="A%")

    where = {"column": "email", "operator": operator, "value": value}
    rows = await ask(
        database, tmp_path, firm, source="clients", columns=["email"], filters=[where], order=["email"]
    )
    assert sorted(rows, key=str) == sorted([(each,) for each in found], key=str)


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("eq", "10.10", [10.10]),
        ("ne", 10.1, [9.99, 10.11]),
        ("lt", 10.1, [9.99]),
        ("lte", 10.1, [9.99, 10.10]),
        ("gt", 10.1, [10.11]),
        ("gte", "10.10", [10.10, 10.11]),
        ("in", [9.99, "10.11"], [9.99, 10.11]),
        ("between", [9.99, 10.10], [9.99, 10.10]),
    ],
)
async def test_amounts_are_compared_exactly(
    operator: str, value: Any, found: list[float], database: Database, tmp_path: Path
) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        client = await add_client(session, firm)
        for net in ("9.99", "10.10", "10.11"):
            await invoice(session, firm, client, "2026-01-01", net, "0")
    where = {"column": "total", "operator": operator, "value": value}
    rows = await ask(
        database, tmp_path, firm, source="invoices", columns=["total"], filters=[where], order=["total"]
    )
    assert rows == [(each,) for each in found]


#: Around the first of February in Riyadh, which begins at 21:00 UTC.
BEFORE, BEGIN, LATER, NEXT = (
    "2026-01-31T20:59:59",
    "2026-01-31T21:00:00",
    "2026-02-01T20:59:59",
    "2026-02-01T21:00:00",
)


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("eq", "2026-02-01", [BEGIN, LATER]),
        ("ne", "2026-02-01", [BEFORE, NEXT]),
        ("lt", "2026-02-01", [BEFORE]),
        ("lte", "2026-02-01", [BEFORE, BEGIN, LATER]),
        ("gt", "2026-02-01", [NEXT]),
        ("gte", "2026-02-01", [BEGIN, LATER, NEXT]),
        ("between", ["2026-02-01", "2026-02-01"], [BEGIN, LATER]),
        ("eq", "2026-02-01T00:00:00+03:00", [BEGIN]),
        ("gt", "2026-01-31T21:00:00Z", [LATER, NEXT]),
        ("lte", "2026-01-31T21:00:00Z", [BEFORE, BEGIN]),
    ],
)
async def test_a_day_is_the_firm_s_day(
    operator: str, value: Any, found: list[str], database: Database, tmp_path: Path
) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        for text in (BEFORE, BEGIN, LATER, NEXT):
            await payment(session, firm, "1", paid_at=datetime.fromisoformat(text).replace(tzinfo=UTC))
    where = {"column": "paidAt", "operator": operator, "value": value}
    rows = await ask(
        database, tmp_path, firm, source="payments", columns=["paidAt"], filters=[where], order=["paidAt"]
    )
    here = [datetime.fromisoformat(text).replace(tzinfo=UTC).astimezone(RIYADH).isoformat() for text in found]
    assert rows == [(text,) for text in here]


async def test_moments_are_grouped_by_the_firm_s_calendar(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        for text in (BEFORE, BEGIN, LATER, NEXT):
            await payment(session, firm, "1.50", paid_at=datetime.fromisoformat(text).replace(tzinfo=UTC))
    for by, expected in {
        "day": [("2026-01-31", 1.5), ("2026-02-01", 3.0), ("2026-02-02", 1.5)],
        "month": [("2026-01", 1.5), ("2026-02", 4.5)],
        "year": [("2026", 6.0)],
    }.items():
        rows = await ask(
            database, tmp_path, firm, source="payments", groupBy=[{"column": "paidAt", "by": by}],
            measures=[{"function": "sum", "column": "amount"}], order=[by],
        )  # fmt: skip
        assert rows == expected


@pytest.mark.parametrize("name", ["Asia/Riyadh", "Europe/Berlin", "America/New_York", "Africa/Casablanca"])
async def test_databases_know_the_day_in_every_zone(name: str, database: Database) -> None:
    zone = ZoneInfo(name)
    moments = [datetime(2026, 1, 1, 0, 30, tzinfo=UTC) + timedelta(hours=step * 7) for step in range(1250)]
    async with database.session() as session:
        firm = await add_firm(session)
        session.add_all([Payment(firm_id=firm.id, amount=Decimal(1), paid_at=moment) for moment in moments])
        await session.flush()
        day = local_day(Payment.__table__.c.paid_at, zone, dialect_of(session))
        rows = (await session.execute(select(Payment.paid_at, day))).all()
    assert [(moment, found) for moment, found in rows if found != moment.astimezone(zone).date()] == []
    assert len(rows) == len(moments)


async def test_what_is_not_there_comes_last(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        client = await add_client(session, firm)
        for closed in (None, date(2026, 2, 1), date(2026, 1, 1)):
            await case(session, firm, client, closed_on=closed)
    for order, expected in (
        ("closedOn", ["2026-01-01", "2026-02-01", None]),
        ({"by": "closedOn", "direction": "desc"}, ["2026-02-01", "2026-01-01", None]),
    ):
        rows = await ask(database, tmp_path, firm, source="cases", columns=["closedOn"], order=[order])
        assert rows == [(each,) for each in expected]


async def test_a_limit_is_kept_and_told(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm, _, _ = await add_books(session)
    queue = reports(database, tmp_path)

    async def asked(limit: int) -> tuple[int, bool]:
        query = {"source": "expenses", "limit": limit}
        result = await queue.process(ReportJob("custom", firmId=firm.id, name="Few", aggregation=query))
        return len(result["rows"]), result["summary"]["truncated"]

    assert [await asked(limit) for limit in (4, 5, 6)] == [(4, True), (5, False), (5, False)]


async def test_joined_names_of_another_firm_stay_unknown(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm, other = await add_firm(session), await add_firm(session)
        stranger = await add_client(session, other, name="Secret Client")
        await invoice(session, firm, stranger, "2026-01-01", "1", "0")
    query = {"source": "invoices", "columns": ["number", "clientName"]}
    ((_, name),) = await ask(database, tmp_path, firm, **query)
    assert name is None


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])
def test_nothing_of_a_payload_is_part_of_the_sql(dialect: Any) -> None:
    payload = Custom.model_validate(
        {
            "firmId": "5" * 24,
            "name": "injected_name",
            "query": {
                "source": "invoices",
                "filters": [
                    {"column": "number", "operator": "contains", "value": "injected'; DROP TABLE firms; --"},
                    {"column": "notes", "operator": "in", "value": ["injected_in"]},
                ],
                "groupBy": ["currency", {"column": "createdAt", "by": "month"}],
                "measures": [{"function": "sum", "column": "total", "as": "injected_measure"}],
                "order": ["injected_measure"],
                "limit": 77,
            },
        }
    )
    statement = selection(payload.query, firm_id=payload.firm_id, zone=RIYADH, dialect=dialect.name)
    text = str(statement.compile(dialect=dialect))
    assert "injected" not in text
    assert "5" * 24 not in text
