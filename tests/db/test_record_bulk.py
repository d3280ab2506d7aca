"""Very many rows: deleted in batches, and read with little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select
from tests.support.records import NOW, add_firm, add_user

from toril.db.models import BulkSend, Delivery, Notification, OneTimeToken, Session, TokenPurpose
from toril.db.repositories.purge import (
    Purge,
    expired_sessions,
    old_bulk_sends,
    old_deliveries,
    read_notifications,
    spent_tokens,
)
from toril.db.session import Database
from toril.db.stream import stream

DAY = timedelta(days=1)


async def add_rows(database: Database) -> None:
    """Of each kind some that may go, named ``old…``, and some that stay."""
    async with database.session() as session:
        user = await add_user(session, await add_firm(session))
        times = [("old past", NOW - DAY), ("old now", NOW), ("soon", NOW + DAY)]
        for name, at in times:
            session.add(Session(user_id=user.id, token_hash=name, expires_at=at))
            session.add(
                OneTimeToken(user_id=user.id, token_hash=name, expires_at=at, purpose=TokenPurpose.OTP)
            )
        session.add(Session(user_id=user.id, token_hash="old revoked", expires_at=NOW + DAY, revoked_at=NOW))
        used = {"purpose": TokenPurpose.OTP, "expires_at": NOW + DAY, "used_at": NOW}
        session.add(OneTimeToken(user_id=user.id, token_hash="old used", **used))
        for title, read_at in [("old", NOW - DAY), ("read now", NOW), ("unread", None)]:
            created = NOW - 100 * DAY
            session.add(
                Notification(user_id="u", title=title, message="", read_at=read_at, created_at=created)
            )
        for job, at in [("old", NOW - DAY), ("new", NOW)]:
            session.add(BulkSend(job=job, email="a@x.example", created_at=at))
            session.add(Delivery(job=job, recipient="+966512345678", created_at=at))


@pytest.mark.parametrize(
    ("purge", "column", "count"),
    [
        pytest.param(expired_sessions, Session.token_hash, 3, id="sessions"),
        pytest.param(spent_tokens, OneTimeToken.token_hash, 3, id="tokens"),
        pytest.param(read_notifications, Notification.title, 1, id="notifications"),
        pytest.param(old_bulk_sends, BulkSend.job, 1, id="bulk sends"),
        pytest.param(old_deliveries, Delivery.job, 1, id="deliveries"),
    ],
)
async def test_what_has_had_its_time_goes_and_the_rest_stays(
    database: Database, purge: Callable[[datetime], Purge], column: object, count: int
) -> None:
    await add_rows(database)
    old = purge(NOW)
    async with database.reading() as session:
        assert await old.count(session) == count
    deleted = []
    while not deleted or deleted[-1] == 2:
        async with database.session() as session:
            deleted.append(await old.delete_batch(session, limit=2))
    assert sum(deleted) == count
    async with database.reading() as session:
        assert await old.count(session) == 0
        left = (await session.scalars(select(column))).all()  # type: ignore[call-overload]
        assert left
        assert not [name for name in left if str(name).startswith("old")]


async def test_a_stream_holds_a_few_rows_at_a_time(database: Database) -> None:
    rows, size = 20_000, 1_000
    async with database.session() as session:
        for start in range(0, rows, 5_000):
            values = [
                {"user_id": "u", "title": str(n), "message": "x" * size, "created_at": NOW}
                for n in range(start, start + 5_000)
            ]
            await session.execute(insert(Notification), values)
    seen = 0
    async with database.reading() as session:
        statement = select(Notification.title, Notification.message).order_by(Notification.id)
        tracemalloc.start()
        async for chunk in stream(session, statement, chunk=500):
            assert len(chunk) <= 500
            seen += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert seen == rows
    assert peak < rows * size / 4, "far less than all of them"


async def test_a_stream_that_is_left_early_leaves_nothing_open(database: Database) -> None:
    async with database.session() as session:
        await session.execute(
            insert(Notification), [{"user_id": "u", "title": "", "message": ""} for _ in range(2_000)]
        )
    async with database.reading() as session:
        chunks = stream(session, select(Notification.id), chunk=100)
        assert len(await anext(chunks)) == 100
        await chunks.aclose()  # type: ignore[attr-defined]
        assert await session.scalar(select(func.count()).select_from(Notification)) == 2_000
