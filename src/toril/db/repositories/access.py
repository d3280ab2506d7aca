"""Sessions, one-time tokens, keys and attempts to sign in: handed out, used, taken back. All by hash."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, or_, select, true, update

from toril.db.ids import is_id
from toril.db.models.access import ApiKey, OneTimeToken, Session, TokenPurpose
from toril.db.models.firms import User
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

    async def firms_of_good(self, session_ids: Collection[str], *, now: datetime) -> dict[str, str | None]:
        """The firm of the user of each session that is good, if that user is active."""
        rows = await self.session.execute(
            select(Session.id, User.firm_id)
            .join(User, User.id == Session.user_id)
            .where(
                Session.id.in_(session_ids),
                Session.expires_at > now,
                Session.revoked_at.is_(None),
                User.active,
            )
        )
        return {row[0]: row[1] for row in rows}

    async def rotate(
        self,
        session_id: str,
        *,
        old_hash: str,
        new_hash: str,
        successor: str | None = None,
        expires_at: datetime,
        now: datetime,
    ) -> bool:
        """Replace the refresh token of a good session.

        Args:
            successor: the new token, sealed by the old one; see ``successor_of``.

        Returns:
            False when ``old_hash`` is not the newest one's any more, also if somebody was quicker by a moment.
        """
        changed = await self.session.execute(
            update(Session)
            .where(
                Session.id == session_id,
                Session.token_hash == old_hash,
                Session.expires_at > now,
                Session.revoked_at.is_(None),
            )
            .values(
                token_hash=new_hash,
                replaced_hash=old_hash,
                successor=successor,
                replaced_at=now,
                expires_at=expires_at,
                last_used_at=now,
            )
            .returning(Session.id)
        )
        return changed.first() is not None

    async def successor_of(self, session_id: str, *, old_hash: str, since: datetime) -> str | None:
        """The sealed token that replaced this one since a moment, if no other has replaced it again."""
        return await self.session.scalar(
            select(Session.successor).where(
                Session.id == session_id,
                Session.replaced_hash == old_hash,
                Session.replaced_at >= since,
                Session.revoked_at.is_(None),
            )
        )

    async def revoke(self, session_id: str, *, now: datetime) -> None:
        """End a session; one that has ended stays as it is."""
        await self._revoke(Session.id == session_id, now)

    async def revoke_all(self, user_id: str, *, now: datetime, but: str | None = None) -> None:
        """End all sessions of a user; one of them may stay."""
        which = Session.user_id == user_id
        await self._revoke(which if but is None else which & (Session.id != but), now)

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

    async def is_known(self, key_hash: str) -> bool:
        """Whether there is such a key, good or not; writes nothing, so anybody may make us ask."""
        return await self.session.scalar(select(ApiKey.id).where(ApiKey.key_hash == key_hash)) is not None

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

    async def firms_of_good(self, key_ids: Collection[str], *, now: datetime) -> dict[str, str | None]:
        """The firm of the user of each key that is good, if that user is active."""
        rows = await self.session.execute(
            select(ApiKey.id, User.firm_id)
            .join(User, User.id == ApiKey.user_id)
            .where(
                ApiKey.id.in_(key_ids),
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
                User.active,
            )
        )
        return {row[0]: row[1] for row in rows}

    async def list(self, user_id: str) -> Sequence[ApiKey]:
        """All keys of a user, the newest first."""
        statement = select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.created_at.desc())
        return (await self.session.scalars(statement)).all()

    async def list_of_firm(self, firm_id: str | None) -> Sequence[ApiKey]:
        """All keys of a firm's users, or of everybody for whoever runs the installation; the newest first."""
        statement = select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id.desc())
        if firm_id is not None:
            statement = statement.where(ApiKey.user_id.in_(_users_of(firm_id)))
        return (await self.session.scalars(statement)).all()

    async def revoke(self, key_id: str, *, user_id: str, now: datetime) -> bool:
        """Take a key back; False when the user has no such key that is good."""
        return await self._revoke(ApiKey.user_id == user_id, key_id, now) is not None

    async def revoke_of_firm(self, key_id: str, *, firm_id: str | None, now: datetime) -> str | None:
        """Take a key of a firm's user back, or anybody's for whoever runs the installation.

        Returns:
            Whose it was; None when there is no such key that is good.
        """
        which = true() if firm_id is None else ApiKey.user_id.in_(_users_of(firm_id))
        return await self._revoke(which, key_id, now)

    async def revoke_all(self, user_id: str, *, now: datetime) -> None:
        """Take all keys of a user back."""
        await self.session.execute(
            update(ApiKey)
            .where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
            .values(revoked_at=now)
        )

    async def _revoke(self, which: ColumnElement[bool], key_id: str, now: datetime) -> str | None:
        if not is_id(key_id):
            return None
        return await self.session.scalar(
            update(ApiKey)
            .where(ApiKey.id == key_id, which, ApiKey.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(ApiKey.user_id)
        )


def _users_of(firm_id: str) -> Select[str]:
    return select(User.id).where(User.firm_id == firm_id)
