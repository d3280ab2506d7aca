"""Hashing and signing a tax document.

The hash is SHA-256 of the canonical XML without the extensions (which hold the signature), ``cac:Signature`` and the
QR code; the white space around them counts. The signature is ECDSA over that hash, **not** over ``SignedInfo``, so
general XML signature tools neither make nor verify it. The digest of the signed properties is taken from their text
as one widely used XML library prints that element alone: with its indentation in the document, and every namespace
declared again where it is used. Source: ZATCA, "Security Features Implementation Standards".
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lxml import etree

from toril.db.models.zatca import ZatcaKind
from toril.queues.sync.zatca import qr
from toril.queues.sync.zatca.certificate import SigningIdentity
from toril.queues.sync.zatca.document import ChainPlace, TaxDocument
from toril.queues.sync.zatca.ubl import NAMESPACES, invoice_element
from toril.queues.sync.zatca.xml import Element, element, leaf, one_line, parse, without

_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"
_C14N: Final = "http://www.w3.org/2006/12/xml-c14n11"
_SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
_XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_UBL: Final = "urn:oasis:names:specification:ubl:"
_SIGNATURE_SCHEMAS: Final = {
    "sig": "CommonSignatureComponents",
    "sac": "SignatureAggregateComponents",
    "sbc": "SignatureBasicComponents",
}
_LEFT_OUT: Final = (
    "not(//ancestor-or-self::ext:UBLExtensions)",
    "not(//ancestor-or-self::cac:Signature)",
    "not(//ancestor-or-self::cac:AdditionalDocumentReference[cbc:ID='QR'])",
)

#: Levels of indentation, as in ZATCA's samples: of the extension, and so of the signed properties in it.
_EXTENSION_LEVEL, _PROPERTIES_LEVEL = 0, 7

_QUERY = {name.removeprefix("xmlns:"): uri for name, uri in NAMESPACES.items() if name != "xmlns"}
_NOT_HASHED = etree.XPath(
    "//ext:UBLExtensions | //cac:Signature | //cac:AdditionalDocumentReference[cbc:ID='QR']",
    namespaces=_QUERY,
)
_QR = etree.XPath(
    "string(//cac:AdditionalDocumentReference[cbc:ID='QR']/cac:Attachment/cbc:EmbeddedDocumentBinaryObject)",
    namespaces=_QUERY,
)
_UUID = etree.XPath("string(/*/cbc:UUID)", namespaces=_QUERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument:
    """A finished document: the text whose bytes are stored and sent, and what is known of it besides."""

    xml: str
    hash: str  #: base64 of the SHA-256 digest
    qr: str


def sign(
    document: TaxDocument, place: ChainPlace, identity: SigningIdentity, *, signed_at: datetime
) -> SignedDocument:
    """Write and sign a document; a second call gives other bytes, as an ECDSA signature is never the same twice.

    Args:
        signed_at: aware.
    Raises:
        UnrecoverableError: the seller's name does not fit into the QR code.
    """
    digest = _digest(_write(document, place, extension=None, qr_text="").encode())
    hashed = base64.b64encode(digest).decode()
    signature = identity.sign(digest)
    fields: dict[int, str | bytes] = {
        qr.SELLER: one_line(document.seller.name),
        qr.VAT_NUMBER: document.seller.vat_number or "",
        qr.ISSUED_AT: f"{document.issued_at:%Y-%m-%dT%H:%M:%S}",
        qr.TOTAL: f"{document.total:.2f}",
        qr.VAT: f"{document.vat:.2f}",
        qr.HASH: hashed,
        qr.SIGNATURE: signature,
        qr.PUBLIC_KEY: identity.public_key,
    }
    if document.kind is ZatcaKind.SIMPLIFIED:
        fields[qr.CERTIFICATE_SIGNATURE] = identity.authority_signature
    code = qr.encode(fields)
    moment = f"{signed_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    xml = _write(document, place, extension=_signature(hashed, signature, identity, moment), qr_text=code)
    return SignedDocument(xml=xml, hash=hashed, qr=code)


def hash_of(document: TaxDocument, place: ChainPlace) -> str:
    """The hash a document has at a place, without signing it."""
    return invoice_hash(_write(document, place, extension=None, qr_text="").encode())


def invoice_hash(xml: bytes) -> str:
    """The hash of a written document, signed or not, as base64.

    Raises:
        lxml.etree.XMLSyntaxError: it is not well-formed.
    """
    return base64.b64encode(_digest(xml)).decode()


def qr_of(xml: bytes) -> str:
    """The text of a written document's QR code; empty when it has none."""
    return str(_QR(parse(xml))).strip()


