"""Days of a bank account that were left out are read later, and no date in an answer stops an account."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from tests.integration.test_sync_bank import World, world  # noqa: F401 - a fixture
from tests.support.sync_jobs import ON_SQLITE, StoredJob

from toril.errors import PayloadError
from toril.queues.sync.access.firms import FirmAccess
from toril.queues.sync.lean.client import Lean
from toril.queues.sync.lean.processor import BankReader
from toril.queues.sync.payloads import BankSync
from toril.testing.vendors.lean import APP_TOKEN, CLIENT_ID, CLIENT_SECRET, transaction


def days_ago(days: int) -> str:
    return (datetime.now(UTC).date() - timedelta(days=days)).isoformat()


async def first_day_asked(world: World) -> str:  # noqa: F811
    await world.run(startDate=None, endDate=None)
    return world.server.requests[-1].query["start_date"]


async def test_days_between_two_periods_are_read_by_the_next_job(world: World) -> None:  # noqa: F811
    await world.run(startDate=days_ago(120), endDate=days_ago(60))
    await world.run(startDate=days_ago(10), endDate=days_ago(5))
    assert (await world.account()).synced_until == datetime.now(UTC).date() - timedelta(days=60)
    assert await first_day_asked(world) == days_ago(67)
    assert (await world.account()).synced_until == datetime.now(UTC).date()


@ON_SQLITE
async def test_a_period_that_touches_the_last_one_moves_the_day(world: World) -> None:  # noqa: F811
    await world.run(startDate=days_ago(120), endDate=days_ago(60))
    await world.run(startDate=days_ago(59), endDate=days_ago(20))
    assert await first_day_asked(world) == days_ago(27)


@ON_SQLITE
async def test_a_first_job_for_a_few_days_does_not_leave_out_those_before(world: World) -> None:  # noqa: F811
    await world.run(startDate=days_ago(3), endDate=days_ago(1))
    assert (await world.account()).synced_until is None
    assert await first_day_asked(world) == days_ago(90)


@ON_SQLITE
async def test_an_older_period_does_not_move_the_day_back(world: World) -> None:  # noqa: F811
    await world.run(startDate=days_ago(120), endDate=days_ago(20))
    await world.run(startDate=days_ago(120), endDate=days_ago(100))
    assert await first_day_asked(world) == days_ago(27)


@ON_SQLITE
@pytest.mark.parametrize(
    ("at", "start", "end", "asked"),
    [
        # Half past midnight in Riyadh; Lean has the day before.
        ("2026-03-09T21:30", "2026-03-10", None, ("2026-03-09", "2026-03-09")),
        ("2026-03-09T21:30", "2026-03-10", "2026-03-10", ("2026-03-09", "2026-03-09")),
        ("2026-03-09T21:30", "2026-03-01", "2026-03-10", ("2026-03-01", "2026-03-09")),
        ("2026-03-09T21:30", "2026-03-09T21:10:00Z", None, ("2026-03-09", "2026-03-09")),
        ("2026-02-28T23:59", "2026-03-01", None, ("2026-02-28", "2026-02-28")),  # a month's edge
        ("2026-03-10T00:00", "2026-03-10", None, ("2026-03-10", "2026-03-10")),
        ("2026-03-09T20:59", "2026-03-10", None, None),  # nowhere a day yet
        ("2026-03-09T21:30", "2026-03-11", None, None),
    ],
)
async def test_the_firms_day_is_read_before_it_has_begun_at_lean(
    world: World,  # noqa: F811
    at: str,
    start: str,
    end: str | None,
    asked: tuple[str, str] | None,
) -> None:
    """In the first three hours after midnight in Riyadh it is yesterday by UTC."""
    lean = Lean(CLIENT_ID, CLIENT_SECRET, APP_TOKEN, base_url=world.server.url, auth_url=world.server.url)
    reader = BankReader(
        world.database,
        FirmAccess(database=world.database, clients=None),
        lean,
        clock=lambda: datetime.fromisoformat(at).replace(tzinfo=UTC),
    )
    payload = BankSync.model_validate(
        {"firmId": world.firm_id, "bankAccountId": world.account_id, "startDate": start, "endDate": end}
    )
    try:
        if asked is None:
            with pytest.raises(PayloadError, match=f"startDate: {start} is after"):
                await reader(payload, StoredJob())
            return
        await world.change(synced_until=date.fromisoformat(asked[0]) - timedelta(days=1))
        result = await reader(payload, StoredJob())
    finally:
        await lean.close()
    query = world.server.requests[-1].query
    assert (query["start_date"], query["end_date"]) == (result["startDate"], result["endDate"]) == asked
    assert (await world.account()).synced_until == date.fromisoformat(asked[1])


@pytest.mark.parametrize("edge", ["0001-01-01T00:00:00+03:00", "9999-12-31T23:59:59-03:00", "0001-01-01"])
async def test_a_date_at_the_edge_of_the_calendar_costs_one_transaction(world: World, edge: str) -> None:  # noqa: F811
    world.bank.transactions = [transaction(1, booking_date_time=edge), transaction(2)]
    job = StoredJob()
    result = await world.run(job)
    assert (result["syncedCount"], result["skippedCount"]) == (1, 1)
    assert "when it was booked" in job.rows[0]


async def test_a_transaction_in_dinars_keeps_its_third_decimal(world: World) -> None:  # noqa: F811
    money = {"amount": {"amount": 1.234, "currency": "KWD"}}
    world.bank.transactions = [transaction(1, **money)]
    assert (await world.run())["syncedCount"] == 1
    assert (await world.rows())["T-1"].amount == Decimal("1.234")
