"""Jobs of the type bank-transactions: all pages, each row once, going on where an attempt stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.email_jobs import PlainJob
from tests.support.records import add_firm
from tests.support.sync_jobs import ON_SQLITE, OTHER_FIRM, StoredJob, run

from toril.db.errors import RecordNotFoundError
from toril.db.models.banking import AccountStatus, BankAccount, BankTransaction
from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, UnrecoverableError
from toril.queues.base import QueueDefinition
from toril.queues.sync.definition import Vendors, sync_queue
from toril.queues.sync.lean.client import ConsentExpiredError, Lean
from toril.testing.vendors.lean import (
    ACCOUNT,
    APP_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    ENTITY,
    LeanBank,
    failed,
    transaction,
)
from toril.testing.vendors.server import HTML, Reply, VendorServer, vendor_server

DAYS = {"startDate": "2026-02-01", "endDate": "2026-02-28"}


class World:
    """A firm's account, and its bank behind Lean."""

    def __init__(self, database: Database, server: VendorServer, bank: LeanBank) -> None:
        self.database, self.server, self.bank = database, server, bank
        self.firm_id = self.account_id = ""
        self.mono = 0.0
        self.queue = self.open()

    def open(self, **options: Any) -> QueueDefinition:
        credentials = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "app_token": APP_TOKEN,
        } | options
        lean = Lean(
            **credentials,
            base_url=self.server.url,
            auth_url=self.server.url,
            total_timeout=5,
            mono=lambda: self.mono,
        )
        return sync_queue(database=self.database, vendors=Vendors(rates=(), lean=lean))

    async def run(self, job: PlainJob | None = None, **changes: Any) -> dict[str, Any]:
        data = {"firmId": self.firm_id, "bankAccountId": self.account_id, **DAYS} | changes
        return await run(self.queue, "bank-transactions", data, job=job)

    async def rows(self) -> dict[str, BankTransaction]:
        async with self.database.reading() as session:
            found = await session.scalars(select(BankTransaction))
            return {row.provider_transaction_id: row for row in found}

    async def account(self) -> BankAccount:
        async with self.database.reading() as session:
            return await session.get_one(BankAccount, self.account_id)

    async def change(self, **values: Any) -> None:
        async with self.database.session() as session:
            account = await session.get_one(BankAccount, self.account_id)
            for name, value in values.items():
                setattr(account, name, value)

    def asked(self) -> list[str]:
        """The pages that were asked for, and other paths."""
        return [
            request.query.get("page", request.path)
            for request in self.server.requests
            if request.path != "/oauth2/token"
        ]


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    bank = LeanBank()
    async with vendor_server(bank.answer) as server:
        made = World(database, server, bank)
        async with database.session() as session:
            firm = await add_firm(session)
            account = BankAccount(
                firm_id=firm.id, name="Main", provider_account_id=ACCOUNT, provider_entity_id=ENTITY
            )
            session.add(account)
        made.firm_id, made.account_id = firm.id, account.id
        yield made
        await made.queue.close()


async def test_a_transaction_is_stored_with_all_that_the_bank_says(world: World) -> None:
    world.bank.transactions = [transaction(1)]
    job = StoredJob()
    assert await world.run(job) == {
        "success": True,
        "syncedCount": 1,
        "totalTransactions": 1,
        "skippedCount": 0,
        "startDate": "2026-02-01",
        "endDate": "2026-02-28",
    }
    row = (await world.rows())["T-1"]
    assert (row.direction, row.amount, row.currency, row.balance) == (
        "debit", Decimal("18.50"), "SAR", Decimal("900.10")
    )  # fmt: skip
    assert row.booked_at == datetime(2026, 2, 28, 22, 11, 12, tzinfo=UTC)
    assert row.booked_on == date(2026, 3, 1)  # in Riyadh
    assert (row.description, row.reference, row.category, row.payee) == ("POS COFFEE", "R-1", "FOOD", "Cafe")
    assert (row.settled, row.job_id, row.firm_id) == (True, "1", world.firm_id)
    assert row.raw is not None
    assert row.raw["insights"]["description_cleansed"] == "Coffee"
    asked = world.server.requests[-1]
    assert (asked.query["start_date"], asked.query["end_date"]) == ("2026-02-01", "2026-02-28")
    account = await world.account()
    assert (account.status, account.synced_until) == ("connected", date(2026, 2, 28))
    assert account.synced_at is not None
    assert job.progress == 100


