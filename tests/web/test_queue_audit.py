"""Entries of the audit log that come together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.databases import KINDS, Databases

from toril.db.errors import DatabaseSchemaError
from toril.db.models import AuditEntry
from toril.db.session import Database
from toril.web.audit_batches import AuditBatches

USER = "507f1f77bcf86cd799439011"


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[Database]:
    async with Database(await databases.fresh(request.param)) as opened:
        yield opened


def row(target: str, **details: Any) -> dict[str, Any]:
    return {
        "user_id": USER,
        "firm_id": None,
        "action": "job.add",
        "target": target,
        "details": details,
        "address": None,
    }


async def targets(database: Database) -> list[str | None]:
    async with database.reading() as session:
        return list((await session.scalars(select(AuditEntry.target).order_by(AuditEntry.target))).all())


async def test_each_is_stored_when_its_write_returns(database: Database) -> None:
    batches = AuditBatches(database)

    async def write(number: int) -> None:
        await batches.write(row(f"job-{number:03}"))
        assert f"job-{number:03}" in await targets(database)

    await asyncio.gather(*map(write, range(30)))
    await asyncio.gather(*(batches.write(row(f"job-{number:03}")) for number in range(30, 500)))
    assert await targets(database) == [f"job-{number:03}" for number in range(500)]


async def test_one_that_cannot_be_stored_takes_no_other_with_it(database: Database) -> None:
    batches = AuditBatches(database)
    rows = [row("good-1"), row("bad") | {"user_id": "nobody"}, row("good-2")]
    results = await asyncio.gather(*map(batches.write, rows), return_exceptions=True)
    assert results[0] is results[2] is None
    assert isinstance(results[1], Exception)
    assert await targets(database) == ["good-1", "good-2"]


async def test_nothing_is_taken_for_stored_in_a_database_without_tables(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/empty.db") as database:
        batches = AuditBatches(database)
        writes = [batches.write(row("a")), batches.write(row("b"))]
        results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseSchemaError] * 2
