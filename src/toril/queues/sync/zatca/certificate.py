"""The certificate and key that sign a unit's documents, in the shapes the signature and the QR code need."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from toril.errors import NotConfiguredError


@dataclass(frozen=True)
class SigningIdentity:
    """A certificate with its private key.

    Attributes:
        text: base64 of the certificate on one line, as it goes into the XML.
        is_sample: it is the sandbox's, which everybody gets and whose key nobody has.
    """

    text: str
    certificate: x509.Certificate = field(repr=False)
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    is_sample: bool = False

    @classmethod
    def load(cls, token: str, private_key: str, *, sample: bool = False) -> SigningIdentity:
        """Read what the authority and the key's maker gave out.

        Args:
            token: ``binarySecurityToken`` as received: base64 of the base64 text of the certificate.
            private_key: PEM, without a password.
            sample: do not ask that the two belong together.
        Raises:
            NotConfiguredError: one cannot be read, is of another kind, or they do not belong together.
        """
        try:
            text = "".join(base64.b64decode(token, validate=True).decode("ascii").split())
            certificate = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
            public = certificate.public_key()
        except (binascii.Error, ValueError) as error:
            raise NotConfiguredError(
                "ZATCA: the certificate cannot be read; give binarySecurityToken exactly as ZATCA issued it"
            ) from error
        try:
            key = serialization.load_pem_private_key(private_key.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Without the library's error, whose text may quote the key.
            raise NotConfiguredError(
                "ZATCA: the private key cannot be read; give the PEM that was made with the CSR, without a password"
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256K1):
            raise NotConfiguredError("ZATCA: the private key must be an EC key on the curve secp256k1")
        if not sample and public != key.public_key():
            raise NotConfiguredError("ZATCA: the private key does not belong to the certificate")
        return cls(text, certificate, key, is_sample=sample)

    @property
    def expires_at(self) -> datetime:
        """Last moment of the certificate, in UTC."""
        return self.certificate.not_valid_after_utc

    @cached_property
    def vat_number(self) -> str | None:
        """The taxpayer that the certificate was issued to, from its alternative name; ``None`` if it does not say."""
        try:
            names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            directory = names.get_values_for_type(x509.DirectoryName)
        except (x509.ExtensionNotFound, ValueError):
            return None
        for name in directory:
            for attribute in name.get_attributes_for_oid(NameOID.USER_ID):
                return str(attribute.value)
        return None

    @cached_property
    def digest(self) -> str:
        """What the signature says of the certificate: base64 of the hex SHA-256 of its text."""
        return base64.b64encode(hashlib.sha256(self.text.encode()).hexdigest().encode()).decode()

    @cached_property
    def issuer(self) -> str:
        """The issuer's name, the most specific part first."""
        return ", ".join(part.rfc4514_string() for part in reversed(list(self.certificate.issuer)))

    @property
    def serial_number(self) -> str:
        return str(self.certificate.serial_number)

    @cached_property
    def public_key(self) -> bytes:
        """DER of the certificate's SubjectPublicKeyInfo."""
        return self.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def authority_signature(self) -> bytes:
        """The issuer's signature of the certificate."""
        return self.certificate.signature

    def sign(self, message: bytes) -> str:
        """Base64 of the DER signature, ECDSA with SHA-256."""
        return base64.b64encode(self.key.sign(message, ec.ECDSA(hashes.SHA256()))).decode()
