"""An invoice as a page: everything it shows, formatted, and the HTML around it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from toril.queues.pdf import formats
from toril.queues.pdf.labels import LABELS, Language, currency_note, currency_symbol
from toril.queues.pdf.page import Page, render_page
from toril.queues.pdf.payloads import InvoiceData, InvoiceItem, InvoiceOptions, Seller
from toril.queues.pdf.zatca_qr import phase_one_code, qr_picture


def invoice_page(invoice: InvoiceData, seller: Seller | None, options: InvoiceOptions) -> Page:
    """The page of an invoice.

    With a seller's VAT number it is a tax invoice and carries the QR code; without one it is a plain invoice.
    """
    tax = seller is not None and seller.vat_number is not None
    heading = "tax_invoice" if tax else "invoice"
    arabic, english = LABELS[heading]
    title = f"{english if options.language == 'en' else arabic} {invoice.invoice_number}"
    sender = seller.name_in("en" if options.language == "en" else "ar") if seller else ""
    code = qr_code(invoice, seller)
    return render_page(
        "invoice.html",
        title=title,
        author=sender,
        language=options.language,
        digits=options.digits,
        footer=" · ".join(filter(None, (sender, invoice.invoice_number))),
        color=options.color,
        heading=heading,
        qr=code and qr_picture(code),
        seller=seller and _seller(seller, options.language),
        **_content(invoice, options),
    )


def qr_code(invoice: InvoiceData, seller: Seller | None) -> str | None:
    """The text of the invoice's QR code: the one sent with it, else one of phase one, else none."""
    if invoice.qr_code is not None:
        return invoice.qr_code
    if seller is None or seller.vat_number is None:
        return None
    return phase_one_code(
        seller=seller.name_in("ar"),
        vat_number=seller.vat_number,
        issued_at=invoice.date,
        total=str(formats.rounded(invoice.total_amount, invoice.currency)),
        vat=str(formats.rounded(invoice.vat_amount, invoice.currency)),
    )


def _content(invoice: InvoiceData, options: InvoiceOptions) -> dict[str, Any]:
    digits, currency = options.digits, invoice.currency
    groups = invoice.vat_groups
    only_rate = formats.percent(groups[0].rate, digits) if len(groups) == 1 else ""

    def money(value: Decimal) -> str:
        return formats.amount(value, currency, digits)

    def line(position: int, item: InvoiceItem) -> dict[str, Any]:
        rate = invoice.vat_rate if item.vat_rate is None else item.vat_rate
        vat = formats.rounded(item.total * rate / 100, currency)
        return {
            "position": formats.number(Decimal(position), digits),
            "description": item.description,
            "quantity": formats.number(item.quantity, digits),
            "unit": item.unit,
            "unit_price": money(item.unit_price),
            "discount": item.discount and money(item.discount),
            "net": money(item.total),
            "rate": len(groups) > 1 and formats.percent(rate, digits),
            "vat": money(vat),
            "total": money(formats.rounded(item.total, currency) + vat),
        }

    # The sender's VAT may be rounded otherwise than ours: the highest rate gets what the others leave of it.
    lower = [formats.rounded(group.vat, currency) for group in groups[1:]]
    vats = [invoice.vat_amount - sum(lower), *lower]
    items = [line(position, item) for position, item in enumerate(invoice.items, 1)]
    return {
        "invoice_number": invoice.invoice_number,
        "issued": formats.day(invoice.date, digits),
        "due": invoice.due_date and formats.day(invoice.due_date, digits),
        "reference": invoice.reference,
        "client": {
            "name": invoice.client_name,
            "address": invoice.client_address,
            "vat_number": invoice.client_vat_number,
            "contact": [value for value in (invoice.client_phone, invoice.client_email) if value],
        },
        "items": items,
        "vat_heading": _vat_heading(only_rate, options.language),
        "dense": max(len(item[column]) for item in items for column in ("unit_price", "net", "total")) > 12,
        "subtotal": money(invoice.subtotal),
        "vat_groups": [
            {
                "rate": formats.percent(group.rate, digits),
                "taxable": len(groups) > 1 and money(group.taxable),
                "vat": money(vat),
            }
            for group, vat in zip(groups, vats, strict=True)
        ],
        "total": money(invoice.total_amount),
        "currency": currency_symbol(currency, options.language),
        "currency_note": currency_note(currency),
        "payment_terms": invoice.payment_terms,
        "notes": invoice.notes,
    }


def _vat_heading(rate: str, language: Language) -> tuple[str, str]:
    """The VAT column's heading, with the rate if all lines have one; beside each other once is enough."""
    arabic, english = LABELS["vat"]
    return arabic if language == "both" else f"{arabic} {rate}".strip(), f"{english} {rate}".strip()


def _seller(seller: Seller, language: Language) -> dict[str, Any]:
    registrations = [
        ("vat_number", seller.vat_number),
        ("commercial_registration", seller.commercial_registration),
    ]

    def column(lang: Literal["ar", "en"]) -> dict[str, Any]:
        arabic, english = seller.address_ar, seller.address_en
        return {
            "lang": lang,
            "name": seller.name_in(lang),
            "address": (arabic or english) if lang == "ar" else (english or arabic),
            "facts": [
                (LABELS[key][0 if lang == "ar" else 1], value) for key, value in registrations if value
            ],
            "contact": [value for value in (seller.phone, seller.email, seller.website) if value],
        }

    # The second column is empty, for the logo alone, unless the page and the names are in two languages.
    columns: list[dict[str, Any] | None] = [column("en" if language == "en" else "ar"), None]
    if language == "both" and seller.name_ar and seller.name_en:
        columns[1] = column("en")
    bank = [
        ("bank", seller.bank_name),
        ("account_name", seller.account_name),
        ("iban", seller.iban and " ".join(seller.iban[at : at + 4] for at in range(0, len(seller.iban), 4))),
    ]
    return {"columns": columns, "logo": seller.logo, "bank": [(key, value) for key, value in bank if value]}
