"""Texts that only this installation can read, and only in the place they were put.

The one place where keys are made from the installation's secret: whoever replaces the secret gives the new one and the
old ones here, and what is stored next is stored under the new one.
"""

from __future__ import annotations

import base64
import binascii
import secrets as random_bytes
from collections.abc import Sequence
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from toril.errors import ConfigurationError, NotConfiguredError
from toril.queues.signing import SHORTEST_SECRET

SealAge = Literal["present", "replaced", "unknown"]

_NONCE_BYTES: Final = 12
_VERSION: Final = "1:"  #: of the form: AES-256-GCM, nonce first, in base64


class Sealer:
    """Encrypts with AES-256-GCM, by a key that is derived from a secret with HKDF.

    Args:
        secrets: the present one first, then those it replaced, which still open what they sealed.
        purpose: what is sealed; texts of one purpose do not open as those of another.

    Raises:
        ConfigurationError: there is no secret, or one of less than 32 characters.
    """

    def __init__(self, secrets: Sequence[str], *, purpose: str) -> None:
        if not secrets or min(map(len, secrets)) < SHORTEST_SECRET:
            raise ConfigurationError(f"TORIL_SECRET must have at least {SHORTEST_SECRET} characters")
        self._ciphers = [AESGCM(_key(secret, purpose)) for secret in secrets]

    def seal(self, text: str, *, place: str) -> str:
        """``text``, encrypted by the present secret.

        Args:
            place: where it is kept, such as a firm's id and a name; it does not open in another.
        """
        nonce = random_bytes.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._ciphers[0].encrypt(nonce, text.encode(), place.encode())
        return _VERSION + base64.b64encode(sealed).decode()

    def open(self, sealed: str, *, place: str) -> str:
        """The text that was sealed for a place.

        Raises:
            NotConfiguredError: no secret opens it, it was sealed for another place, or it is damaged.
        """
        found = self._open(sealed, place)
        if found is None:
            raise NotConfiguredError(
                f"what is stored for {place} does not open: it was stored under another TORIL_SECRET, or is damaged. "
                "Set the secret it was stored under, or store it again"
            )
        return found[0]

    def age(self, sealed: str, *, place: str) -> SealAge:
        """Which secret opens it: the present one, one that was replaced, so that it should be sealed again, or none."""
        found = self._open(sealed, place)
        if found is None:
            return "unknown"
        return "replaced" if found[1] else "present"

    def _open(self, sealed: str, place: str) -> tuple[str, int] | None:
        """The text, and which secret opened it."""
        if not sealed.startswith(_VERSION):
            return None
        try:
            raw = base64.b64decode(sealed[len(_VERSION) :], validate=True)
        except binascii.Error:
            return None
        for number, cipher in enumerate(self._ciphers):
            try:
                return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode()).decode(), number
            except (InvalidTag, ValueError):
                continue
        return None


def _key(secret: str, purpose: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=f"toril: {purpose}".encode()).derive(secret.encode())
