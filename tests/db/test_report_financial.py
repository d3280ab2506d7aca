"""The figures of financial reports, against books that were kept by hand."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.databases import Databases
from tests.support.records import add_client, add_firm
from tests.support.report_jobs import ReportJob, content_of, reports
from tests.support.report_ledger import add_books, expense, invoice, payment

from toril.db.session import Database
from toril.errors import UnrecoverableError

QUARTER = {"startDate": "2026-01-01", "endDate": "2026-03-31"}

#: revenue, VAT, payments, expenses, VAT of expenses, net profit, outstanding, invoices
COLUMNS = ("revenue", "vat", "payments", "expenses", "expensesVat", "netProfit", "outstanding", "invoices")
BY_HAND = {
    "2026-01": (1033.43, 155.02, 1038.33, 50.00, 7.50, 983.43, 150.12, 2),
    "2026-02": (200.00, 30.00, 170.07, 9.99, 0, 190.01, 230.00, 1),
    "2026-03": (2000.00, 0, 2000.00, 400.00, 60.00, 1600.00, 0, 1),
    "Amal": (3000.10, 150.02, 3100.00, 50.00, 7.50, 2950.10, 150.12, 2),
    "Badr": (233.33, 35.00, 38.33, 400.00, 60.00, -166.67, 230.00, 2),
    None: (0, 0, 70.07, 9.99, 0, -9.99, 0, 0),
    "all": (3233.43, 185.02, 3208.40, 459.99, 67.50, 2773.44, 380.12, 4),
}


def figures(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line[name] for name in COLUMNS)


async def test_figures_are_those_of_the_books(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm, _, _ = await add_books(session)
        other, _, _ = await add_books(session)  # another firm with the same books changes nothing
    assert other.id != firm.id

    result = await reports(database, tmp_path).process(ReportJob("financial", firmId=firm.id, **QUARTER))

    summary = result["summary"]
    assert figures(summary) == BY_HAND["all"]
    assert {line["month"]: figures(line) for line in summary["byMonth"]} == {
        month: BY_HAND[month] for month in ("2026-01", "2026-02", "2026-03")
    }
    assert [(line["name"], figures(line)) for line in summary["byClient"]] == [
        (name, BY_HAND[name]) for name in ("Amal", "Badr", None)
    ]
    assert summary["currency"] == "SAR"
    assert summary["otherCurrencies"] == ["USD"]
    assert content_of(result)["byClient"] == summary["byClient"]


async def test_one_day_can_be_asked_for(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm, _, _ = await add_books(session)
    day = {"startDate": "2026-01-31", "endDate": "2026-01-31"}

    result = await reports(database, tmp_path).process(ReportJob("financial", firmId=firm.id, **day))

    assert figures(result["summary"]) == (33.33, 5.0, 38.33, 0, 0, 33.33, 0, 1)


async def test_a_month_begins_at_midnight_where_the_firm_is(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm, _, _ = await add_books(session)
        firm_in_london, _, _ = await add_books(session)
        firm_in_london.time_zone = "Europe/London"
    queue = reports(database, tmp_path)
    # A JavaScript application in Riyadh says when its February begins and ends.
    february = {"startDate": "2026-01-31T21:00:00.000Z", "endDate": "2026-02-28T20:59:59.999Z"}

    here = await queue.process(ReportJob("financial", firmId=firm.id, **february))
    there = await queue.process(ReportJob("financial", firmId=firm_in_london.id, **QUARTER))

    assert here["summary"]["period"] == {"startDate": "2026-02-01", "endDate": "2026-02-28"}
    assert here["summary"]["payments"] == 170.07
    months = {line["month"]: line["payments"] for line in there["summary"]["byMonth"]}
    # 21:00 UTC is still January in London, and 21:00 UTC of the last of March still March: summer time has begun.
    assert months == {"2026-01": 1108.40, "2026-02": 100.00, "2026-03": 8000.00}


async def test_another_currency_has_a_report_of_its_own(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm, _, _ = await add_books(session)
    job = ReportJob("financial", firmId=firm.id, currency="usd", **QUARTER)

    summary = (await reports(database, tmp_path).process(job))["summary"]

    assert (summary["currency"], summary["revenue"], summary["otherCurrencies"]) == ("USD", 4000, ["SAR"])


async def test_large_sums_are_exact(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        client = await add_client(session, firm)
        for _ in range(3):
            await invoice(session, firm, client, "2026-02-01", "99999999999.99", "0.01")
        for _ in range(3):
            await invoice(session, firm, client, "2026-02-02", "0.10", "0.00")
    result = await reports(database, tmp_path).process(ReportJob("financial", firmId=firm.id, **QUARTER))

    assert Decimal(repr(result["summary"]["revenue"])) == Decimal("300000000000.27")
    assert result["summary"]["outstanding"] == 300000000000.30


async def test_a_client_of_another_firm_stays_unknown(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm, other = await add_firm(session), await add_firm(session)
        stranger = await add_client(session, other, name="Secret Client")
        await invoice(session, firm, stranger, "2026-02-01", "10", "0")

    result = await reports(database, tmp_path).process(ReportJob("financial", firmId=firm.id, **QUARTER))

    (line,) = result["summary"]["byClient"]
    assert (line["clientId"], line["name"], line["revenue"]) == (None, None, 10)
    assert "Secret" not in str(content_of(result))


async def test_clients_beyond_the_list_are_one_line(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.queues.report.financial.MAX_CLIENTS", 1)
    async with database.session() as session:
        firm, _, _ = await add_books(session)

    content = content_of(
        await reports(database, tmp_path).process(ReportJob("financial", firmId=firm.id, **QUARTER))
    )

    assert [line["name"] for line in content["byClient"]] == ["Amal"]
    rest = tuple(round(a - b, 2) for a, b in zip(BY_HAND["all"], BY_HAND["Amal"], strict=True))
    assert figures(content["othersOfClients"]) == rest


async def test_an_unknown_firm_is_not_told_from_a_forbidden_one(database: Database, tmp_path: Path) -> None:
    job = ReportJob("financial", firmId="0" * 24, **QUARTER)
    with pytest.raises(UnrecoverableError, match=r"firm .0{24}.: not found or access denied"):
        await reports(database, tmp_path).process(job)


_BOOKING = st.tuples(
    st.sampled_from(["invoice", "payment", "expense"]),
    st.dates(min_value=date(2025, 11, 20), max_value=date(2026, 4, 10)),
    st.integers(1, 10**11),
    st.integers(0, 2),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bookings=st.lists(_BOOKING, max_size=25))
def test_months_and_clients_add_up_to_the_totals(
    bookings: list[Any], databases: Databases, tmp_path: Path
) -> None:
    async def check() -> None:
        async with Database(await databases.fresh("sqlite")) as database:
            async with database.session() as session:
                firm = await add_firm(session)
                clients = [await add_client(session, firm) for _ in range(3)]
                cents = dict.fromkeys(("invoice", "payment", "expense"), 0)
                for kind, day, amount, at in bookings:
                    text, on = str(Decimal(amount).scaleb(-2)), day.isoformat()
                    if "2025-12-01" <= on <= "2026-03-31":
                        cents[kind] += amount
                    if kind == "invoice":
                        await invoice(session, firm, clients[at], on, text, "0")
                    elif kind == "payment":
                        await payment(session, firm, text, on, client_id=clients[at].id)
                    else:
                        await expense(session, firm, on, text)
            period = {"startDate": "2025-12-01", "endDate": "2026-03-31"}
            result = await reports(database, tmp_path).process(
                ReportJob("financial", firmId=firm.id, **period)
            )
        content = content_of(result)
        expected = [cents["invoice"], cents["payment"], cents["expense"], cents["invoice"] - cents["expense"]]
        for lines in ([content], content["byMonth"], content["byClient"]):
            sums = [
                sum(Decimal(repr(line[name])) for line in lines)
                for name in ("revenue", "payments", "expenses", "netProfit")
            ]
            assert sums == [Decimal(each).scaleb(-2) for each in expected]

    asyncio.run(check())
