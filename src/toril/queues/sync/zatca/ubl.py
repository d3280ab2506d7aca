"""A tax document as UBL 2.1, without its signature and QR code.

Order and content of the elements: ZATCA, "Electronic Invoice XML Implementation Standard".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from toril.db.models.invoices import VatCategory
from toril.db.models.zatca import ZatcaKind
from toril.queues.sync.zatca.document import ChainPlace, DocumentType, Line, Party, TaxDocument, VatSubtotal
from toril.queues.sync.zatca.xml import Element, element, leaf, one_line

_UBL: Final = "urn:oasis:names:specification:ubl:schema:xsd:"
NAMESPACES: Final = {
    "xmlns": f"{_UBL}Invoice-2",
    "xmlns:cac": f"{_UBL}CommonAggregateComponents-2",
    "xmlns:cbc": f"{_UBL}CommonBasicComponents-2",
    "xmlns:ext": f"{_UBL}CommonExtensionComponents-2",
}

#: Seven characters: 01 standard or 02 simplified, then third party, nominal, export, summary, self-billed.
_SUBTYPES: Final = {ZatcaKind.STANDARD: "0100000", ZatcaKind.SIMPLIFIED: "0200000"}
_PAYMENT_MEANS: Final = (
    "1"  #: UN/ECE 4461, not defined: how the client will pay is not known when it is issued
)
_DISCOUNT: Final = "خصم"
_CURRENCY: Final = "SAR"


def invoice_element(
    document: TaxDocument, place: ChainPlace, *, extension: Element | None, qr: str
) -> Element:
    """The whole document.

    Args:
        extension: the element ``ext:UBLExtension`` with the signature.
        qr: text of the QR code; neither it nor ``extension`` counts for the hash.
    """
    buyer = () if document.buyer is None else (_party(document.buyer),)
    parts: list[Element | None] = [
        element("ext:UBLExtensions", extension),
        leaf("cbc:ProfileID", "reporting:1.0"),
        leaf("cbc:ID", one_line(document.number)),
        leaf("cbc:UUID", place.uuid),
        leaf("cbc:IssueDate", f"{document.issued_at:%Y-%m-%d}"),
        leaf("cbc:IssueTime", f"{document.issued_at:%H:%M:%S}"),
        leaf("cbc:InvoiceTypeCode", document.type, name=_SUBTYPES[document.kind]),
        leaf("cbc:DocumentCurrencyCode", _CURRENCY),
        leaf("cbc:TaxCurrencyCode", _CURRENCY),
        _original(document.original),
        element("cac:AdditionalDocumentReference", leaf("cbc:ID", "ICV"), leaf("cbc:UUID", str(place.icv))),
        _attached("PIH", place.previous_hash),
        _attached("QR", qr),
        element(
            "cac:Signature",
            leaf("cbc:ID", "urn:oasis:names:specification:ubl:signature:Invoice"),
            leaf("cbc:SignatureMethod", "urn:oasis:names:specification:ubl:dsig:enveloped:xades"),
        ),
        element("cac:AccountingSupplierParty", _party(document.seller)),
        element("cac:AccountingCustomerParty", *buyer),
        _delivery(document),
        element(
            "cac:PaymentMeans",
            leaf("cbc:PaymentMeansCode", _PAYMENT_MEANS),
            leaf("cbc:InstructionNote", one_line(document.reason)) if document.reason else None,
        ),
        *(_allowance(part) for part in document.subtotals if part.discount),
        element("cac:TaxTotal", _amount("cbc:TaxAmount", document.vat)),
        element(
            "cac:TaxTotal",
            _amount("cbc:TaxAmount", document.vat),
            *(_subtotal(part, document) for part in document.subtotals),
        ),
        _totals(document),
        *(_line(number, line) for number, line in enumerate(document.lines, 1)),
    ]
    return Element("Invoice", tuple(part for part in parts if part is not None), NAMESPACES)


def _original(number: str | None) -> Element | None:
    if number is None:
        return None
    return element(
        "cac:BillingReference", element("cac:InvoiceDocumentReference", leaf("cbc:ID", one_line(number)))
    )


def _attached(name: str, text: str) -> Element:
    return element(
        "cac:AdditionalDocumentReference",
        leaf("cbc:ID", name),
        element("cac:Attachment", leaf("cbc:EmbeddedDocumentBinaryObject", text, mimeCode="text/plain")),
    )


def _delivery(document: TaxDocument) -> Element | None:
    day = document.supply_date or (document.issued_at.date() if document.kind is ZatcaKind.STANDARD else None)
    if day is None or document.type is not DocumentType.INVOICE:
        return None
    return element("cac:Delivery", leaf("cbc:ActualDeliveryDate", day.isoformat()))


def _party(party: Party) -> Element:
    identified = party.id is not None and party.id_scheme is not None
    address = (
        ("cbc:StreetName", party.street),
        ("cbc:BuildingNumber", party.building_number),
        ("cbc:CitySubdivisionName", party.district),
        ("cbc:CityName", party.city),
        ("cbc:PostalZone", party.postal_code),
    )
    return element(
        "cac:Party",
        element("cac:PartyIdentification", leaf("cbc:ID", party.id or "", schemeID=party.id_scheme or ""))
        if identified
        else None,
        element(
            "cac:PostalAddress",
            *(leaf(name, one_line(value)) for name, value in address if value),
            element("cac:Country", leaf("cbc:IdentificationCode", party.country)),
        )
        if any(value for _, value in address)
        else None,
        element(
            "cac:PartyTaxScheme",
            leaf("cbc:CompanyID", party.vat_number) if party.vat_number else None,
            element("cac:TaxScheme", leaf("cbc:ID", "VAT")),
        ),
        element("cac:PartyLegalEntity", leaf("cbc:RegistrationName", one_line(party.name))),
    )


def _allowance(part: VatSubtotal) -> Element:
    return element(
        "cac:AllowanceCharge",
        leaf("cbc:ChargeIndicator", "false"),
        leaf("cbc:AllowanceChargeReason", _DISCOUNT),
        _amount("cbc:Amount", part.discount),
        _category("cac:TaxCategory", part.category, part.rate),
    )


def _subtotal(part: VatSubtotal, document: TaxDocument) -> Element:
    exemption = document.exemption(part.category)
    why = (
        ()
        if exemption is None
        else (
            leaf("cbc:TaxExemptionReasonCode", exemption.code),
            leaf("cbc:TaxExemptionReason", one_line(exemption.text)),
        )
    )
    return element(
        "cac:TaxSubtotal",
        _amount("cbc:TaxableAmount", part.taxable),
        _amount("cbc:TaxAmount", part.vat),
        _category("cac:TaxCategory", part.category, part.rate, *why),
    )


def _category(name: str, category: VatCategory, rate: Decimal, *why: Element) -> Element:
    return element(
        name,
        leaf("cbc:ID", category),
        leaf("cbc:Percent", f"{rate:.2f}"),
        *why,
        element("cac:TaxScheme", leaf("cbc:ID", "VAT")),
    )


def _totals(document: TaxDocument) -> Element:
    return element(
        "cac:LegalMonetaryTotal",
        _amount("cbc:LineExtensionAmount", document.line_total),
        _amount("cbc:TaxExclusiveAmount", document.line_total - document.discount),
        _amount("cbc:TaxInclusiveAmount", document.total),
        _amount("cbc:AllowanceTotalAmount", document.discount),
        _amount("cbc:PrepaidAmount", Decimal(0)),
        _amount("cbc:PayableAmount", document.total),
    )


def _line(number: int, line: Line) -> Element:
    discount = None
    if line.discount:
        discount = element(
            "cac:AllowanceCharge",
            leaf("cbc:ChargeIndicator", "false"),
            leaf("cbc:AllowanceChargeReason", _DISCOUNT),
            _amount("cbc:Amount", line.discount),
        )
    return element(
        "cac:InvoiceLine",
        leaf("cbc:ID", str(number)),
        leaf("cbc:InvoicedQuantity", _plain(line.quantity), unitCode=line.unit_code),
        _amount("cbc:LineExtensionAmount", line.net),
        discount,
        element(
            "cac:TaxTotal",
            _amount("cbc:TaxAmount", line.vat),
            _amount("cbc:RoundingAmount", line.net + line.vat),
        ),
        element(
            "cac:Item",
            leaf("cbc:Name", one_line(line.name)),
            _category("cac:ClassifiedTaxCategory", line.category, line.rate),
        ),
        element("cac:Price", leaf("cbc:PriceAmount", _plain(line.unit_price), currencyID=_CURRENCY)),
    )


def _amount(name: str, amount: Decimal) -> Element:
    return leaf(name, f"{amount:.2f}", currencyID=_CURRENCY)


def _plain(number: Decimal) -> str:
    """All decimals that count, at least two."""
    text = f"{number.normalize():f}"
    return text if len(text.partition(".")[2]) >= 2 else f"{number:.2f}"
