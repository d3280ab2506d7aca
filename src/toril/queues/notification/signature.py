"""Signatures of webhooks, so that a receiver knows who called: Standard Webhooks, version 1.

Signed is ``{id}.{timestamp}.{body}`` with HMAC-SHA256. Source: the Standard Webhooks specification, "Signature scheme".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from toril.errors import ConfigurationError

_PREFIX: Final = "whsec_"


def new_secret() -> str:
    """A fresh secret, ``whsec_…``, from which those of all receivers are derived; nobody else is to know it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


class WebhookSigner:
    """Signs calls, for each origin with a secret of its own: what one receiver knows signs nothing for another.

    Args:
        secrets: ``whsec_`` and the base64 of 24 to 64 bytes. While a secret is being replaced give both, the new one
            first: every call carries a signature by each, and a receiver accepts either.

    Raises:
        ConfigurationError: there is none, or one is not of this form.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ConfigurationError("WEBHOOK_SECRET is empty")
        self._keys = tuple(_key(secret) for secret in secrets)

    def secret(self, origin: str) -> str:
        """What the receiver at ``origin`` verifies calls with, ``whsec_…``: derived from the newest secret."""
        return _PREFIX + base64.b64encode(_derived(self._keys[0], origin)).decode()

    def headers(self, message_id: str, *, timestamp: int, body: bytes, origin: str) -> dict[str, str]:
        """The headers of one call.

        Args:
            message_id: the same for every attempt; without a dot.
            timestamp: seconds since 1970, of this attempt.
            body: the bytes that are sent.
            origin: who is called, as ``Target.origin`` has it.
        """
        signed = f"{message_id}.{timestamp}.".encode() + body
        digests = (hmac.digest(_derived(key, origin), signed, hashlib.sha256) for key in self._keys)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(f"v1,{base64.b64encode(each).decode()}" for each in digests),
        }


def _derived(key: bytes, origin: str) -> bytes:
    return hmac.digest(key, b"toril webhook secret\n" + origin.encode(), hashlib.sha256)


def _key(secret: str) -> bytes:
    try:
        if not secret.startswith(_PREFIX):
            raise ValueError
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise ConfigurationError("WEBHOOK_SECRET must be whsec_ and base64; new_secret() makes one") from None
    if not 24 <= len(key) <= 64:
        raise ConfigurationError(f"WEBHOOK_SECRET holds {len(key)} bytes; a secret has 24 to 64")
    return key
