"""Client aging: what is owed, in the right bucket."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from tests.support.records import add_client, add_firm
from tests.support.report_jobs import ReportJob, reports
from tests.support.report_ledger import invoice

from toril.db.models import InvoiceStatus
from toril.db.session import Database

TODAY = date(2026, 4, 1)  # in Riyadh; in UTC it is still the day before

#: Days overdue → bucket.
EDGES = {
    -400: "current", -1: "current", 0: "current", 1: "30", 30: "30", 31: "60", 60: "60", 61: "90", 90: "90",
    91: "90plus", 4000: "90plus",
}  # fmt: skip


async def test_each_invoice_is_in_the_bucket_of_its_days(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        for days in EDGES:
            client = await add_client(session, firm, name=f"{days} days")
            due = TODAY - timedelta(days=days)
            await invoice(session, firm, client, "2026-01-01", "100", "15", "14.99", due_date=due)

    summary = (await reports(database, tmp_path).process(ReportJob("client-aging", firmId=firm.id)))[
        "summary"
    ]

    found = {
        line["name"]: [bucket for bucket in summary["buckets"] if line[bucket]]
        for line in summary["byClient"]
    }
    assert found == {f"{days} days": [bucket] for days, bucket in EDGES.items()}
    counts = {bucket: list(EDGES.values()).count(bucket) for bucket in summary["buckets"]}
    assert {bucket: each["invoices"] for bucket, each in summary["buckets"].items()} == counts
    assert summary["asOf"] == "2026-04-01"


async def test_amounts_are_what_is_still_to_be_paid(database: Database, tmp_path: Path) -> None:
    """Against a list kept by hand: Amal owes 100.01 + 0.02 current and 1,150.00 since 45 days, Badr 33.33 since 91."""
    async with database.session() as session:
        firm = await add_firm(session)
        amal = await add_client(session, firm, name="Amal")
        badr = await add_client(session, firm, name="Badr")

        async def owe(
            client: object, days: int, net: str, vat: str, paid: str = "0", **values: object
        ) -> None:
            due = TODAY - timedelta(days=days)
            await invoice(session, firm, client, "2026-01-01", net, vat, paid, due_date=due, **values)  # type: ignore[arg-type]

        await owe(amal, 0, "86.97", "13.04")
        await owe(amal, -10, "1.02", "0.00", "1.00")
        await owe(amal, 45, "1000.00", "150.00", status=InvoiceStatus.OVERDUE)
        await owe(badr, 91, "133.33", "0.00", "100.00")
        # None of these is owed.
        await owe(badr, 5, "50", "7.50", "57.50")
        await owe(badr, 5, "50", "7.50", status=InvoiceStatus.DRAFT)
        await owe(badr, 5, "50", "7.50", status=InvoiceStatus.VOID)
        await owe(badr, 5, "50", "7.50", currency="EUR")
        other = await add_firm(session)
        await invoice(session, other, await add_client(session, other), "2026-01-01", "9", "0")

    result = await reports(database, tmp_path).process(ReportJob("client-aging", firmId=firm.id))

    summary = result["summary"]
    amounts = {bucket: each["amount"] for bucket, each in summary["buckets"].items()}
    assert amounts == {"current": 100.03, "30": 0, "60": 1150.00, "90": 0, "90plus": 33.33}
    assert (summary["total"], summary["invoices"], summary["otherCurrencies"]) == (1283.36, 4, ["EUR"])
    first, second = summary["byClient"]
    assert (first["name"], first["total"], first["current"], first["60"]) == (
        "Amal",
        1250.03,
        100.03,
        1150.00,
    )
    assert first["oldestDueDate"] == (TODAY - timedelta(days=45)).isoformat()
    assert (second["name"], second["total"], second["90plus"]) == ("Badr", 33.33, 33.33)
    assert sum(Decimal(repr(line["total"])) for line in (first, second)) == Decimal("1283.36")


async def test_a_firm_that_is_owed_nothing_has_empty_buckets(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)

    summary = (await reports(database, tmp_path).process(ReportJob("client-aging", firmId=firm.id)))[
        "summary"
    ]

    assert set(summary["buckets"]) == {"current", "30", "60", "90", "90plus"}
    assert all(each == {"invoices": 0, "amount": 0} for each in summary["buckets"].values())
    assert (summary["total"], summary["byClient"]) == (0, [])
