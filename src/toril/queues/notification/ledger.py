"""What a job has handed over already, kept so that another attempt goes on where this one ended."""

from __future__ import annotations

import asyncio

from toril.db.repositories.deliveries import Deliveries, DeliveryNote
from toril.db.session import Database


class Ledger:
    """The notes of one job, by recipient.

    Many can record at once: while one transaction is at work, the notes that come in gather for the next.
    """

    def __init__(self, database: Database, job: str, notes: dict[str, DeliveryNote]) -> None:
        self.notes = notes
        self._database, self._job = database, job
        self._waiting: dict[str, DeliveryNote] = {}
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, database: Database, job: str) -> Ledger:
        """The ledger of a job, with what earlier attempts have noted.

        Args:
            job: as ``job_key`` makes it.
        """
        async with database.reading() as session:
            return cls(database, job, await Deliveries(session).list(job))

    async def record(self, recipient: str, note: DeliveryNote) -> None:
        """Note one outcome; returns when it is stored.

        Raises:
            DatabaseUnavailableError: it could not be stored. It is kept for the next call.
        """
        self.notes[recipient] = self._waiting[recipient] = note
        await self.flush()

    async def flush(self) -> None:
        """Store what is waiting."""
        async with self._writing:
            batch, self._waiting = self._waiting, {}
            if not batch:
                return
            try:
                async with self._database.session() as session:
                    await Deliveries(session).save(self._job, batch)
            except BaseException:
                self._waiting = {**batch, **self._waiting}
                raise
