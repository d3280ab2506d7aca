"""``toril opt-outs``: the list of numbers that get no SMS, by command."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select
from tests.support.cli import Toril
from tests.support.notification_jobs import PlainJob, notification

from toril.db.models import AuditEntry
from toril.db.repositories.sms import SmsOptOuts
from toril.db.session import Database
from toril.queues.notification import Channels, LogProvider, notification_queue


async def test_numbers_are_added_listed_and_removed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    async with Database(url) as database:
        await database.upgrade()
        async with database.session() as session:
            await SmsOptOuts(session).add("+14155550100", source="twilio")
    toril = Toril(tmp_path, {"DATABASE_URL": url, "TORIL_HOME": str(tmp_path / "home")})
    added = await toril("opt-outs", "add", "٠٥١ ٢٣٤ ٥٦٧٨", "--json")
    assert (added.code, added.json) == (0, {"number": "+966512345678", "new": True})
    wrong = await toril("opt-outs", "add", "nobody")
    assert (wrong.code, "a phone number has digits" in wrong.err) == (2, True)
    listed = await toril("opt-outs", "list", "--json")
    assert [(each["number"], each["source"]) for each in listed.json] == [
        ("+966512345678", "command line"),
        ("+14155550100", "twilio"),
    ]
    one = await toril("opt-outs", "list", "--number", "512345678")
    assert "+966512345678" in one.out
    assert "+1415" not in one.out
    async with Database(url) as database:
        queue = notification_queue(database=database, channels=Channels(sms=LogProvider(tmp_path / "sms")))
        result = await queue.process(PlainJob(notification("sms", phoneNumber="+966512345678")))
        await queue.close()
    assert (result["success"], result["status"]) == (False, "opted-out")
    removed = await toril("opt-outs", "remove", "+966 51 234 5678", "--json")
    assert removed.json == {"number": "+966512345678", "removed": True}
    gone = await toril("opt-outs", "remove", "0512345678")
    assert (gone.code, "has not opted out" in gone.err) == (4, True)
    async with Database(url) as database, database.reading() as session:
        entries = [
            (each.action, each.target)
            for each in await session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        ]
    assert entries == [
        ("sms_opt_out.add", "…5678"),
        ("sms_opt_out.remove", "…5678"),
    ]
