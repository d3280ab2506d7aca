"""Refresh tokens: long-lived, each good once, and signed, so that one that was never ours ends nobody's session."""

from __future__ import annotations

import re
import secrets as random_texts
from collections.abc import Sequence
from typing import Final

from toril.queues.signing import Signer

_FORM: Final = re.compile(r"([0-9a-f]{24})\.[A-Za-z0-9_-]{43}\.[0-9a-f]{32}")
_SIGNATURE: Final = 32  #: hexadecimal digits: 128 bits, which nobody guesses through a web server


class RefreshTokens:
    """Makes refresh tokens, ``session.random.signature``, and tells those that we made.

    Args:
        secrets: of the installation, the present one first, then those it replaced, whose tokens are still good.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._signer = Signer(
            secrets, purpose="toril refresh tokens", encode=lambda digest: digest.hex()[:_SIGNATURE]
        )

    def issue(self, session_id: str) -> str:
        """A new token of a session."""
        body = f"{session_id}.{random_texts.token_urlsafe(32)}"
        return f"{body}.{self._signer.sign(body)}"

    def session_of(self, token: str) -> str | None:
        """The session of a token that we made, used up or not; None for any other text."""
        found = _FORM.fullmatch(token)
        body, _, signature = token.rpartition(".")
        if found is None or not self._signer.has_signed(body, signature):
            return None
        return found[1]
