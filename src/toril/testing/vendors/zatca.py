"""ZATCA's gateway as its documentation says it behaves, with a certificate authority of its own.

What is wrong with a document, a judge says: see ``zatca_judge``, or bring one of your own. What the gateway says of
documents, and the statuses for what it has had before, follow its published guideline.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lxml import etree

from toril.testing.vendors.server import Reply, VendorRequest, VendorServer, vendor_server

OTP = "123345"
_CBC = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
_CAC = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
_NAMES = {"cac": _CAC, "cbc": _CBC}
_QR = "//cac:AdditionalDocumentReference[cbc:ID='QR']//cbc:EmbeddedDocumentBinaryObject"


class Judge(Protocol):
    """Who knows the rules for documents."""

    def findings(self, xml: str) -> dict[str, list[str]]:
        """Codes of what is wrong with a document, under ``error`` and ``warning``."""
        ...

    def hash(self, xml: str) -> str:
        """Its hash, as base64."""
        ...


@dataclass
class Access:
    """One certificate that the gateway has given out."""

    token: str
    secret: str
    request_id: str
    kind: str  #: compliance or production
    title: str
    certificate: x509.Certificate
    passed: set[tuple[str, str]] = field(default_factory=set)
    revoked: bool = False


@dataclass
class ZatcaServer:
    """The gateway and what it has had.

    Attributes:
        judge: finds what is wrong with documents.
        clock: the present, aware; certificates are good for a year before and after.
        clearance_off: answer clearance with 303.
        accepted: hash → (``cleared`` or ``reported``, the answer) of documents that passed.
        max_bytes: a larger body gets 413.
        renewal_status: 428 (samples are needed first) or 200.
    """

    http: VendorServer
    judge: Judge
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    clearance_off: bool = False
    max_bytes: int = 10 * 2**20
    renewal_status: int = 428
    accepted: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    issued: list[Access] = field(default_factory=list)
    _ca: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256K1()))
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1234567890123))

    @property
    def url(self) -> str:
        return f"{self.http.url}/e-invoicing/developer-portal"

    def sent(self) -> list[VendorRequest]:
        """Requests that carried a document for clearance or reporting."""
        return [request for request in self.http.requests if "/invoices/" in request.path]

    def issue(
        self,
        public_key: Any,
        *,
        kind: str = "production",
        vat_number: str = "399999999900003",
        title: str = "1100",
        expires_at: datetime | None = None,
    ) -> Access:
        """Give out a certificate, as the last step of onboarding does."""
        now = self.clock()
        issuer = x509.Name(
            [
                x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "local"),
                x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "gov"),
                x509.NameAttribute(NameOID.COMMON_NAME, "TSZEINVOICE-SubCA-1"),
            ]
        )
        unit = x509.Name(
            [x509.NameAttribute(NameOID.USER_ID, vat_number), x509.NameAttribute(NameOID.TITLE, title)]
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "SA")]))
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=365))
            .not_valid_after(expires_at or now + timedelta(days=365))
            .add_extension(x509.SubjectAlternativeName([x509.DirectoryName(unit)]), critical=False)
            .sign(self._ca, hashes.SHA256())
        )
        text = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER))
        access = Access(
            token=base64.b64encode(text).decode(),
            secret=secrets.token_urlsafe(32),
            request_id=str(next(self._numbers)),
            kind=kind,
            title=title,
            certificate=certificate,
        )
        self.issued.append(access)
        return access

    def answer(self, request: VendorRequest) -> Reply:
        """Work one request."""
        if request.headers.get("accept-version") != "V2":
            return Reply(406, b"")
        if len(request.body) > self.max_bytes:
            return Reply(413, b"<html><body>Request Entity Too Large</body></html>")
        path = request.path.removeprefix("/e-invoicing/developer-portal")
        if (request.method, path) == ("POST", "/compliance"):
            return self._compliance(request)
        access = self._access(request)
        if access is None:
            return Reply(401, {"timestamp": 1, "status": 401, "error": "Unauthorized", "message": ""})
        match request.method, path:
            case "PATCH", "/production/csids":
                return self._renew(request, access)
            case "POST", "/production/csids":
                return self._production(request, access)
            case "POST", "/compliance/invoices":
                return self._document(request, access, route="check")
            case "POST", "/invoices/clearance/single" if access.kind == "production":
                if request.headers.get("clearance-status") != "1" or self.clearance_off:
                    return Reply(303, {"message": "Clearance is deactivated; use the reporting endpoint"})
                return self._document(request, access, route="cleared")
            case "POST", "/invoices/reporting/single" if access.kind == "production":
                return self._document(request, access, route="reported")
        return Reply(404, b"")

    def _access(self, request: VendorRequest) -> Access | None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            token, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if scheme != "Basic":
            return None
        return next(
            (
                each
                for each in self.issued
                if (each.token, each.secret, each.revoked) == (token, secret, False)
            ),
            None,
        )

    def _compliance(self, request: VendorRequest) -> Reply:
        if request.headers.get("otp") != OTP:
            return Reply(400, {"errors": [{"code": "Invalid-OTP", "message": "The provided OTP is invalid"}]})
        return self._certify(request, status=200)

    def _certify(self, request: VendorRequest, *, status: int) -> Reply:
        csr = x509.load_pem_x509_csr(base64.b64decode(request.json["csr"]))
        if not csr.is_signature_valid or csr.public_key().curve.name != "secp256k1":  # type: ignore[union-attr]
            return Reply(400, {"errors": [{"code": "Invalid-CSR", "message": "The CSR is invalid"}]})
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        unit = names.get_values_for_type(x509.DirectoryName)[0]
        vat_number, title = (
            str(unit.get_attributes_for_oid(oid)[0].value) for oid in (NameOID.USER_ID, NameOID.TITLE)
        )
        access = self.issue(csr.public_key(), kind="compliance", vat_number=vat_number, title=title)
        return Reply(status, _csid(access, "ISSUED" if status == 200 else "NOT_COMPLIANT"))

    def _production(self, request: VendorRequest, access: Access) -> Reply:
        if request.json["compliance_request_id"] != access.request_id:
            return Reply(400, {"errors": [{"code": "Invalid-RequestID", "message": "unknown request id"}]})
        kinds = [kind for kind, flag in zip(("01", "02"), access.title, strict=False) if flag == "1"]
        missing = {(kind, code) for kind in kinds for code in ("388", "381", "383")} - access.passed
        if missing:
            said = f"Compliance steps are missing: {sorted(missing)}"
            return Reply(400, {"errors": [{"code": "Missing-ComplianceSteps", "message": said}]})
        made = self.issue(access.certificate.public_key(), vat_number=_vat_number(access), title=access.title)
        return Reply(200, _csid(made, "ISSUED"))

    def _renew(self, request: VendorRequest, access: Access) -> Reply:
        if request.headers.get("otp") != OTP or access.kind != "production":
            return Reply(400, {"errors": [{"code": "Invalid-OTP", "message": "The provided OTP is invalid"}]})
        return self._certify(request, status=self.renewal_status)

    def _document(self, request: VendorRequest, access: Access, *, route: str) -> Reply:
        try:
            body = request.json
            xml = base64.b64decode(body["invoice"], validate=True).decode()
            root = etree.fromstring(xml.encode())
        except (ValueError, KeyError, TypeError, etree.XMLSyntaxError):
            return Reply(400, {"timestamp": 1, "status": 400, "error": "Bad Request"})
        hashed = self.judge.hash(xml)
        found = self.judge.findings(xml)
        type_code = root.find(f"{{{_CBC}}}InvoiceTypeCode")
        assert type_code is not None
        kind = str(type_code.get("name"))[:2]
        if body["invoiceHash"] != hashed:
            found["error"].append("invalid-invoice-hash")
        if body["uuid"] != root.findtext(f"{{{_CBC}}}UUID"):
            found["error"].append("invalid-uuid")
        if route == "cleared" and kind != "01":
            found["error"].append("INVOICE-TYPE")
        if _seller(root) != _vat_number(access):
            found["error"].append("certificate-permissions")
        if found["error"]:
            return Reply(400, _verdict(found, "ERROR", route, kind, accepted=False))
        if hashed in self.accepted and route != "check":
            first_route, first = self.accepted[hashed]
            if first_route == "cleared":
                return Reply(208, first)
            repeated = {"error": ["Invoice-Reported-Before"], "warning": []}
            return Reply(409, _verdict(repeated, "ERROR", route, kind, accepted=False))
        verdict = _verdict(found, "WARNING" if found["warning"] else "PASS", route, kind, accepted=True)
        if route == "check":
            access.passed.add((kind, str(type_code.text)))
        else:
            if route == "cleared":
                verdict["clearedInvoice"] = base64.b64encode(self._officially(root)).decode()
            self.accepted[hashed] = (route, verdict)
        return Reply(202 if found["warning"] else 200, verdict)

    def _officially(self, root: Any) -> bytes:
        """The document with the authority's own QR code."""
        place = root.xpath(_QR, namespaces=_NAMES)[0]
        place.text = base64.b64encode(b"\x01\x05ZATCA" + base64.b64decode(place.text)).decode()
        return bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True))


