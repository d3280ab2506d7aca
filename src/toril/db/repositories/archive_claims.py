"""Who moves which entries of the audit log to an archive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from toril.db.models.access import AuditEntry
from toril.db.models.archive_claims import AUDIT, ArchiveClaim
from toril.db.repositories.base import Repository
from toril.db.upsert import insert_new


class ArchiveClaims(Repository):
    """The one claim that there may be. What is claimed is archived by that claim and no other."""

    async def find(self) -> ArchiveClaim | None:
        """The claim, if there is one."""
        return await self.session.scalar(select(ArchiveClaim).where(ArchiveClaim.log == AUDIT))

    async def add(self, values: Mapping[str, Any]) -> ArchiveClaim | None:
        """Claim entries that were read a moment ago; None when somebody was faster.

        Args:
            values: attributes of ``ArchiveClaim``.
        """
        if not await insert_new(self.session, ArchiveClaim, [{"log": AUDIT, **values}], key=["log"]):
            return None
        # Each claim is of the oldest entries, and goes when all of them are deleted: while the oldest is there,
        # nobody has archived any since they were read.
        oldest = select(AuditEntry.id).where(AuditEntry.id == values["entries"][0])
        claim = await self.find()
        if claim is not None and await self.session.scalar(oldest) is None:
            await self.remove(claim.id)
            return None
        return claim

    async def take_over(self, claim: ArchiveClaim, *, owner: str, file: str, now: datetime) -> bool:
        """Take an unwritten claim from its owner, unless that has gone on with it."""
        taken = await self.session.execute(
            update(ArchiveClaim)
            .where(
                ArchiveClaim.id == claim.id,
                ArchiveClaim.claimed_at == claim.claimed_at,
                ArchiveClaim.is_written.is_(False),
            )
            .values(owner=owner, file=file, claimed_at=now)
            .returning(ArchiveClaim.id)
        )
        return bool(taken.all())

    async def written(self, claim_id: str, *, owner: str) -> None:
        """Note that the owner's file is whole: whoever finds the claim may delete its entries."""
        mine = (ArchiveClaim.id == claim_id, ArchiveClaim.owner == owner)
        await self.session.execute(update(ArchiveClaim).where(*mine).values(is_written=True))

    async def remove(self, claim_id: str) -> None:
        """Its entries are deleted, or stay in the log."""
        await self.session.execute(delete(ArchiveClaim).where(ArchiveClaim.id == claim_id))
