"""No table grows for ever: what is in it goes by a planned cleanup, or there is a reason why it stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.support.all_queues import all_queues
from tests.support.records import add_firm, add_user
from tests.support.report_jobs import ReportJob

from toril.db.ids import new_id
from toril.db.kept import KEPT
from toril.db.models import (
    AuditEntry,
    BulkSend,
    CampaignSend,
    Delivery,
    Firm,
    GeneratedFile,
    JobOwner,
    MailEvent,
    Notification,
    OneTimeToken,
    Report,
    ReportStatus,
    Session,
    SmsReport,
    TokenPurpose,
    TrackingEvent,
    TrackingKind,
    WhatsAppNotification,
)
from toril.db.session import Database
from toril.queues.planned import PLANNED

LONG_AGO = datetime.now(UTC) - timedelta(days=3700)


async def add_old_rows(database: Database) -> set[str]:
    """An old row in every table that is cleaned up; returns their names."""
    made = {"created_at": LONG_AGO}
    async with database.session() as session:
        firm = await add_firm(session)
        user = await add_user(session, firm)
        sent = CampaignSend(id=new_id(), campaign_id="c", email="a@b.example", tracking_id="t", **made)
        rows = [
            Session(user_id=user.id, token_hash="s", expires_at=LONG_AGO),
            OneTimeToken(user_id=user.id, purpose=TokenPurpose.OTP, token_hash="o", expires_at=LONG_AGO),
            AuditEntry(action="queue.pause", at=LONG_AGO),
            Notification(user_id=user.id, title="read", message="", read_at=LONG_AGO, **made),
            Notification(user_id=user.id, title="never read", message="", **made),
            Delivery(job="j", recipient="r", **made),
            BulkSend(job="j", email="a@b.example", **made),
            sent,
            JobOwner(queue="pdf", job_id="j", user_id=user.id, **made),
            MailEvent(event_id="e", type="email.delivered", at=LONG_AGO, **made),
            SmsReport(provider="twilio", message_id="m", status="sent", **made),
            WhatsAppNotification(
                phone_number_id="1", digest="d", payload={}, received_at=LONG_AGO, processed_at=LONG_AGO
            ),
            GeneratedFile(
                firm_id=firm.id, kind="export", name="a", path="a", size=1, media_type="text/csv", **made
            ),
            Report(firm_id=firm.id, type="financial", status=ReportStatus.READY, **made),
        ]
        session.add_all(rows)
        await session.flush()
        rows.append(TrackingEvent(send_id=sent.id, kind=TrackingKind.OPEN, at=LONG_AGO))
        session.add(rows[-1])
    return {row.__tablename__ for row in rows}


async def test_every_table_is_cleaned_up_or_kept_for_a_reason(database: Database, tmp_path: Path) -> None:
    cleaned = await add_old_rows(database)
    tables = set(Firm.metadata.tables)
    assert not cleaned & KEPT.keys()
    assert cleaned | KEPT.keys() == tables, "add a cleanup for the table, or its reason to toril.db.kept"
    assert all(KEPT.values())

    cleanup = all_queues(database, tmp_path)["cleanup"]
    for planned in PLANNED:
        if planned.queue == "cleanup":
            job: Any = ReportJob(planned.type, **planned.data)
            assert (await cleanup.process(job))["success"], planned.type

    async with database.reading() as session:
        left = {
            name: await session.scalar(select(func.count()).select_from(Firm.metadata.tables[name]))
            for name in cleaned
        }
    assert left == dict.fromkeys(cleaned, 0)


@pytest.mark.parametrize(
    "planned", [each for each in PLANNED if each.queue == "cleanup"], ids=lambda each: each.type
)
async def test_what_is_new_stays(database: Database, tmp_path: Path, planned: Any) -> None:
    async with database.session() as session:
        firm = await add_firm(session)
        session.add_all(
            [
                Report(firm_id=firm.id, type="financial"),
                GeneratedFile(
                    firm_id=firm.id, kind="report", name="a", path="a", size=1, media_type="text/csv"
                ),
                CampaignSend(campaign_id="c", email="a@b.example", tracking_id="t"),
                MailEvent(event_id="e", type="email.delivered", at=LONG_AGO),
                WhatsAppNotification(phone_number_id="1", digest="d", payload={}, received_at=LONG_AGO),
                Notification(user_id="u", title="new", message=""),
            ]
        )
    result = await all_queues(database, tmp_path)["cleanup"].process(ReportJob(planned.type, **planned.data))
    assert result["foundCount"] == 0
