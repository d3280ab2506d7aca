"""Jobs and the users they were added for."""

from __future__ import annotations

from toril.db.repositories.job_owners import JobOwners
from toril.db.session import Database
from toril.web.auth.principal import Principal, Scope
from toril.web.errors import Forbidden


async def note_owner(database: Database, user: Principal, queue: str, job_id: str) -> None:
    """Remember for whom a job was added."""
    async with database.session() as session:
        await JobOwners(session).add(queue, job_id, user_id=user.user_id, firm_id=user.firm_id)


async def owns_job(database: Database, user: Principal, queue: str, job_id: str) -> bool:
    """Whether a job was added for this user."""
    async with database.reading() as session:
        return await JobOwners(session).owns(queue, job_id, user_id=user.user_id)


async def require_job_reader(database: Database, user: Principal, queue: str, job_id: str) -> bool:
    """Let administrators and the owner of a job see it.

    Returns:
        Whether they may whatever firm's it is: an administrator of a firm may only if it is that firm's.

    Raises:
        Forbidden: the user is neither, whether or not there is such a job.
    """
    admin = user.is_admin and user.allows(Scope.QUEUES_READ)
    if admin and user.firm_id is None:
        return True
    if user.allows(Scope.RECORDS_READ) and await owns_job(database, user, queue, job_id):
        return True
    if admin:
        return False
    raise Forbidden("this needs the role admin, unless the job was added for you")
