"""Who may come in: from a bearer token to a principal, without asking the database for each request."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from toril.db.models import ApiKey, User
from toril.db.repositories.access import ApiKeys, Sessions
from toril.db.repositories.users import Users
from toril.db.session import Database
from toril.web.auth.access_tokens import AccessTokens
from toril.web.auth.passwords import Passwords
from toril.web.auth.principal import Principal
from toril.web.auth.secrets import KEY_PREFIX, hash_of
from toril.web.errors import NotAuthenticated

#: Seconds after which a token is looked up again: how long one that was revoked in another process still works.
TRUSTED_FOR: Final = 5.0

_MOST_TOKENS: Final = 10_000


class Access:
    """Knows whom tokens and keys speak for.

    Args:
        secrets: of the installation, the present one first, then those it replaced.
    """

    def __init__(self, database: Database, secrets: Sequence[str]) -> None:
        self.database = database
        self.tokens = AccessTokens(secrets)
        self.passwords = Passwords()
        # By the token's hash: who it is, and until when that holds (wall clock, as tokens expire by it).
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    async def authenticate(self, token: str) -> Principal:
        """Whom an access token or an API key speaks for.

        Raises:
            NotAuthenticated: nobody, or nobody any more.
            DatabaseUnavailableError: it must be looked up, and cannot be.
        """
        key = hash_of(token)
        known = self._known.get(key)
        now = time.time()
        if known is not None and now < known[1]:
            return known[0]
        self._known.pop(key, None)
        principal, until = await (
            self._of_key(token) if token.startswith(KEY_PREFIX) else self._of_session(token)
        )
        self._known[key] = (principal, min(until, now + TRUSTED_FOR))
        while len(self._known) > _MOST_TOKENS:
            self._known.popitem(last=False)
        return principal

    def forget(self, *, user_id: str) -> None:
        """Look this user's tokens up again: their sessions, keys, role or password have changed."""
        for key in [key for key, (principal, _) in self._known.items() if principal.user_id == user_id]:
            del self._known[key]

    def close(self) -> None:
        """End the threads that check passwords."""
        self.passwords.close()

    async def _of_session(self, token: str) -> tuple[Principal, float]:
        claims = self.tokens.check(token)
        async with self.database.reading() as session:
            found = await Sessions(session).find(claims.session_id, now=datetime.now(UTC))
            user = await Users(session).find_active(claims.user_id) if found else None
        if found is None or user is None or found.user_id != user.id:
            raise NotAuthenticated("this sign-in has ended: sign in again", code="session_ended")
        return Principal.of_session(user, found.id), float(claims.expires_at)

    async def _of_key(self, token: str) -> tuple[Principal, float]:
        key: ApiKey | None = None
        user: User | None = None
        async with self.database.reading() as session:
            known = await ApiKeys(session).is_known(hash_of(token))
        if known:  # else whoever makes keys up would hold up all who write
            async with self.database.session() as session:
                key = await ApiKeys(session).find(hash_of(token), now=datetime.now(UTC))
                user = await Users(session).find_active(key.user_id) if key else None
        if key is None or user is None:
            raise NotAuthenticated("this API key is not good (any more)", code="bad_api_key")
        return Principal.of_key(user, key), key.expires_at.timestamp() if key.expires_at else float("inf")
