"""Days of a bank account that were left out are read later, and no date in an answer stops an account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.integration.test_sync_bank import World, world  # noqa: F401 - a fixture
from tests.support.sync_jobs import ON_SQLITE, StoredJob

from toril.testing.vendors.lean import transaction


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
