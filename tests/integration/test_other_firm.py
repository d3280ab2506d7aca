"""Every type of job that takes a firm, asked about another firm's records: it changes and reveals nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy import select, update

from toril.cli.demo.jobs import one_of_each
from toril.cli.demo.records import DemoRecords, prepare
from toril.cli.demo.services import DemoServices, demo_services
from toril.db.base import Base
from toril.db.models import Case, Client, Contract, Firm, User
from toril.db.repositories.notifications import PushSubscriptions
from toril.db.session import Database
from toril.errors import JobFailedError
from toril.installation import Installation, open_installation
from toril.queues.registry import make_worker
from toril.settings import Settings

#: Stands in every name of the firm that must not be seen.
MARK = "Cedar-4711"
OTHER = "0123456789abcdef01234567"

#: Types that name a record of the firm, and must refuse it.
REFUSED = {
    "in-app",
    "push",
    "whatsapp-messages",
    "bank-transactions",
    "payment-status",
    "zatca-invoice",
    "mudad-payment",
    "wathq-contract",
}
#: Types that name no record, and must answer with the asking firm's own; this one has nothing.
EMPTY = {"bulk-push", "financial", "analytics", "time-utilization", "client-aging", "custom", "data-export"}


@dataclass(frozen=True)
class TwoFirms:
    """An installation with a firm that has records, and one that has none and asks for the other's."""

    installation: Installation
    services: DemoServices
    records: DemoRecords
    home: Path

    async def rows(self) -> dict[str, list[str]]:
        """Everything that belongs to the first firm."""
        found = {}
        async with self.installation.database.reading() as session:
            for table in Base.metadata.sorted_tables:
                if "firm_id" in table.c:
                    wanted = select(table).where(table.c.firm_id == self.records.firm.id)
                    found[table.name] = sorted(map(repr, (await session.execute(wanted)).all()))
        return found

    def asked_about(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Data of a job of each type that takes a firm, with the asking firm's id and the other's records."""
        jobs = one_of_each(self.records, self.services, "7")
        jobs["report"]["financial"]["format"] = "json"
        jobs["report"]["data-export"]["format"] = "csv"
        for named in (jobs["notification"]["push"], *jobs["notification"]["bulk-push"]["users"]):
            del named["subscription"]  # all browsers of the user are meant
        return {
            (queue, type): data | {"firmId": OTHER}
            for queue, types in jobs.items()
            for type, data in types.items()
            if "firmId" in data and queue != "pdf"
        }

    async def work(self, queue_name: str, type: str, data: dict[str, Any]) -> tuple[bool, str]:
        """Work one job; whether it completed, and all that was said about it."""
        service = self.installation.service
        queue = service.queue(queue_name)
        added = await service.add_job(queue_name, {"type": type, "data": data})
        job = await queue.get_job(added["jobId"])
        assert job is not None
        async with make_worker(service.definitions[queue_name], queue):
            try:
                result = await job.result(60)
            except JobFailedError as error:
                job = await queue.get_job(job.id)
                assert job is not None
                assert job.attempts_made == 1, "another attempt cannot help"
                return False, f"{error} {job.stacktrace} {job.progress} {await queue.logs(job.id)}"
        return True, json.dumps(result, ensure_ascii=False)

    def kept(self, firm_id: str) -> str:
        """All that lies in a firm's folder, as text."""
        folder = self.home / "files" / firm_id
        return " ".join(path.read_text() for path in folder.rglob("*") if path.is_file())


@pytest_asyncio.fixture
async def firms(tmp_path: Path, server_url: str, prefix: str) -> AsyncIterator[TwoFirms]:
    home = tmp_path / "home"
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(None, home=home))
        await database.upgrade()
        records = await prepare(database, invoices=1, seed=1, run="2")
        async with database.session() as session:
            session.add(Firm(id=OTHER, name_ar="مكتب آخر", name_en="Another Firm"))
            for column in (Client.name, Case.title, Contract.counterparty_name, User.name):
                await session.execute(
                    update(column.class_)
                    .where(column.class_.firm_id == records.firm.id)
                    .values({column.key: MARK})
                )
        services = await stack.enter_async_context(demo_services(database, records, home=home))
        async with database.session() as session:
            for user, browser in zip(records.staff, services.browsers, strict=False):
                keys = browser.subscription["keys"]
                await PushSubscriptions(session).save(user_id=user.id, endpoint=browser.endpoint, **keys)
        settings = replace(Settings(home=home, redis_url=server_url, prefix=prefix), **services.settings)
        installation = await stack.enter_async_context(open_installation(settings))
        yield TwoFirms(installation, services, records, home)


async def test_another_firms_records_are_neither_changed_nor_shown(firms: TwoFirms) -> None:
    before = await firms.rows()
    asked = firms.asked_about()
    assert {type for _, type in asked} == REFUSED | EMPTY, "each type that takes a firm is tried"
    for (queue, type), data in asked.items():
        completed, said = await firms.work(queue, type, data)
        assert completed == (type in EMPTY), (type, said)
        assert MARK not in said, type
        if not completed:
            assert "not found or access denied" in said.lower(), (type, said)
    assert await firms.rows() == before
    assert MARK not in firms.kept(OTHER)
    for server in (firms.services.push.server, firms.services.webhook):
        assert not server.requests


async def test_the_mark_is_seen_by_its_own_firm(firms: TwoFirms) -> None:
    own = firms.asked_about()[("report", "data-export")] | {"firmId": firms.records.firm.id}
    completed, _ = await firms.work("report", "data-export", own)
    assert completed
    assert MARK in firms.kept(firms.records.firm.id)
