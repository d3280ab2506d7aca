"""Users as whoever runs the installation sees them: made, found, changed, and the very first one."""

from __future__ import annotations

import asyncio
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.errors import RecordConflictError
from toril.db.models import AuditEntry, Role, User
from toril.db.repositories.access import ApiKeys, Sessions
from toril.db.repositories.users import Users
from toril.db.session import Database
from toril.db.types import utc_now
from toril.errors import OptionError
from toril.web.auth.passwords import hash_password
from toril.web.auth.secrets import new_password

#: Whom an installation begins with.
FIRST_ADMIN: Final = "admin@localhost"


async def add_user(
    session: AsyncSession,
    *,
    email: str,
    password_hash: str,
    name: str | None = None,
    role: Role = Role.STAFF,
    firm_id: str | None = None,
) -> User:
    """Store a user.

    Raises:
        OptionError: the address is none.
        RecordConflictError: it is taken.
    """
    local, at, host = email.strip().partition("@")
    if not (local and at and host) or any(character.isspace() for character in email.strip()):
        raise OptionError(f"{email!r} is not an e-mail address")
    if await Users(session).find_by_email(email) is not None:
        raise RecordConflictError(f"there is a user {email.strip().lower()!r} already")
    user = User(
        email=email, name=name or local, role=role, firm_id=firm_id, password_hash=password_hash, active=True
    )
    session.add(user)
    await session.flush()
    session.add(entry_of("user.create", user, role=role.value))
    return user


async def end_access(session: AsyncSession, user: User, *, keys: bool) -> None:
    """End all sessions of a user, and take their keys back if that is wanted too."""
    now = utc_now()
    await Sessions(session).revoke_all(user.id, now=now)
    if keys:
        await ApiKeys(session).revoke_all(user.id, now=now)


def entry_of(action: str, user: User, **details: str) -> AuditEntry:
    """What was done to a user by somebody at the machine itself, who has no user."""
    return AuditEntry(firm_id=user.firm_id, action=action, target=user.id, details=details)


async def make_first_admin(database: Database) -> str | None:
    """Make the first administrator when nobody could sign in yet.

    Returns:
        The password, which is kept nowhere; None when there is somebody, also if another process was quicker.
    """
    async with database.reading() as session:
        if await Users(session).anybody_signs_in():
            return None
    password = new_password()
    hashed = await asyncio.to_thread(hash_password, password)
    try:
        async with database.session() as session:
            if await Users(session).anybody_signs_in():
                return None
            await add_user(
                session, email=FIRST_ADMIN, password_hash=hashed, name="Administrator", role=Role.ADMIN
            )
    except RecordConflictError:
        return None
    return password
