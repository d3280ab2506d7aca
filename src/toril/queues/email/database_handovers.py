"""Handovers of mails, in the table of deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from toril.db.insist import insist
from toril.db.models.mail import SendStatus
from toril.db.repositories.deliveries import Deliveries, DeliveryNote
from toril.db.session import Database
from toril.queues.email.handovers import Handover, Way


class DatabaseHandovers:
    """``Handovers`` that all workers share."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def find(self, key: str) -> Mapping[Way, Handover]:
        """See ``Handovers``."""
        async with self.database.reading() as session:
            notes = await Deliveries(session).list(key)
        return {
            way: Handover(is_open=notes[way].status is SendStatus.SENDING, message_id=notes[way].message_id)
            for way in get_args(Way)
            if way in notes
        }

    async def begin(self, key: str, way: Way) -> None:
        """See ``Handovers``."""
        await self._save(key, way, DeliveryNote(status=SendStatus.SENDING))

    async def end(self, key: str, way: Way, *, message_id: str | None) -> None:
        """See ``Handovers``."""
        status = SendStatus.FAILED if message_id is None else SendStatus.SENT
        await self._save(key, way, DeliveryNote(status=status, message_id=message_id))

    async def _save(self, key: str, way: Way, note: DeliveryNote) -> None:
        async def write() -> None:
            async with self.database.session() as session:
                await Deliveries(session).save(key, {way: note})

        # Also that it begins: a note which was taken, and of which we hear that it was not, looks like a handover that
        # nobody saw the end of.
        await insist(write)
