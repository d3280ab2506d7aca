"""Refresh tokens: long-lived, each good once, and signed, so that one that was never ours ends nobody's session."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final

_FORM: Final = re.compile(r"([0-9a-f]{24})\.[A-Za-z0-9_-]{43}\.[0-9a-f]{32}")


class RefreshTokens:
    """Makes refresh tokens, ``session.random.signature``, and tells those that we made.

    Args:
        secret: of the installation.
    """

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"toril refresh tokens", hashlib.sha256)

    def issue(self, session_id: str) -> str:
        """A new token of a session."""
        body = f"{session_id}.{secrets.token_urlsafe(32)}"
        return f"{body}.{self._sign(body)}"

    def session_of(self, token: str) -> str | None:
        """The session of a token that we made, used up or not; None for any other text."""
        found = _FORM.fullmatch(token)
        body, _, signature = token.rpartition(".")
        if found is None or not hmac.compare_digest(signature, self._sign(body)):
            return None
        return found[1]

    def _sign(self, body: str) -> str:
        return hmac.digest(self._key, body.encode(), hashlib.sha256).hex()[:32]
