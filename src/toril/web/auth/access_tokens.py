"""Access tokens: short-lived JWTs that say who somebody is and which sign-in they belong to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt

from toril.queues.signing import derived_keys
from toril.web.errors import NotAuthenticated

#: Seconds an access token is good for.
LIFETIME: Final = 15 * 60

_ALGORITHM: Final = "HS256"
_TYPE: Final = "at+jwt"  # RFC 9068, section 2.1
_ISSUER: Final = "toril"
_AUDIENCE: Final = "toril-api"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says."""

    user_id: str
    session_id: str
    expires_at: int  #: seconds since 1970


class AccessTokens:
    """Makes access tokens and checks them.

    Args:
        secrets: of the installation, the present one first, then those it replaced, whose tokens are good until they
            expire.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = derived_keys(secrets, purpose="toril access tokens")

    def issue(self, user_id: str, session_id: str, *, now: float | None = None) -> str:
        """A token for a user's session."""
        issued = int(time.time() if now is None else now)
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "iat": issued,
            "exp": issued + LIFETIME,
        }
        return jwt.encode(claims, self._keys[0], algorithm=_ALGORITHM, headers={"typ": _TYPE})

    def check(self, token: str) -> Claims:
        """What the token says.

        Raises:
            NotAuthenticated: it is none of ours, was changed, or has expired (code ``token_expired``).
        """
        try:
            whole = self._decode(token)
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated(
                "the access token has expired: get another with the refresh token", code="token_expired"
            ) from None
        except jwt.InvalidTokenError:
            raise NotAuthenticated("the access token is not good: sign in again", code="bad_token") from None
        claims = whole["payload"]
        if whole["header"].get("typ") != _TYPE or not isinstance(claims["sid"], str):
            raise NotAuthenticated("this is not an access token", code="bad_token")
        return Claims(str(claims["sub"]), claims["sid"], int(claims["exp"]))

    def _decode(self, token: str) -> dict[str, Any]:
        """Header and claims, by whichever key signed them."""
        *others, last = self._keys
        for key in others:
            try:
                return _decode(token, key)
            except jwt.InvalidSignatureError:
                continue
        return _decode(token, last)


def _decode(token: str, key: bytes) -> dict[str, Any]:
    return jwt.decode_complete(
        token,
        key,
        algorithms=[_ALGORITHM],  # whatever the token itself says
        issuer=_ISSUER,
        audience=_AUDIENCE,
        # The clock of whoever issued it may be ahead of ours; when a token ends is what counts.
        options={"require": ["exp", "iat", "sub", "sid", "iss", "aud"], "verify_iat": False},
    )
