"""A firm's invoice as a tax document, checked so that the authority will find nothing missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time
from decimal import Decimal
from typing import Final

from toril.db.models.clients import ClientKind
from toril.db.models.firms import Firm
from toril.db.models.invoices import Invoice, InvoiceLine, InvoiceStatus, VatCategory
from toril.db.models.zatca import ZatcaKind
from toril.errors import NotConfiguredError, UnrecoverableError
from toril.queues.sync.zatca.document import HALALA, RIYADH, Line, Party, TaxDocument, to_halalas
from toril.queues.sync.zatca.exemptions import Exemptions
from toril.queues.sync.zatca.parties import business_buyer, buyer_problems, seller, seller_problems

_RATES: Final = (Decimal(5), Decimal(15))  #: per cent; what the standard category may have
_LONGEST_NAME: Final = 1000  #: characters of a line's name
#: Code of UN/ECE recommendation 20 → what people write.
_UNITS: Final = {
    "HUR": ("hour", "hours", "ساعة", "ساعات"),
    "DAY": ("day", "days", "يوم", "أيام"),
    "MON": ("month", "months", "شهر", "أشهر", "شهور"),
    "ANN": ("year", "years", "سنة", "سنوات"),
}
_PIECE: Final = "PCE"


def tax_document(invoice: Invoice, firm: Firm, *, now: datetime, exemptions: Exemptions) -> TaxDocument:
    """The tax document of an invoice whose client and lines are loaded.

    A client who is a person gets a simplified document, which has their name and no more; others a standard one.

    Raises:
        UnrecoverableError: with every problem of the records.
        NotConfiguredError: a line carries no VAT, and no reason for its category is set.
    """
    standard = invoice.client.kind is not ClientKind.PERSON
    problems = [*_invoice_problems(invoice, now), *seller_problems(firm)]
    if standard:
        problems += buyer_problems(invoice.client)
    if problems:
        raise UnrecoverableError(f"invoice {invoice.number} cannot be a tax document: {'; '.join(problems)}")
    for category in {line.vat_category for line in invoice.lines} - {VatCategory.STANDARD, *exemptions}:
        raise NotConfiguredError(
            f"invoice {invoice.number} has lines of the VAT category {category}, and no exemption reason is set for it"
        )
    plain = TaxDocument(
        kind=ZatcaKind.STANDARD if standard else ZatcaKind.SIMPLIFIED,
        number=invoice.number,
        issued_at=_issued_at(invoice, now),
        seller=seller(firm),
        buyer=business_buyer(invoice.client) if standard else Party(name=invoice.client.name),
        lines=tuple(_line(line) for line in invoice.lines),
        discount=invoice.discount,
        exemptions=tuple(exemptions.items()),
        supply_date=invoice.supply_date,
    )
    return replace(plain, vat_rounding=_vat_rounding(invoice, plain))


def _issued_at(invoice: Invoice, now: datetime) -> datetime:
    """The invoice's date in Riyadh, with the time it was sent if that was the same day, else the present if it is
    today, else midnight."""
    for moment in (invoice.sent_at, now):
        if moment is not None and moment.astimezone(RIYADH).date() == invoice.issue_date:
            return moment.astimezone(RIYADH).replace(microsecond=0)
    return datetime.combine(invoice.issue_date, time(), RIYADH)


def _invoice_problems(invoice: Invoice, now: datetime) -> Iterator[str]:
    if invoice.status in (InvoiceStatus.DRAFT, InvoiceStatus.VOID):
        yield f"it is {invoice.status}"
    if invoice.currency != "SAR":
        yield f"its currency is {invoice.currency}, and only SAR is supported"
    if invoice.issue_date > now.astimezone(RIYADH).date():
        yield f"its date {invoice.issue_date} has not come yet"
    if not invoice.lines:
        yield "it has no lines"
    if (lines := sum((line.net for line in invoice.lines), Decimal(0))) != invoice.subtotal:
        yield f"its lines come to {lines}, not to its subtotal {invoice.subtotal}"
    if invoice.discount > invoice.subtotal:
        yield f"its discount {invoice.discount} is more than its subtotal {invoice.subtotal}"
    if (total := invoice.subtotal - invoice.discount + invoice.vat_amount) != invoice.total:
        yield f"its figures come to {total}, not to its total {invoice.total}"
    for number, line in enumerate(invoice.lines, 1):
        yield from (f"line {number} {problem}" for problem in _line_problems(line))


def _line_problems(line: InvoiceLine) -> Iterator[str]:
    net = to_halalas(line.quantity * line.unit_price - line.discount)
    if net != line.net:
        yield f"comes to {net}, not to {line.net}"
    if not line.description.strip():
        yield "has no description"
    elif len(line.description) > _LONGEST_NAME:
        yield f"has a description of more than {_LONGEST_NAME} characters"
    if line.vat_category is VatCategory.STANDARD and line.vat_rate not in _RATES:
        yield f"has a VAT rate of {line.vat_rate:f} %; with the category S it must be 15 or 5"
    if line.vat_category is not VatCategory.STANDARD and line.vat_rate:
        yield f"has a VAT rate of {line.vat_rate:f} %; with the category {line.vat_category} it must be 0"


def _line(line: InvoiceLine) -> Line:
    return Line(
        name=line.description,
        quantity=line.quantity,
        unit_code=_unit_code(line.unit),
        unit_price=line.unit_price,
        discount=line.discount,
        net=line.net,
        vat=to_halalas(line.net * line.vat_rate / 100),
        category=line.vat_category,
        rate=line.vat_rate,
    )


def _unit_code(unit: str) -> str:
    words = set(unit.lower().replace("·", " ").replace("/", " ").split())
    return next((code for code, names in _UNITS.items() if words & set(names)), _PIECE)


def _vat_rounding(invoice: Invoice, plain: TaxDocument) -> Decimal:
    """What the client's invoice has more in VAT than the sums; a halala a line at most, from rounding each."""
    difference = invoice.vat_amount - plain.vat
    taxed = [line for line in plain.lines if line.rate]
    if abs(difference) > HALALA * len(taxed):
        raise UnrecoverableError(
            f"invoice {invoice.number} cannot be a tax document: its VAT is {invoice.vat_amount}, "
            f"and that of its lines comes to {plain.vat}"
        )
    return difference