async def test_all_pages_are_read_and_a_second_run_stores_nothing_twice(world: World) -> None:
    world.bank.transactions = [transaction(number) for number in range(250)]
    result = await world.run()
    assert (result["syncedCount"], result["totalTransactions"]) == (250, 250)
    assert world.asked() == ["0", "1", "2"]
    world.bank.transactions[7] = transaction(7, transaction_information="POS COFFEE, corrected")
    result = await world.run()
    assert (result["syncedCount"], result["totalTransactions"]) == (0, 250)
    rows = await world.rows()
    assert len(rows) == 250
    assert rows["T-7"].description == "POS COFFEE, corrected"
    assert world.bank.tokens == 1


async def test_a_retry_goes_on_with_the_page_that_was_stored_last(world: World) -> None:
    world.bank.transactions = [transaction(number) for number in range(450)]
    job = StoredJob()
    world.server.script += ["work", "work", "work", Reply(503), "work"]
    with pytest.raises(RetryableError):
        await world.run(job)
    assert len(await world.rows()) == 200
    result = await world.run(job)
    assert (result["syncedCount"], result["totalTransactions"]) == (450, 450)
    assert world.asked() == ["0", "1", "2", "1", "2", "3", "4"]
    assert len(await world.rows()) == 450


async def test_progress_of_a_job_for_other_days_does_not_count(world: World) -> None:
    world.bank.transactions = [transaction(number) for number in range(250)]
    job = StoredJob()
    world.server.script += ["work", "work", Reply(503)]
    with pytest.raises(RetryableError):
        await world.run(job)
    assert (await world.run(job, startDate="2026-02-02"))["totalTransactions"] == 250
    job.progress = {"page": 7}
    assert (await world.run(job))["totalTransactions"] == 250


