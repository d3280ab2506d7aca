"""Who the users of a job are, as far as the records know them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from toril.db.ids import is_id
from toril.db.models.firms import Firm, User


def plain_id(user_id: str) -> str:
    """A user's id as the records have it; one of a Node application's is any text, and stays as it is."""
    return user_id.lower() if is_id(user_id.lower()) else user_id


async def strangers(session: AsyncSession, user_ids: Collection[str], *, firm_id: str | None) -> set[str]:
    """Those of some users who are not of a firm.

    Users of a Node application have no record here, and neither have their firms: of a firm that the records do not
    know, only users whom they do know are strangers.

    Args:
        user_ids: some hundreds at most.
        firm_id: None for no firm, of which nobody is a stranger.
    """
    if firm_id is None:
        return set()
    known_firm = await session.get(Firm, firm_id) is not None
    wanted = {own_id for user_id in user_ids if is_id(own_id := plain_id(user_id))}
    rows = await session.execute(select(User.id, User.firm_id).where(User.id.in_(wanted)))
    firms: dict[str, str | None] = {row.id: row.firm_id for row in rows}
    own = None if known_firm else firm_id  # whose an unknown user is
    return {user_id for user_id in user_ids if firms.get(plain_id(user_id), own) != firm_id}
