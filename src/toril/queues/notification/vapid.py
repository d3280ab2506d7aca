"""VAPID: how a push service knows whose messages it carries (RFC 8292)."""

from __future__ import annotations

import base64
import binascii
import re
import time
from typing import Any, Final

from toril.errors import ConfigurationError

_VALID_FOR: Final = 12 * 3600  #: seconds; services refuse more than 24 hours
_ADDRESS = re.compile(r"(?:.*<)?([^\s@<>]+@[^\s@<>]+)>?")


class Vapid:
    """The key pair of this installation, and whom to write to about its messages.

    Args:
        public_key: the point that browsers subscribe with: 65 bytes in base64url.
        private_key: 32 bytes in base64url.
        contact: an e-mail address.

    Raises:
        ConfigurationError: a key cannot be read, or the two are no pair; the contact is no address; or pywebpush is
            not installed.
    """

    def __init__(self, public_key: str, private_key: str, *, contact: str) -> None:
        try:
            from py_vapid import Vapid02  # type: ignore[import-untyped]  # here: few need it
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"Web Push needs the package {error.name!r}: pip install 'toril[notification]'"
            ) from error
        address = _ADDRESS.fullmatch(contact.strip())
        if address is None:
            raise ConfigurationError("CONTACT_EMAIL must be an e-mail address: push services ask for one")
        private = _decoded(private_key, "VAPID_PRIVATE_KEY", 32)
        public = _decoded(public_key, "VAPID_PUBLIC_KEY", 65)
        try:
            self._signer = Vapid02.from_raw(base64.urlsafe_b64encode(private))
        except ValueError:
            raise ConfigurationError("VAPID_PRIVATE_KEY is not a key: its number is out of range") from None
        if _point(self._signer) != public:
            raise ConfigurationError("VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY are not of one pair")
        self.public_key = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
        self._subject = f"mailto:{address[1]}"

    def header(self, origin: str) -> str:
        """The ``Authorization`` header for a push service.

        Args:
            origin: its scheme and host, and the port unless it is the usual one.
        """
        claims = {"aud": origin, "exp": int(time.time()) + _VALID_FOR, "sub": self._subject}
        return str(self._signer.sign(claims)["Authorization"])


def new_keys() -> tuple[str, str]:
    """A fresh key pair, public and private, as the settings take them.

    Browsers keep the public key in their subscriptions: with a new pair all of them must subscribe again.
    """
    from py_vapid import Vapid02

    made = Vapid02()
    made.generate_keys()
    private = made.private_key.private_numbers().private_value.to_bytes(32, "big")
    public, private = (base64.urlsafe_b64encode(each).rstrip(b"=") for each in (_point(made), private))
    return public.decode(), private.decode()


def _point(signer: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    found: bytes = signer.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return found


def _decoded(text: str, setting: str, size: int) -> bytes:
    bare = text.strip().rstrip("=")
    try:
        found = base64.b64decode(
            bare.replace("-", "+").replace("_", "/") + "=" * (-len(bare) % 4), validate=True
        )
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != size:
        raise ConfigurationError(f"{setting} must be {size} bytes in base64url, as new_keys() makes them")
    return found
