"""Signing in and out: passwords to sessions, sessions to tokens, and what ends them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from toril.db.ids import new_id
from toril.db.models import AuditEntry, Session, User
from toril.db.repositories.access import Sessions
from toril.db.repositories.users import Users
from toril.db.types import utc_now
from toril.queues.sync.access.sealing import Sealer
from toril.web.auth.access import Access
from toril.web.auth.access_tokens import LIFETIME
from toril.web.auth.passwords import check_strength
from toril.web.auth.principal import Principal
from toril.web.auth.refresh_tokens import RefreshTokens
from toril.web.auth.secrets import hash_of
from toril.web.auth.throttle import Throttle
from toril.web.errors import Forbidden, NotAuthenticated

log = logging.getLogger("toril.web")

#: How long a sign-in lasts that nobody uses, and one that somebody does.
IDLE_FOR: Final = timedelta(days=14)
AT_MOST: Final = timedelta(days=90)

#: How long a refresh token that was replaced is answered with the one that replaced it: for two tabs that refresh at
#: once, and for an answer that got lost.
FORGIVEN_FOR: Final = timedelta(seconds=30)

_LONGEST_AGENT: Final = 300


@dataclass(frozen=True, slots=True)
class Client:
    """Where somebody signs in from, as far as is known."""

    address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What somebody gets who has signed in; ``expires_in`` is the access token's, in seconds."""

    access_token: str
    refresh_token: str
    user: Principal
    expires_in: int = LIFETIME


