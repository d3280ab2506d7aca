"""Signatures by the installation's secret, and by those it replaced."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Final

from toril.errors import ConfigurationError

SHORTEST_SECRET: Final = 32  #: characters


def derived_keys(secrets: Sequence[str], *, purpose: str) -> list[bytes]:
    """A key for one purpose from each secret, so that nothing made for another with the same secret fits.

    Args:
        secrets: of the installation, the present one first, then those it replaced.
        purpose: what the keys are for; it never changes.

    Raises:
        ConfigurationError: there is no secret, or one is too short.
    """
    if not secrets or min(map(len, secrets)) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"the secret must have at least {SHORTEST_SECRET} characters (TORIL_SECRET, TORIL_SECRET_PREVIOUS)"
        )
    return [hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256) for secret in secrets]


class Signer:
    """Signs texts with HMAC-SHA256 by the present secret, and knows what the replaced ones signed.

    Args:
        secrets, purpose: as for ``derived_keys``.
        encode: the 32 bytes of a signature as the text that is handed out, which may be of a part of them.
    """

    def __init__(self, secrets: Sequence[str], *, purpose: str, encode: Callable[[bytes], str]) -> None:
        self._keys = derived_keys(secrets, purpose=purpose)
        self._encode = encode

    def sign(self, text: str) -> str:
        """The signature of a text."""
        return self._signature(self._keys[0], text)

    def has_signed(self, text: str, signature: str) -> bool:
        """Whether the signature is ours, by any of the secrets."""
        given = signature.encode("utf-8", "replace")
        expected = [self._signature(key, text).encode() for key in self._keys]
        return any(hmac.compare_digest(given, each) for each in expected)

    def _signature(self, key: bytes, text: str) -> str:
        return self._encode(hmac.digest(key, text.encode("utf-8", "replace"), hashlib.sha256))


def to_base64(content: bytes) -> str:
    """In the letters that URLs have, without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def from_base64(text: str) -> bytes:
    """What ``to_base64`` encoded.

    Raises:
        ValueError: it is none.
    """
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
