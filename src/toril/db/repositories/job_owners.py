"""Who asked for which job."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from toril.db.models.job_owners import JobOwner
from toril.db.repositories.base import Repository
from toril.db.upsert import insert_new


class JobOwners(Repository):
    """Jobs by the user who asked for them."""

    async def add(self, queue: str, job_id: str, *, user_id: str, firm_id: str | None) -> None:
        """Note whose job it is; whoever asked first stays its owner."""
        row = {"queue": queue, "job_id": job_id, "user_id": user_id, "firm_id": firm_id}
        await insert_new(self.session, JobOwner, [row], key=["queue", "job_id"])

    async def owns(self, queue: str, job_id: str, *, user_id: str) -> bool:
        """Whether a user asked for a job."""
        wanted = select(JobOwner.id).where(
            JobOwner.queue == queue, JobOwner.job_id == job_id, JobOwner.user_id == user_id
        )
        return await self.session.scalar(wanted) is not None

    async def users_of(self, queue: str, job_ids: Collection[str]) -> dict[str, str]:
        """The users who asked for these jobs of a queue, by the jobs' ids; nothing for those that nobody did."""
        wanted = select(JobOwner.job_id, JobOwner.user_id).where(
            JobOwner.queue == queue, JobOwner.job_id.in_(job_ids)
        )
        return {row[0]: row[1] for row in await self.session.execute(wanted)}