async def test_what_is_not_settled_may_change_and_vanish(world: World) -> None:
    pending = {"data": {"status": "PENDING"}}
    world.bank.transactions = [
        transaction(1),
        transaction(2, transaction_mutability="MUTABLE"),
        transaction(3, regional_data=pending),
        transaction(4, regional_data={"data": {"status": "REJECTED"}}),
    ]
    assert (await world.run())["syncedCount"] == 3
    rows = await world.rows()
    assert {name: row.settled for name, row in rows.items()} == {"T-1": True, "T-2": False, "T-3": False}
    world.bank.transactions = [transaction(2)]  # settled now; the settled first one is only not reported
    await world.run()
    assert {name: row.settled for name, row in (await world.rows()).items()} == {"T-1": True, "T-2": True}


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": {"amount": "x", "currency": "SAR"}}, "its amount is 'x'"),
        ({"amount": {"amount": 1.005, "currency": "SAR"}}, r"its amount is '1\.005'"),
        ({"amount": {"amount": 1.0005, "currency": "KWD"}}, r"its amount is '1\.0005'"),
        ({"amount": {"amount": 1.5, "currency": "JPY"}}, r"its amount is '1\.5'"),
        ({"amount": {"amount": 1}}, "no currency"),
        ({"amount": None}, "its amount is 'None'"),
        ({"credit_debit_indicator": "UNSUPPORTED"}, "neither credit nor debit"),
        ({"booking_date_time": "soon"}, "when it was booked"),
        ({"transaction_id": "x" * 129}, "no id"),
    ],
)
async def test_a_transaction_that_cannot_be_kept_is_told_and_the_rest_stored(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    world.bank.transactions = [transaction(1) | changes, transaction(2)]
    job = StoredJob()
    result = await world.run(job)
    assert (result["syncedCount"], result["totalTransactions"], result["skippedCount"]) == (1, 2, 1)
    assert len(job.rows) == 1
    assert reason.replace("\\", "") in job.rows[0]


async def test_strange_texts_are_kept_as_well_as_a_database_can(world: World) -> None:
    world.bank.transactions = [transaction(1, transaction_information="a\0b", transaction_reference="\ud800")]
    await world.run()
    row = (await world.rows())["T-1"]
    assert (row.description, row.reference) == ("a\ufffdb", "?")


@ON_SQLITE
async def test_without_days_the_last_week_is_read_again(world: World) -> None:
    await world.change(synced_until=date(2026, 1, 20))
    await world.run(startDate=None, endDate=None)
    query = world.server.requests[-1].query
    assert query["start_date"] == "2026-01-13"
    assert query["end_date"] == datetime.now(UTC).date().isoformat()


@ON_SQLITE
async def test_a_token_is_used_until_it_is_about_to_end_and_renewed_once_when_it_is_refused(
    world: World,
) -> None:
    await world.run()
    world.mono = 3298.0
    await world.run()
    assert world.bank.tokens == 1
    world.mono = 3300.0
    await world.run()
    assert world.bank.tokens == 2
    world.bank.ended.add("jwt-2")
    await world.run()
    assert world.bank.tokens == 3


@ON_SQLITE
@pytest.mark.parametrize("wrong", ["client_secret", "app_token"])
async def test_refused_credentials_fail_at_once_and_are_not_shown(world: World, wrong: str) -> None:
    world.queue = world.open(**{wrong: "not-the-right-one"})
    with pytest.raises(NotConfiguredError, match="Check LEAN_CLIENT_ID") as caught:
        await world.run()
    assert "not-the-right-one" not in str(caught.value)


@ON_SQLITE
async def test_a_token_that_stays_refused_is_a_matter_of_configuration(world: World) -> None:
    world.bank.ended |= {f"jwt-{number}" for number in range(9)}
    with pytest.raises(NotConfiguredError) as caught:
        await world.run()
    assert world.bank.tokens == 2
    assert "jwt-" not in str(caught.value)


async def test_without_lean_the_job_says_what_to_set(world: World) -> None:
    await world.queue.close()
    world.queue = sync_queue(database=world.database, vendors=Vendors(rates=()))
    with pytest.raises(NotConfiguredError, match="set LEAN_CLIENT_ID, LEAN_CLIENT_SECRET and LEAN_APP_TOKEN"):
        await world.run()


async def test_a_consent_that_has_ended_is_noted_until_it_is_given_again(world: World) -> None:
    world.server.script += ["work", failed("", status="CONSENT_EXPIRED")]
    with pytest.raises(ConsentExpiredError, match="must be connected again"):
        await world.run()
    assert (await world.account()).status == "requires_reauth"
    await world.run()
    assert (await world.account()).status == "connected"


@ON_SQLITE
@pytest.mark.parametrize(
    ("step", "wait"),
    [
        pytest.param(Reply(429, {"message": "slow"}, {"retry-after": "9"}), 9, id="429"),
        pytest.param(Reply(502, b"<html>bad gateway</html>"), None, id="502"),
        pytest.param(Reply(409, {"message": "duplicate"}), 60, id="409"),
        pytest.param(failed("BANK_ISSUE"), None, id="the bank's trouble"),
        pytest.param(failed("BANK_MAINTENANCE"), 600, id="maintenance"),
        pytest.param(failed("DUPLICATED_REQUEST"), 60, id="duplicate"),
        pytest.param(Reply(200, {"status": "UNSUPPORTED"}), None, id="an unknown status"),
        pytest.param(HTML, None, id="a page"),
        pytest.param(Reply(200, b'{"status": "OK", "data": {'), None, id="cut JSON"),
        pytest.param(Reply(200, {"status": "OK", "data": []}), None, id="no page"),
        pytest.param(LeanBank().page(3), None, id="another page"),
        pytest.param("drop", None, id="connection cut"),
        pytest.param("cut", None, id="half an answer"),
    ],
)
async def test_a_passing_fault_is_tried_again(world: World, step: Reply | str, wait: float | None) -> None:
    world.bank.transactions = [transaction(1)]
    world.server.script += ["work", step]
    with pytest.raises(RetryableError) as caught:
        await world.run()
    if wait is not None:
        assert wait <= (caught.value.retry_after or 0) <= wait * 1.25
    assert (await world.account()).synced_at is None
    assert (await world.run())["syncedCount"] == 1


@ON_SQLITE
async def test_a_token_service_that_is_away_is_tried_again(world: World) -> None:
    world.server.script.append(Reply(503))
    with pytest.raises(RetryableError):
        await world.run()


@ON_SQLITE
@pytest.mark.parametrize(
    "step", [failed("ENTITY_NOT_FOUND"), failed("INVALID_PARAMETERS"), Reply(404), Reply(400)]
)
async def test_a_refusal_for_good_fails_at_once(world: World, step: Reply) -> None:
    world.server.script += ["work", step]
    with pytest.raises(UnrecoverableError):
        await world.run()


async def test_a_bank_that_answers_later_is_asked_for_the_result(world: World) -> None:
    world.bank.transactions = [transaction(1)]
    job = StoredJob()
    world.server.script += ["work", Reply(200, {"status": "PENDING", "results_id": "res-1"})]
    with pytest.raises(RetryableError, match="has not answered yet") as caught:
        await world.run(job)
    assert caught.value.retry_after == 30
    world.bank.results["res-1"] = world.bank.page(0)
    assert (await world.run(job))["syncedCount"] == 1
    assert world.asked() == ["0", "/data/v2/results/res-1"]


@ON_SQLITE
async def test_a_result_that_is_gone_is_asked_for_anew(world: World) -> None:
    world.bank.transactions = [transaction(1)]
    job = StoredJob()
    world.server.script += ["work", Reply(200, {"status": "PENDING", "results_id": "res-1"})]
    with pytest.raises(RetryableError):
        await world.run(job)
    assert (await world.run(job))["syncedCount"] == 1
    assert world.asked() == ["0", "/data/v2/results/res-1", "0"]


@ON_SQLITE
async def test_a_result_that_is_a_failure_is_not_asked_for_again(world: World) -> None:
    world.bank.transactions = [transaction(1)]
    job = StoredJob()
    pending = Reply(200, {"status": "PENDING", "results_id": "res-1"})
    world.server.script += ["work", pending, failed("BANK_ISSUE")]
    for _ in range(2):
        with pytest.raises(RetryableError):
            await world.run(job)
    world.bank.results["res-1"] = failed("BANK_ISSUE")
    assert (await world.run(job))["syncedCount"] == 1
    assert world.asked() == ["0", "/data/v2/results/res-1", "0"]


async def test_a_clock_that_goes_back_loses_no_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bank.transactions = [transaction(1, transaction_mutability="MUTABLE")]
    ahead = datetime.now(UTC) + timedelta(hours=3)
    job = StoredJob()
    world.server.script += ["work", Reply(200, {"status": "PENDING", "results_id": "res-1"})]
    with monkeypatch.context() as patch:
        patch.setattr("toril.queues.sync.lean.processor.utc_now", lambda: ahead)
        with pytest.raises(RetryableError):
            await world.run(job)
    assert (await world.run(job))["syncedCount"] == 1
    assert len(await world.rows()) == 1


async def test_another_firms_account_is_not_found_and_not_read(world: World) -> None:
    with pytest.raises(RecordNotFoundError, match="not found or access denied"):
        await world.run(firmId=OTHER_FIRM)
    assert not world.server.requests


@ON_SQLITE
@pytest.mark.parametrize(
    "values",
    [{"provider": "manual"}, {"provider_entity_id": None}, {"status": AccountStatus.DISCONNECTED}],
)
async def test_an_account_that_is_not_connected_is_not_asked_about(
    world: World, values: dict[str, Any]
) -> None:
    await world.change(**values)
    with pytest.raises(UnrecoverableError, match=r"connected"):
        await world.run()
    assert not world.server.requests


@ON_SQLITE
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"startDate": "yesterday"}, "startDate"),
        ({"startDate": 20260201}, "startDate"),
        ({"endDate": "2026-01-31"}, "endDate: is before startDate"),
        ({"endDate": "2026-02-01T00:00:00"}, "endDate"),
        ({"bankAccountId": ""}, "bankAccountId"),
        ({"firmId": None}, "firmId"),
        ({"from": "2026"}, "from"),
        ({"startDate": "2199-01-01", "endDate": None}, "startDate: 2199-01-01 is after"),
    ],
)
async def test_a_bad_payload_names_the_field(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(UnrecoverableError, match=field):
        await world.run(**changes)


@ON_SQLITE
async def test_days_may_come_as_javascript_writes_dates(world: World) -> None:
    days = {"startDate": "2026-02-01T00:00:00.000Z", "endDate": "2026-02-28T20:59:59.999Z"}
    result = await world.run(**days)
    assert (result["startDate"], result["endDate"]) == ("2026-02-01", "2026-02-28")
