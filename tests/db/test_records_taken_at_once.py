"""Several transactions want the same record at the same time: one gets it, and nobody is told a wrong reason."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.records import NOW, add_firm
from tests.support.report_jobs import ReportJob, files_in, reports

from toril.db.models import BulkSend, CampaignSend, Report, ReportStatus, SendStatus
from toril.db.repositories.mail import BulkSends, Campaigns
from toril.db.repositories.mail_events import MailEvents
from toril.db.session import Database
from toril.errors import TorilError
from toril.queues.email.database_ledger import DatabaseLedger
from toril.queues.email.ledger import Outcome
from toril.queues.report.saved import SavedReports

BOUNCE = {"bounce": {"type": "Permanent", "message": "no such mailbox"}}


async def test_of_two_jobs_that_want_one_report_one_gets_it(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        waiting = [Report(firm_id=firm.id, type="client-aging") for _ in range(8)]
        session.add_all(waiting)
    queue = reports(database, tmp_path)

    for number, report in enumerate(waiting):
        jobs = [
            ReportJob("client-aging", id=f"{number}-{one}", firmId=firm.id, reportId=report.id)
            for one in range(3)
        ]
        results = await asyncio.gather(*(queue.process(job) for job in jobs), return_exceptions=True)
        made = [result for result in results if isinstance(result, dict)]
        refused = [result for result in results if isinstance(result, TorilError)]
        assert (len(made), len(refused)) == (1, 2), results
        assert all("another type or job" in str(error) for error in refused)
    assert len(files_in(tmp_path)) == len(waiting)
    async with database.reading() as session:
        found = (await session.scalars(select(Report))).all()
    assert {report.status for report in found} == {ReportStatus.READY}


async def test_a_run_that_was_overtaken_says_nothing_of_the_report(
    database: Database, tmp_path: Path
) -> None:
    """It stood still, its worker's lock ran out, and another run of the same job has begun, or even ended."""
    queue = reports(database, tmp_path)
    async with database.session() as session:
        firm = await add_firm(session)
        report = Report(firm_id=firm.id, type="client-aging")
        session.add(report)
    job = ReportJob("client-aging", firmId=firm.id, reportId=report.id)
    saved = queue_saved(database)
    payload = queue.types["client-aging"].payload(firm_id=firm.id, report_id=report.id)
    overtaken = await saved.begin(payload, job, type="client-aging", name="")
    await queue.process(job)

    await saved.fail(overtaken, job, OSError("the disk of the worker that stood still is full"))

    async with database.reading() as session:
        found = await session.get_one(Report, report.id)
    assert (found.status, found.error) == (ReportStatus.READY, None)


def queue_saved(database: Database) -> SavedReports:
    return SavedReports(database, lambda: NOW)


async def test_jobs_that_begin_one_campaign_mail_at_once_all_find_it(database: Database) -> None:
    ledger = DatabaseLedger(database)
    for number in range(12):
        one = (f"c-{number}", "sara@client.example")
        begun = await asyncio.gather(
            *(ledger.begin_campaign(*one, tracking_id=f"t-{number}") for _ in range(8))
        )
        assert sum(each.is_new for each in begun) == 1
        assert len({each.id for each in begun}) == 1


async def test_jobs_that_store_the_same_rows_in_other_orders_do_not_wait_for_ever(database: Database) -> None:
    emails = [f"{at}@client.example" for at in range(3000)]

    async def store(some: list[str]) -> int:
        async with database.session() as session:
            return len(await BulkSends(session).begin("email:1:0", some))

    stored = await asyncio.gather(*(store(emails if at % 2 else emails[::-1]) for at in range(4)))
    assert sum(stored) == len(emails)


async def bounced(database: Database, message_id: str, event_id: str) -> None:
    async with database.session() as session:
        await MailEvents(session).receive(
            {
                "event_id": event_id,
                "type": "email.bounced",
                "message_id": message_id,
                "recipient": "sara@client.example",
                "details": BOUNCE,
                "at": NOW,
            }
        )


async def statuses(database: Database) -> list[tuple[SendStatus, str | None]]:
    async with database.reading() as session:
        sends = [
            *(await session.scalars(select(BulkSend))),
            *(await session.scalars(select(CampaignSend))),
        ]
    return [(send.status, send.error) for send in sends]


FAILED = (SendStatus.FAILED, "email.bounced: no such mailbox")


@pytest.mark.parametrize("first", ["the bounce", "the note that it was sent"])
async def test_a_bounce_is_noted_whenever_it_comes(database: Database, first: str) -> None:
    ledger = DatabaseLedger(database)
    record = await ledger.begin_campaign("c-1", "sara@client.example", tracking_id="t-1")

    async def sent() -> None:
        await ledger.finish_campaign(record.id, Outcome(message_id="m-1"))
        await ledger.record("email:1:0", {"sara@client.example": Outcome(message_id="m-2")})
        async with database.session() as session:
            await BulkSends(session).finish("email:2:0", "sara@client.example", message_id="m-3")

    async def told() -> None:
        for number in (1, 2, 3):
            await bounced(database, f"m-{number}", f"e-{number}")

    for step in (told, sent) if first == "the bounce" else (sent, told):
        await step()
    assert await statuses(database) == [FAILED] * 3


async def test_a_bounce_that_comes_while_the_mail_is_noted_is_not_lost(database: Database) -> None:
    ledger = DatabaseLedger(database)
    names = [f"m-{number}" for number in range(40)]

    async def sent(message_id: str) -> None:
        await ledger.record("email:1:0", {message_id: Outcome(message_id=message_id)})

    await asyncio.gather(
        *(step for name in names for step in (sent(name), bounced(database, name, f"e-{name}")))
    )
    assert await statuses(database) == [FAILED] * len(names)


async def test_a_bounce_of_another_mail_changes_nothing(database: Database) -> None:
    async with database.session() as session:
        send, _ = await Campaigns(session).begin("c-1", "sara@client.example", tracking_id="t-1")
    await bounced(database, "m-other", "e-1")
    async with database.session() as session:
        await Campaigns(session).finish(send.id, now=NOW + timedelta(hours=1), message_id="m-1")
    assert await statuses(database) == [(SendStatus.SENT, None)]