class SignIn:
    """Lets people in and out.

    Args:
        secrets: of the installation, the present one first, then those it replaced.
        throttle: counts attempts.
    """

    def __init__(self, access: Access, secrets: Sequence[str], throttle: Throttle) -> None:
        self._access, self._database = access, access.database
        self._refresh = RefreshTokens(secrets)
        self._throttle = throttle

    async def sign_in(self, email: str, password: str, client: Client) -> SignedIn:
        """Begin a session.

        Who does not exist, may not sign in or has another password gets the same answer after the same time.

        Raises:
            NotAuthenticated: the address or the password is wrong (code ``bad_credentials``).
            TooManyRequests: too many attempts, to this account or from this address.
            Overloaded: too many people at this moment.
        """
        self._access.passwords.require_room()
        await self._throttle.attempt(email, client.address)
        async with self._database.reading() as session:
            user = await Users(session).find_by_email(email)
        kept = user.password_hash if user is not None and user.active else None
        if not await self._access.passwords.check(password, kept) or user is None or kept is None:
            log.warning("sign_in_failed", extra={"address": client.address})
            raise NotAuthenticated("the address or the password is wrong", code="bad_credentials")
        await self._throttle.succeeded(email, client.address)
        newer = await self._access.passwords.renewed(password, kept)
        return await self._begin(user.id, newer, client)

    async def refresh(self, refresh_token: str, client: Client) -> SignedIn:
        """Exchange a refresh token for new tokens. A token that was used before ends the session it belongs to.

        One that was replaced a moment ago, by the newest, is answered with that: two tabs have the same token then. A
        thief who is that quick has it as well, and is found out when the first of them has used it and the other does.

        Raises:
            NotAuthenticated: it is not good (any more), or was used before (code ``refresh_token_reused``).
        """
        session_id = self._refresh.session_of(refresh_token)
        if session_id is None:
            raise NotAuthenticated("the refresh token is not good: sign in again", code="bad_token")
        now, token = utc_now(), self._refresh.issue(session_id)
        async with self._database.session() as session:
            sessions = Sessions(session)
            found = await sessions.find(session_id, now=now)
            user = await Users(session).find_active(found.user_id) if found else None
            if found is None or user is None:
                raise NotAuthenticated("this sign-in has ended: sign in again", code="session_ended")
            rotated = await sessions.rotate(
                session_id,
                old_hash=hash_of(refresh_token),
                new_hash=hash_of(token),
                successor=_sealer(refresh_token).seal(token, place=session_id),
                expires_at=min(now + IDLE_FOR, found.created_at + AT_MOST),
                now=now,
            )
            if not rotated:
                sealed = await sessions.successor_of(
                    session_id, old_hash=hash_of(refresh_token), since=now - FORGIVEN_FOR
                )
                if sealed is not None:
                    token = _sealer(refresh_token).open(sealed, place=session_id)
                    rotated = True
                else:
                    await sessions.revoke(session_id, now=now)
                    session.add(_entry(user, "auth.refresh_token_reused", session_id, client))
        if not rotated:
            self._access.forget(user_id=user.id)
            log.warning("refresh_token_reused: its session was ended", extra={"user": user.id})
            raise NotAuthenticated(
                "the refresh token was used before, so this sign-in was ended: sign in again",
                code="refresh_token_reused",
            )
        return self._signed_in(user, session_id, token)

    async def sign_out(self, user: Principal, client: Client, *, everywhere: bool = False) -> None:
        """End the session, or all of this user.

        Raises:
            Forbidden: a key speaks for the user, and has no session.
        """
        session_id = _session_of(user)
        async with self._database.session() as session:
            if everywhere:
                await Sessions(session).revoke_all(user.user_id, now=utc_now())
            else:
                await Sessions(session).revoke(session_id, now=utc_now())
            action = "auth.sign_out_everywhere" if everywhere else "auth.sign_out"
            session.add(_entry(user, action, session_id, client))
        self._access.forget(user_id=user.user_id)

    async def change_password(self, user: Principal, current: str, new: str, client: Client) -> None:
        """Give a user another password, and end all their other sessions.

        Raises:
            Forbidden: a key speaks for the user; or the current password is wrong (code ``bad_credentials``).
            OptionError: the new one is too easy to guess.
            TooManyRequests: too many attempts.
        """
        session_id = _session_of(user)
        check_strength(new)
        self._access.passwords.require_room()
        await self._throttle.attempt(user.email, client.address)
        async with self._database.reading() as session:
            found = await Users(session).find_active(user.user_id)
        kept = found.password_hash if found else None
        if not await self._access.passwords.check(current, kept):
            raise Forbidden("the current password is wrong", code="bad_credentials")
        await self._throttle.succeeded(user.email, client.address)
        hashed = await self._access.passwords.hash(new)
        async with self._database.session() as session:
            changed = await Users(session).find_active(user.user_id)
            if changed is not None:
                changed.password_hash = hashed
                await Sessions(session).revoke_all(user.user_id, now=utc_now(), but=session_id)
                session.add(_entry(user, "auth.change_password", user.user_id, client))
        self._access.forget(user_id=user.user_id)

    async def _begin(self, user_id: str, newer_hash: str | None, client: Client) -> SignedIn:
        now, session_id = utc_now(), new_id()
        token = self._refresh.issue(session_id)
        async with self._database.session() as session:
            user = await Users(session).find_active(user_id)
            if user is None:  # disabled a moment ago
                raise NotAuthenticated("the address or the password is wrong", code="bad_credentials")
            user.last_login_at = now
            user.password_hash = newer_hash or user.password_hash
            session.add(
                Session(
                    id=session_id,
                    user_id=user.id,
                    token_hash=hash_of(token),
                    created_at=now,
                    last_used_at=now,
                    expires_at=now + IDLE_FOR,
                    address=client.address,
                    user_agent=(client.user_agent or "")[:_LONGEST_AGENT] or None,
                )
            )
            session.add(_entry(user, "auth.sign_in", session_id, client))
        return self._signed_in(user, session_id, token)

    def _signed_in(self, user: User, session_id: str, refresh_token: str) -> SignedIn:
        access_token = self._access.tokens.issue(user.id, session_id)
        return SignedIn(access_token, refresh_token, Principal.of_session(user, session_id))


def _sealer(refresh_token: str) -> Sealer:
    """Seals by a refresh token what only who has it may read."""
    return Sealer([refresh_token], purpose="the refresh token after this one")


def _session_of(user: Principal) -> str:
    if user.session_id is None:
        raise Forbidden("this needs a user who has signed in; an API key will not do")
    return user.session_id


def _entry(user: User | Principal, action: str, target: str, client: Client) -> AuditEntry:
    user_id = user.user_id if isinstance(user, Principal) else user.id
    return AuditEntry(
        firm_id=user.firm_id, user_id=user_id, action=action, target=target, address=client.address
    )
