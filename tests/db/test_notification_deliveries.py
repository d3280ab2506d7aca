"""What notification jobs have handed over: noted before it is sent, and found by a job that runs again."""

from __future__ import annotations

import asyncio

from toril.db.models.mail import SendStatus
from toril.db.repositories.deliveries import Deliveries, DeliveryNote
from toril.db.session import Database

JOB, PHONE = "notification:17:1732400000000", "+966512345678"
SENT = DeliveryNote(status=SendStatus.SENT, message_id="SM1")


async def begin(database: Database, job: str = JOB) -> DeliveryNote | None:
    async with database.session() as session:
        return await Deliveries(session).begin(job, PHONE)


async def save(database: Database, *notes: tuple[str, DeliveryNote]) -> None:
    async with database.session() as session:
        await Deliveries(session).save(JOB, dict(notes))


async def test_what_was_begun_before_is_told_and_is_not_begun_again(database: Database) -> None:
    assert await begin(database) is None
    assert await begin(database) == DeliveryNote(status=SendStatus.SENDING)
    await save(database, (PHONE, SENT))
    assert await begin(database) == SENT
    assert await begin(database) == SENT
    assert await begin(database, "notification:17:1732400000001") is None


async def test_what_failed_may_begin_again_once(database: Database) -> None:
    failed = DeliveryNote(status=SendStatus.FAILED, error="busy")
    await save(database, (PHONE, failed))
    assert await begin(database) == failed
    assert await begin(database) == DeliveryNote(status=SendStatus.SENDING)


async def test_of_two_workers_one_may_begin(database: Database) -> None:
    began = await asyncio.gather(*(begin(database) for _ in range(5)))
    assert began.count(None) == 1


async def test_notes_are_kept_by_job_and_recipient(database: Database) -> None:
    await save(database, ("a", SENT), ("b", DeliveryNote(status=SendStatus.FAILED, error="gone")))
    await save(database, ("b", SENT), ("c", SENT))
    async with database.reading() as session:
        assert await Deliveries(session).list(JOB) == {"a": SENT, "b": SENT, "c": SENT}
        assert await Deliveries(session).list("notification:18") == {}