def official_qr(cleared: str) -> str:
    """The QR code in a cleared document."""
    return str(etree.fromstring(cleared.encode()).xpath(f"string({_QR})", namespaces=_NAMES))


def document_in(request: VendorRequest) -> str:
    """The XML that a request carries."""
    return base64.b64decode(json.loads(request.body)["invoice"]).decode()


def _seller(root: Any) -> str:
    return str(
        root.xpath("string(cac:AccountingSupplierParty//cac:PartyTaxScheme/cbc:CompanyID)", namespaces=_NAMES)
    )


def _vat_number(access: Access) -> str:
    names = access.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    unit = names.get_values_for_type(x509.DirectoryName)[0]
    return str(unit.get_attributes_for_oid(NameOID.USER_ID)[0].value)


def _csid(access: Access, said: str) -> dict[str, Any]:
    return {
        "requestID": int(access.request_id),
        "dispositionMessage": said,
        "binarySecurityToken": access.token,
        "secret": access.secret,
        "tokenType": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3",
        "errors": None,
    }


def _verdict(
    found: dict[str, list[str]], status: str, route: str, kind: str, *, accepted: bool
) -> dict[str, Any]:
    clearance = route == "cleared" or (route == "check" and kind == "01")
    said = ("" if accepted else "NOT_") + ("CLEARED" if clearance else "REPORTED")
    return {
        "validationResults": {
            "infoMessages": {"type": "INFO", "code": "XSD_ZATCA_VALID", "category": "XSD validation",
                             "message": "Complied with UBL 2.1 standards", "status": "PASS"},
            "warningMessages": _messages("WARNING", found["warning"]),
            "errorMessages": _messages("ERROR", found["error"]),
            "status": status,
        },
        "reportingStatus": None if clearance else said,
        "clearanceStatus": said if clearance else None,
        "qrSellertStatus": None,
        "qrBuyertStatus": None,
    }  # fmt: skip


def _messages(kind: str, codes: list[str]) -> list[dict[str, str]]:
    return [
        {"type": kind, "code": code, "category": "KSA", "message": f"broken: {code}", "status": kind}
        for code in codes
    ]


@asynccontextmanager
async def zatca_server(judge: Judge, **options: Any) -> AsyncIterator[ZatcaServer]:
    """Run a gateway; its ``url`` is the base URL. Options are ``ZatcaServer``'s."""
    holder: list[ZatcaServer] = []
    async with vendor_server(lambda request: holder[0].answer(request)) as http:
        holder.append(ZatcaServer(http, judge, **options))
        yield holder[0]