def uuid_of(xml: bytes) -> str:
    """The UUID of a written document; empty when it has none."""
    return str(_UUID(parse(xml))).strip()


def _digest(xml: bytes) -> bytes:
    root = parse(xml)
    found: Any = _NOT_HASHED(root)
    without(root, found)
    # Canonical XML 1.1 and 1.0 differ only in xml:id and xml:base, which these documents have not.
    return hashlib.sha256(etree.tostring(root, method="c14n", exclusive=False, with_comments=False)).digest()


def _write(document: TaxDocument, place: ChainPlace, *, extension: Element | None, qr_text: str) -> str:
    root = invoice_element(document, place, extension=extension, qr=qr_text)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root.write()}\n'


def _signature(hashed: str, signature: str, identity: SigningIdentity, signed_at: str) -> Element:
    """The element ``ext:UBLExtension`` with an enveloped XAdES signature."""
    alone = _signed_properties(identity, signed_at, alone=True).write(_PROPERTIES_LEVEL).lstrip()
    properties_digest = base64.b64encode(hashlib.sha256(alone.encode()).hexdigest().encode()).decode()
    signed_info = element(
        "ds:SignedInfo",
        element("ds:CanonicalizationMethod", Algorithm=_C14N),
        element("ds:SignatureMethod", Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),
        element(
            "ds:Reference",
            element(
                "ds:Transforms",
                *(element("ds:Transform", leaf("ds:XPath", path), Algorithm=_XPATH) for path in _LEFT_OUT),
                element("ds:Transform", Algorithm=_C14N),
            ),
            *_digest_elements(hashed),
            Id="invoiceSignedData",
            URI="",
        ),
        element(
            "ds:Reference",
            *_digest_elements(properties_digest),
            Type=f"{_DS}SignatureProperties",
            URI="#xadesSignedProperties",
        ),
    )
    signature_element = element(
        "ds:Signature",
        signed_info,
        leaf("ds:SignatureValue", signature),
        element("ds:KeyInfo", element("ds:X509Data", leaf("ds:X509Certificate", identity.text))),
        element(
            "ds:Object",
            Element(
                "xades:QualifyingProperties",
                (_signed_properties(identity, signed_at, alone=False),),
                {"xmlns:xades": _XADES, "Target": "signature"},
            ),
        ),
        **{"xmlns:ds": _DS, "Id": "signature"},
    )
    information = element(
        "sac:SignatureInformation",
        leaf("cbc:ID", f"{_UBL}signature:1"),
        leaf("sbc:ReferencedSignatureID", f"{_UBL}signature:Invoice"),
        signature_element,
    )
    namespaces = {
        f"xmlns:{prefix}": f"{_UBL}schema:xsd:{name}-2" for prefix, name in _SIGNATURE_SCHEMAS.items()
    }
    content = (
        leaf("ext:ExtensionURI", f"{_UBL}dsig:enveloped:xades"),
        element("ext:ExtensionContent", Element("sig:UBLDocumentSignatures", (information,), namespaces)),
    )
    return Element("ext:UBLExtension", content, level=_EXTENSION_LEVEL)


def _signed_properties(identity: SigningIdentity, signed_at: str, *, alone: bool) -> Element:
    """When and with which certificate it was signed.

    Args:
        alone: with the namespaces declared as if nothing stood around it; that text is what is digested.
    """
    ds = {"xmlns:ds": _DS} if alone else {}
    xades = {"xmlns:xades": _XADES} if alone else {}
    certificate = element(
        "xades:Cert",
        element("xades:CertDigest", *_digest_elements(identity.digest, **ds)),
        element(
            "xades:IssuerSerial",
            leaf("ds:X509IssuerName", identity.issuer, **ds),
            leaf("ds:X509SerialNumber", identity.serial_number, **ds),
        ),
    )
    signed = element(
        "xades:SignedSignatureProperties",
        leaf("xades:SigningTime", signed_at),
        element("xades:SigningCertificate", certificate),
    )
    return element("xades:SignedProperties", signed, **xades, Id="xadesSignedProperties")


def _digest_elements(value: str, **attributes: str) -> tuple[Element, Element]:
    return element("ds:DigestMethod", **attributes, Algorithm=_SHA256), leaf(
        "ds:DigestValue", value, **attributes
    )
