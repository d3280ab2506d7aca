"""Whatever a report job asks for, it learns nothing of another firm and changes nothing there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.records import add_client, add_user
from tests.support.report_jobs import PdfJobs, ReportJob, files_in, reports
from tests.support.report_ledger import add_books, case, invoice, worked

from toril.db.base import Base
from toril.db.ids import new_id
from toril.db.models import Client, Firm, Report, User
from toril.db.session import Database
from toril.errors import UnrecoverableError

SECRET = "SECRET"
PERIOD = {"startDate": "2026-01-01", "endDate": "2026-12-31"}

#: What each type is asked with, beside the firm.
ASKED: dict[str, dict[str, Any]] = {
    "financial": PERIOD,
    "analytics": PERIOD,
    "time-utilization": PERIOD,
    "client-aging": {},
    "custom": {
        "name": "All",
        "query": {"source": "invoices", "columns": ["number", "total", "clientId", "clientName"]},
    },
    "data-export": {"exportType": "invoices", "format": "json"},
}


async def two_firms(database: Database) -> tuple[Firm, Firm, Client, User]:
    """A firm, and another one whose every name is a secret, with a client and a user of the latter."""
    async with database.session() as session:
        own, _, _ = await add_books(session)
        await worked(session, own, await add_user(session, own, name="Sara"), "2026-02-01", 30)
        other, amal, badr = await add_books(session)
        other.name_ar = other.name_en = amal.name = badr.name = SECRET
        client = await add_client(session, other, name=SECRET)
        await invoice(session, other, client, "2026-02-01", "7777777", "0", number=SECRET)
        await case(session, other, client, title=SECRET)
        user = await add_user(session, other, name=SECRET)
        await worked(session, other, user, "2026-02-01", 77, description=SECRET)
    return own, other, client, user


async def everything_of(database: Database, firm: Firm) -> dict[str, list[Any]]:
    """All rows of a firm, table by table."""
    tables = [table for table in Base.metadata.sorted_tables if "firm_id" in table.c]
    async with database.reading() as session:
        found = {
            table.name: sorted(
                map(tuple, await session.execute(select(table).where(table.c.firm_id == firm.id))), key=repr
            )
            for table in tables
        }
        found["firms"] = [tuple(row) for row in await session.execute(
            select(Firm.__table__).where(Firm.id == firm.id)
        )]  # fmt: skip
    return found


def all_written(folder: Path) -> str:
    return "".join(path.read_text("utf-8-sig") for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("type", ASKED)
async def test_a_report_tells_nothing_of_another_firm(type: str, database: Database, tmp_path: Path) -> None:
    own, other, client, user = await two_firms(database)
    before = await everything_of(database, other)
    pdfs = PdfJobs()
    queue = reports(database, tmp_path / "files", add_job=pdfs.add)

    formats = ["json", "pdf"] if type != "data-export" else ["json", "csv", "pdf"]
    told = ""
    for at, format in enumerate(formats):
        job = ReportJob(type, id=str(at), firmId=own.id, **{**ASKED[type], "format": format})
        told += f"{await queue.process(job)} {job.rows} {job.progress}"

    told += all_written(tmp_path / "files") + repr(pdfs.added)
    assert own.id in told
    for foreign in (SECRET, other.id, client.id, user.id, "7777777"):
        assert foreign not in told
    assert await everything_of(database, other) == before


@pytest.mark.parametrize("type", ASKED)
async def test_a_report_of_another_firm_is_as_good_as_none(
    type: str, database: Database, tmp_path: Path
) -> None:
    own, other, _, _ = await two_firms(database)
    async with database.session() as session:
        theirs = Report(firm_id=other.id, type=type, name=SECRET)
        session.add(theirs)
    before = await everything_of(database, other)
    queue = reports(database, tmp_path / "files")
    said = []
    for report_id in (theirs.id, unknown := new_id()):
        with pytest.raises(UnrecoverableError) as caught:
            await queue.process(ReportJob(type, firmId=own.id, reportId=report_id, **ASKED[type]))
        said.append(str(caught.value))
    assert said[0] == f"report '{theirs.id}': not found or access denied"
    assert said[0].replace(theirs.id, unknown) == said[1]
    assert await everything_of(database, other) == before
    assert (await everything_of(database, own))["reports"] == []
    assert files_in(tmp_path / "files") == []


@pytest.mark.parametrize("type", ASKED)
async def test_a_firm_that_is_not_there_is_not_found(type: str, database: Database, tmp_path: Path) -> None:
    job = ReportJob(type, firmId="0" * 24, **ASKED[type])
    with pytest.raises(UnrecoverableError, match=r"firm '0{24}': not found or access denied"):
        await reports(database, tmp_path / "files").process(job)
    assert files_in(tmp_path / "files") == []


async def test_ids_of_another_firm_find_nothing(database: Database, tmp_path: Path) -> None:
    own, other, client, user = await two_firms(database)
    queue = reports(database, tmp_path / "files")

    async def rows(filters: list[dict[str, Any]]) -> list[Any]:
        query = {"source": "invoices", "columns": ["number", "clientName"], "filters": filters}
        job = ReportJob("custom", id=new_id(), firmId=own.id, name="Mine", query=query)
        found: list[Any] = (await queue.process(job))["rows"]
        return found

    assert await rows([{"column": "clientId", "value": client.id}]) == []
    assert await rows([{"column": "clientName", "operator": "contains", "value": SECRET}]) == []
    exported = ReportJob(
        "data-export", firmId=own.id, exportType="cases", format="csv", filters={"clientId": [client.id]}
    )
    assert (await queue.process(exported))["recordCount"] == 0
    said = []
    for staff_id in (user.id, unknown := new_id()):
        with pytest.raises(UnrecoverableError) as caught:
            await queue.process(ReportJob("time-utilization", firmId=own.id, staffIds=[staff_id], **PERIOD))
        said.append(str(caught.value))
    assert said[0].replace(user.id, unknown) == said[1]
    assert other.id not in said[0]
