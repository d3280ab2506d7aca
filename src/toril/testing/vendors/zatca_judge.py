"""A judge of tax documents: whether a document is whole, is hashed as it says, and is signed by the key it shows.

It knows little of the tax rules. For those, give the gateway an independent validator of them.
"""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from lxml import etree

from toril.queues.sync.zatca import qr
from toril.queues.sync.zatca.signature import invoice_hash, qr_of


class SignatureJudge:
    """Reads the QR code, which carries hash, signature and key."""

    def findings(self, xml: str) -> dict[str, list[str]]:
        """Codes of what is wrong with a document, under ``error`` and ``warning``."""
        found: dict[str, list[str]] = {"error": [], "warning": []}
        try:
            fields = qr.decode(qr_of(xml.encode()))
            key = load_der_public_key(fields[qr.PUBLIC_KEY])
        except (ValueError, KeyError, etree.XMLSyntaxError):
            found["error"].append("QRCODE_INVALID")
            return found
        hashed = self.hash(xml)
        if fields[qr.HASH].decode() != hashed:
            found["error"].append("QRCODE_HASH")
        try:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            signature = base64.b64decode(fields[qr.SIGNATURE])
            key.verify(signature, base64.b64decode(hashed), ec.ECDSA(hashes.SHA256()))
        except (AssertionError, ValueError, InvalidSignature):
            found["error"].append("SIGNATURE_INVALID")
        return found

    def hash(self, xml: str) -> str:
        """Its hash, as base64."""
        return invoice_hash(xml.encode())
