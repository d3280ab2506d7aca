"""Whether a webhook comes from whom it says: signatures of bodies."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Final

from toril.errors import ConfigurationError

#: Seconds a signature's time may be off: longer, and somebody may be sending again what they overheard.
TOLERANCE: Final = 300


class SvixVerifier:
    """Signatures as Svix makes them, whom Resend uses: Standard Webhooks with other names for the headers.

    Args:
        secret: ``whsec_`` and base64.
        clock: seconds since 1970.

    Raises:
        ConfigurationError: the secret is not of this form.
    """

    def __init__(self, secret: str, *, clock: Callable[[], float] = time.time) -> None:
        try:
            self._key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ConfigurationError(
                "RESEND_WEBHOOK_SECRET must be as Resend shows it: whsec_ and base64"
            ) from error
        self._clock = clock

    def event_id(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """The id of a delivery that is signed, and signed lately; else None."""
        event_id, timestamp = headers.get("svix-id", ""), headers.get("svix-timestamp", "")
        if not event_id or len(event_id) > 128 or not timestamp.isdecimal() or len(timestamp) > 12:
            return None
        if abs(self._clock() - int(timestamp)) > TOLERANCE:
            return None
        digest = hmac.digest(self._key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
        expected = base64.b64encode(digest)
        for given in headers.get("svix-signature", "").split():
            version, _, signature = given.partition(",")
            if version == "v1" and hmac.compare_digest(signature.encode(), expected):
                return event_id
        return None


def signed_by_meta(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a body carries Meta's signature: ``X-Hub-Signature-256`` over its bytes as they came."""
    digest = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    given = headers.get("x-hub-signature-256", "")
    return hmac.compare_digest(given.encode("utf-8", "replace"), f"sha256={digest}".encode())
