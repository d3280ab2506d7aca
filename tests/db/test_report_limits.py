"""Statements that take too long are stopped, and what comes after them works."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.records import add_firm
from tests.support.report_jobs import ReportJob, files_in, reports
from tests.support.report_ledger import add_books

from toril.db.session import Database
from toril.queues.report.queries.calendar import dialect_of
from toril.queues.report.queries.limits import QueryTooSlowError, time_limit

#: Never end by themselves.
ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(1000)",
}


async def test_a_statement_is_stopped_when_its_time_is_over(database: Database) -> None:
    with pytest.raises(QueryTooSlowError, match=r"longer than 0\.05 s"):
        async with database.reading() as session, time_limit(session, 0.05):
            await session.execute(text(ENDLESS[dialect_of(session)]))
    async with database.reading() as session, time_limit(session, 30):
        assert await session.scalar(text("SELECT 1")) == 1


async def test_the_limit_ends_with_its_transaction(database: Database) -> None:
    async with database.reading() as session, time_limit(session, 0.05):
        await session.execute(text("SELECT 1"))
    async with database.reading() as session:
        if dialect_of(session) == "postgresql":
            await session.execute(text("SELECT pg_sleep(0.2)"))
        else:
            await session.execute(text(ENDLESS["sqlite"].replace("FROM n)", "FROM n LIMIT 3000000)")))


async def test_other_errors_stay_what_they_are(database: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)syntax error"):
        async with database.reading() as session, time_limit(session, 30):
            await session.execute(text("SELEC 1"))


async def test_a_report_that_is_too_slow_fails_for_good_and_says_what_to_do(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "toril.queues.report.custom.selection",
        lambda *_, dialect, **__: text(ENDLESS[dialect]),
    )
    async with database.session() as session:
        firm = await add_firm(session)
    job = ReportJob("custom", firmId=firm.id, name="Slow", query={"source": "invoices"})
    with pytest.raises(QueryTooSlowError, match="ask for a shorter period, or narrow it with filters"):
        await reports(database, tmp_path, query_timeout=0.05).process(job)


async def test_an_export_that_is_stopped_leaves_nothing_and_holds_nobody_up(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toril.queues.report.export.CHUNK", 1)
    async with database.session() as session:
        firm, _, _ = await add_books(session)
    for format in ("csv", "json", "xlsx", "parquet"):
        began = asyncio.Event()

        class Stopping(ReportJob):
            async def update_progress(self, progress: object, began: asyncio.Event = began) -> None:
                if progress:
                    began.set()
                    await asyncio.Event().wait()

        job = Stopping("data-export", firmId=firm.id, exportType="invoices", format=format)
        task = asyncio.create_task(reports(database, tmp_path).process(job))
        await began.wait()
        task.cancel("shutdown")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert files_in(tmp_path) == []
    async with database.session() as session:  # writes at once
        await add_firm(session)
