"""A database with all tables, and what its ledger of mail holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import select

from toril.db.models.mail import BulkSend, CampaignSend
from toril.db.session import Database


@asynccontextmanager
async def mail_database(home: Path) -> AsyncIterator[Database]:
    """A new SQLite database in ``home``."""
    async with Database(home=home) as database:
        await database.upgrade()
        yield database


async def bulk_sends(database: Database) -> list[BulkSend]:
    """All that is recorded of bulk jobs."""
    async with database.reading() as session:
        # Without the mark of a job that has decided who is left out.
        mails = select(BulkSend).where(BulkSend.email != "#decided")
        return list(await session.scalars(mails.order_by(BulkSend.id)))


async def campaign_sends(database: Database) -> list[CampaignSend]:
    """All that is recorded of campaigns."""
    async with database.reading() as session:
        return list(await session.scalars(select(CampaignSend).order_by(CampaignSend.id)))
