"""Sessions, one-time tokens and keys: what is handed out, used once, and taken back. All by hash."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select, update

from toril.db.models.access import ApiKey, OneTimeToken, Session, TokenPurpose
from toril.db.repositories.base import Repository


class Sessions(Repository):
    """Sign-ins."""

    async def find(self, session_id: str, *, now: datetime) -> Session | None:
        """The session, while it is good: neither expired nor revoked."""
        return await self.session.scalar(
            select(Session).where(
                Session.id == session_id, Session.expires_at > now, Session.revoked_at.is_(None)
            )
        )

    async def rotate(
        self, session_id: str, *, old_hash: str, new_hash: str, expires_at: datetime, now: datetime
    ) -> bool:
        """Replace the refresh token of a good session.

        Returns:
            False when ``old_hash`` is not the newest one's any more, also if somebody was quicker by a moment:
            then the session is one to revoke.
        """
        changed = await self.session.execute(
            update(Session)
            .where(
                Session.id == session_id,
                Session.token_hash == old_hash,
                Session.expires_at > now,
                Session.revoked_at.is_(None),
            )
            .values(token_hash=new_hash, expires_at=expires_at, last_used_at=now)
            .returning(Session.id)
        )
        return changed.first() is not None

    async def revoke(self, session_id: str, *, now: datetime) -> None:
        """End a session; one that has ended stays as it is."""
        await self._revoke(Session.id == session_id, now)

    async def revoke_all(self, user_id: str, *, now: datetime) -> None:
        """End all sessions of a user."""
        await self._revoke(Session.user_id == user_id, now)

    async def _revoke(self, which: ColumnElement[bool], now: datetime) -> None:
        await self.session.execute(
            update(Session).where(which, Session.revoked_at.is_(None)).values(revoked_at=now)
        )


class OneTimeTokens(Repository):
    """Codes and links that work once."""

    async def use(self, purpose: TokenPurpose, token_hash: str, *, now: datetime) -> str | None:
        """Use a token up; returns its user's id, or None when it is unknown, expired or used already."""
        return await self.session.scalar(
            update(OneTimeToken)
            .where(
                OneTimeToken.purpose == purpose,
                OneTimeToken.token_hash == token_hash,
                OneTimeToken.expires_at > now,
                OneTimeToken.used_at.is_(None),
            )
            .values(used_at=now)
            .returning(OneTimeToken.user_id)
        )


class ApiKeys(Repository):
    """Keys of machines."""

    async def find(self, key_hash: str, *, now: datetime) -> ApiKey | None:
        """The key, while it is good; notes that it was used."""
        return await self.session.scalar(
            update(ApiKey)
            .where(
                ApiKey.key_hash == key_hash,
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
            )
            .values(last_used_at=now)
            .returning(ApiKey)
        )

    async def list(self, user_id: str) -> Sequence[ApiKey]:
        """All keys of a user, the newest first."""
        statement = select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.created_at.desc())
        return (await self.session.scalars(statement)).all()

    async def revoke(self, key_id: str, *, user_id: str, now: datetime) -> bool:
        """Take a key back; False when the user has no such key that is good."""
        revoked = await self.session.scalar(
            update(ApiKey)
            .where(ApiKey.id == key_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(ApiKey.id)
        )
        return revoked is not None
