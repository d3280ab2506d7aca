"""What is asked again and again looks things up, however many rows there are; the databases explain how they would."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.records import NOW

from toril.db.ids import new_id
from toril.db.models import CampaignSend, ZatcaEnvironment
from toril.db.repositories import purge
from toril.db.repositories.audit import AuditLog
from toril.db.repositories.mail_events import MailEvents
from toril.db.repositories.reports import Files, Reports
from toril.db.repositories.whatsapp import WhatsAppInbox, WhatsAppMessages
from toril.db.repositories.zatca import ZatcaDocuments
from toril.db.session import Database
from toril.queues.cleanup.report_files import ReportFiles

FIRM = new_id()
BOUNCE = {
    "event_id": "e",
    "type": "email.bounced",
    "message_id": "m",
    "recipient": None,
    "details": {},
    "at": NOW,
}
LATER = NOW + timedelta(days=1)

Ask = Callable[[AsyncSession], Awaitable[Any]]

PURGES = [
    purge.expired_sessions, purge.spent_tokens, purge.read_notifications, purge.unread_notifications,
    purge.old_bulk_sends, purge.old_deliveries, purge.old_job_owners, purge.old_mail_events,
    purge.worked_deliveries, purge.old_campaign_sends, purge.old_reports,
]  # fmt: skip

ASKED: dict[str, Ask] = {
    "pending tax documents": lambda s: ZatcaDocuments(s).list_pending(
        environment=ZatcaEnvironment.PRODUCTION, tried_before=NOW, or_after=LATER
    ),
    "pending tax documents of all environments": lambda s: ZatcaDocuments(s).list_pending(
        environment=None, tried_before=NOW, or_after=LATER
    ),
    "a bounce": lambda s: MailEvents(s).receive(BOUNCE),
    "earlier bounces": lambda s: MailEvents(s).apply_earlier(CampaignSend, ["m"]),
    "a job's report": lambda s: Reports(s).find_of_job("j", firm_id=FIRM),
    "a job's files": lambda s: Files(s).list_of_job("pdf", "j", firm_id=FIRM),
    "old audit entries": lambda s: AuditLog(s).oldest_before(NOW),
    "waiting inboxes": lambda s: WhatsAppMessages(s).list_waiting(),
    "waiting deliveries": lambda s: WhatsAppInbox(s).claim("1"),
    **{make.__name__: lambda s, make=make: make(NOW).delete_batch(s) for make in PURGES},
    **{f"{make.__name__} counted": lambda s, make=make: make(NOW).count(s) for make in PURGES},
}

#: So few rows that looking through them is right.
SMALL = ("whatsapp_numbers", "unnest", "locks", "CTE", "VALUES", "CONSTANT")


async def plans(database: Database, statements: list[tuple[str, Any]]) -> list[str]:
    """How the database would carry them out, line by line."""
    async with database.session() as session:
        connection = await session.connection()
        if connection.dialect.name == "postgresql":
            # The tables are empty, and looking through them is fast; it is asked whether there is another way.
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            explain, column = "EXPLAIN (COSTS OFF) ", 0
        else:
            explain, column = "EXPLAIN QUERY PLAN ", 3
        lines = []
        for statement, parameters in statements:
            found = await connection.exec_driver_sql(explain + statement, parameters)
            lines += [str(row[column]).strip() for row in found]
        return lines


async def asked_for(database: Database, ask: Ask) -> list[tuple[str, Any]]:
    statements: list[tuple[str, Any]] = []

    def keep(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and "advisory" not in statement:
            statements.append((statement, parameters))

    engine = database._writing.sync_engine
    event.listen(engine, "before_cursor_execute", keep)
    try:
        async with database.session() as session:
            await ask(session)
    finally:
        event.remove(engine, "before_cursor_execute", keep)
    assert statements
    return statements


@pytest.mark.parametrize("name", ASKED)
async def test_no_query_looks_through_a_table_that_grows(database: Database, name: str) -> None:
    lines = await plans(database, await asked_for(database, ASKED[name]))
    scans = [line for line in lines if line.startswith("SCAN ") or "Seq Scan" in line]
    assert [line for line in scans if not any(small in line for small in SMALL)] == [], lines


async def test_old_files_are_looked_up(database: Database) -> None:
    statements: list[tuple[str, Any]] = []

    def keep(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        statements.append((statement, parameters))

    event.listen(database._reading.sync_engine, "before_cursor_execute", keep)
    await ReportFiles(database, None).count(NOW)
    event.remove(database._reading.sync_engine, "before_cursor_execute", keep)
    lines = await plans(database, statements)
    assert not [line for line in lines if line.startswith("SCAN ") or "Seq Scan" in line], lines
