"""The key of a signing unit, and the request for its certificate.

Layout: ZATCA, "Security Features Implementation Standards": subject C, OU, O, CN; the template's name as an extension;
and a directory name that says what the unit is.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

import toril
from toril.db.models.firms import Firm
from toril.db.models.zatca import ZatcaEnvironment, ZatcaKind
from toril.errors import OptionError, UnrecoverableError
from toril.queues.sync.zatca.gateway import CERTIFICATE_TEMPLATES
from toril.queues.sync.zatca.parties import VAT_NUMBER, seller_problems

_TEMPLATE: Final = ObjectIdentifier("1.3.6.1.4.1.311.20.2")
_REGISTERED_ADDRESS: Final = ObjectIdentifier("2.5.4.26")
_UTF8_STRING: Final = 0x0C
_REFUSED: Final = re.compile(r"[!@#$%&*_<=]")
_LONGEST: Final = 64  #: characters


def _serial() -> str:
    return f"1-Toril|2-{toril.__version__}|3-{uuid.uuid4()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A signing unit: the software that issues a taxpayer's documents.

    Attributes:
        organisation: the taxpayer's name.
        branch: the branch's name; for a VAT group (11th digit of the number is 1) the member's 10-digit TIN.
        name: the unit's own.
        location: the branch's address, or its short form.
        industry: the taxpayer's line of business.
        serial: ``1-<solution>|2-<model>|3-<serial>``.
        kinds: the documents it issues.
    Raises:
        OptionError: a value is missing or not acceptable.
    """

    vat_number: str
    organisation: str
    branch: str
    name: str
    location: str
    industry: str
    serial: str = field(default_factory=_serial)
    kinds: tuple[ZatcaKind, ...] = (ZatcaKind.STANDARD, ZatcaKind.SIMPLIFIED)

    def __post_init__(self) -> None:
        if not VAT_NUMBER.fullmatch(self.vat_number):
            raise OptionError("the VAT number must have 15 digits, the first and the last a 3")
        for what in ("organisation", "branch", "name", "location", "industry", "serial"):
            value = getattr(self, what)
            if not value.strip() or len(value) > _LONGEST or _REFUSED.search(value):
                raise OptionError(
                    f"{what} {value!r} must have 1 to {_LONGEST} characters, and none of ! @ # $ % & * _ < ="
                )
        if self.vat_number[10] == "1" and not re.fullmatch(r"[0-9]{10}", self.branch):
            raise OptionError("for a VAT group, branch must be the 10-digit TIN of the member")
        if not self.kinds:
            raise OptionError("a unit must issue standard documents, simplified ones or both")

    @property
    def title(self) -> str:
        """What it issues, as four flags: ``1100``, ``1000`` or ``0100``."""
        return (
            "".join("1" if kind in self.kinds else "0" for kind in (ZatcaKind.STANDARD, ZatcaKind.SIMPLIFIED))
            + "00"
        )


def unit_of(firm: Firm, **given: Any) -> Unit:
    """The unit of a firm, as its record describes it; ``given`` are values of ``Unit`` instead.

    Raises:
        UnrecoverableError: the record lacks what a seller must have.
        OptionError: a value is not acceptable.
    """
    if problems := seller_problems(firm):
        raise UnrecoverableError(f"firm {firm.id} cannot be onboarded: {'; '.join(problems)}")
    recorded = {
        "vat_number": firm.vat_number or "",
        "organisation": _acceptable(firm.name_ar or firm.name_en),
        "branch": _acceptable(firm.city),
        "name": "TORIL-1",
        "location": _acceptable(f"{firm.building_number} {firm.street}"),
        "industry": "Legal services",
    }
    return Unit(**{**recorded, **given})


def _acceptable(text: str | None) -> str:
    return " ".join(_REFUSED.sub(" ", text or "").split())[:_LONGEST].strip()


def make_key() -> str:
    """A new private key as PEM. It never leaves this installation."""
    key = ec.generate_private_key(ec.SECP256K1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def make_csr(unit: Unit, private_key: str, environment: ZatcaEnvironment) -> str:
    """The request for a unit's certificate, as PEM."""
    key = serialization.load_pem_private_key(private_key.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise OptionError("the private key must be an EC key")
    subject = _name(
        (NameOID.COUNTRY_NAME, "SA"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, unit.branch),
        (NameOID.ORGANIZATION_NAME, unit.organisation),
        (NameOID.COMMON_NAME, unit.name),
    )
    directory = _name(
        (NameOID.SURNAME, unit.serial),  # SN, read here as serial number
        (NameOID.USER_ID, unit.vat_number),
        (NameOID.TITLE, unit.title),
        (_REGISTERED_ADDRESS, unit.location),
        (NameOID.BUSINESS_CATEGORY, unit.industry),
    )
    template = CERTIFICATE_TEMPLATES[environment].encode()
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(
            x509.UnrecognizedExtension(_TEMPLATE, bytes((_UTF8_STRING, len(template))) + template),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName([x509.DirectoryName(directory)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _name(*attributes: tuple[ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
