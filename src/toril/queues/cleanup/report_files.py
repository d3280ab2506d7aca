"""Files of old reports and exports: deleted from the store, then from the list of files.

What is printed for others, such as invoices, statements and contracts, are papers of the firm, and stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select

from toril.db.models.reports import GeneratedFile
from toril.db.session import Database
from toril.errors import TorilError
from toril.queues.base import RunningJob
from toril.queues.storage import FileStore

#: Made from records, and to be made again from them.
KINDS: Final = ("report", "export")


@dataclass(frozen=True, slots=True)
class Deleted:
    """What one step deleted; the last one found fewer than it might have taken, or could delete none."""

    rows: int
    files: int
    is_last: bool


class ReportFiles:
    """Deletes, in steps, the files of old reports.

    Args:
        files: where they are; None deletes only the rows.
    """

    def __init__(self, database: Database, files: FileStore | None) -> None:
        self._database, self._files = database, files

    async def count(self, before: datetime) -> int:
        """How many there are from before a moment."""
        async with self._database.reading() as session:
            statement = select(func.count()).select_from(GeneratedFile).where(*_old(before))
            return await session.scalar(statement) or 0

    async def delete_batch(self, before: datetime, job: RunningJob, *, limit: int) -> Deleted:
        """Delete the oldest ones. A file that cannot be deleted keeps its row, and is told in the job's log."""
        async with self._database.reading() as session:
            statement = select(GeneratedFile.id, GeneratedFile.path).where(*_old(before))
            found = (await session.execute(statement.order_by(GeneratedFile.created_at).limit(limit))).all()
        gone = []
        for file_id, path in found:
            try:
                if self._files is not None:
                    await self._files.delete(path)
            except (TorilError, OSError) as error:
                await job.log(f"not deleted: file {file_id}: {error}")
            else:
                gone.append(file_id)
        if gone:
            async with self._database.session() as session:
                # Once more by its age: its job may have run again meanwhile, and stored it anew.
                await session.execute(
                    delete(GeneratedFile).where(GeneratedFile.id.in_(gone), *_old(before)),
                    execution_options={"synchronize_session": False},
                )
        files = len(gone) if self._files is not None else 0
        return Deleted(rows=len(gone), files=files, is_last=len(found) < limit or not gone)


def _old(before: datetime) -> tuple[ColumnElement[bool], ...]:
    return GeneratedFile.kind.in_(KINDS), GeneratedFile.created_at < before
