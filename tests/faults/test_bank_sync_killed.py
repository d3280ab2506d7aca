"""A worker killed while it reads a bank's pages: started again, every transaction is there exactly once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.databases import KINDS, Databases
from tests.support.email_jobs import until
from tests.support.processes import module_process
from tests.support.records import add_firm

from toril.db.models.banking import AccountStatus, BankAccount, BankTransaction
from toril.db.session import Database
from toril.engine.queue import Queue
from toril.queues.registry import open_queue
from toril.queues.sync.definition import Vendors, sync_queue
from toril.testing.vendors.lean import ACCOUNT, ENTITY, LeanBank, transaction
from toril.testing.vendors.server import Reply, VendorRequest, vendor_server

ROOT = Path(__file__).parents[2]
PAGES, LAST = 12, 37  #: pages of a hundred, and what the last one has
NUMBER = (PAGES - 1) * 100 + LAST


class Lean:
    """The service; it can keep one page back for as long as somebody wants."""

    def __init__(self) -> None:
        self.bank = LeanBank([transaction(number) for number in range(NUMBER)])
        self.held_page = -1
        self.asked: list[int] = []

    async def answer(self, request: VendorRequest) -> Reply:
        if "page" in request.query:
            self.asked.append(int(request.query["page"]))
            if self.asked[-1] == self.held_page:
                await asyncio.Event().wait()  # until the client goes
        return self.bank.answer(request)


#: A worker process that is ready; killed at the end.
worker = partial(module_process, "tests.support.sync_worker")


@pytest.fixture(params=KINDS)
async def database_url(request: pytest.FixtureRequest, databases: Databases) -> str:
    return await databases.fresh(request.param)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as opened:
        yield opened


@pytest.fixture
async def account(database: Database) -> BankAccount:
    async with database.session() as session:
        firm = await add_firm(session)
        made = BankAccount(
            firm_id=firm.id, name="Main", provider_account_id=ACCOUNT, provider_entity_id=ENTITY
        )
        session.add(made)
    return made


@pytest.fixture
async def url(start_server: Any) -> str:
    return str(start_server("valkey").url)


@pytest.fixture
async def queue(database: Database, url: str, prefix: str) -> AsyncIterator[Queue]:
    definition = sync_queue(database=database, vendors=Vendors(rates=()))
    async with open_queue(definition, url=url, prefix=prefix) as opened:
        yield opened


async def stored(database: Database) -> Counter[str]:
    async with database.reading() as session:
        return Counter(await session.scalars(select(BankTransaction.provider_transaction_id)))


@pytest.mark.parametrize("held", [True, False], ids=["while it waits for a page", "while it stores one"])
async def test_every_transaction_is_there_exactly_once(
    database: Database,
    database_url: str,
    account: BankAccount,
    queue: Queue,
    url: str,
    prefix: str,
    held: bool,
) -> None:
    lean = Lean()
    async with vendor_server(lean.answer) as server:
        arguments = (url, prefix, database_url, server.url)
        data = {"firmId": account.firm_id, "bankAccountId": account.id,
                "startDate": "2026-02-01", "endDate": "2026-02-28"}  # fmt: skip
        lean.held_page = 5 if held else 6  # so that a test that is slow to kill meets it at work, too
        async with worker(*arguments) as process:
            job = await queue.add("__default__", {"type": "bank-transactions", "data": data})
            await until(lambda: 5 in lean.asked, within_s=60)
            process.kill()
            await process.wait()
        assert await job.state() == "active"
        before = await stored(database)
        assert 400 <= before.total() < NUMBER
        assert set(before.values()) == {1}

        lean.held_page, first = -1, len(lean.asked)
        async with worker(*arguments):
            result = await job.result(timeout=60)
    assert await stored(database) == Counter(f"T-{number}" for number in range(NUMBER))
    assert (result["success"], result["totalTransactions"], result["skippedCount"]) == (True, NUMBER, 0)
    # It went on where it was, and did not begin again.
    assert lean.asked[first] >= 4
    assert lean.asked[first:] == list(range(lean.asked[first], PAGES))
    async with database.reading() as session:
        synced = await session.get_one(BankAccount, account.id)
    assert (synced.status, str(synced.synced_until)) == (AccountStatus.CONNECTED, "2026-02-28")
