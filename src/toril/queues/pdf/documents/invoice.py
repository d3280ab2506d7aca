"""An invoice as a page: everything it shows, formatted, and the HTML around it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from toril.queues.pdf import formats
from toril.queues.pdf.documents.base import Document
from toril.queues.pdf.documents.letterhead import bank_rows, letterhead, sender_name
from toril.queues.pdf.labels import LABELS, Language, currency_note, currency_symbol
from toril.queues.pdf.options import DocumentOptions
from toril.queues.pdf.page import Page, render_page
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.payloads.invoice import InvoiceData, InvoiceItem, InvoicePayload
from toril.queues.pdf.renderers.base import RenderOptions
from toril.queues.pdf.zatca_qr import phase_one_code, qr_picture


def invoice_document(payload: InvoicePayload, firm: Seller | None) -> Document:
    """The document of a job."""
    invoice = payload.invoice_data
    page = invoice_page(invoice, firm, payload.options)
    unknown = firm is None or firm.vat_number is None
    remark = "the seller's VAT number is not known: a plain invoice, without a QR code"
    return Document(
        page=page,
        file_name=f"invoice-{invoice.invoice_number}",
        facts={"invoiceId": payload.invoice_id},
        options=RenderOptions(author=page.author, trusted=True),
        remarks=[remark] if unknown else [],
    )


def invoice_page(invoice: InvoiceData, seller: Seller | None, options: DocumentOptions) -> Page:
    """The page of an invoice.

    With a seller's VAT number it is a tax invoice and carries the QR code; without one it is a plain invoice.
    """
    tax = seller is not None and seller.vat_number is not None
    heading = "tax_invoice" if tax else "invoice"
    arabic, english = LABELS[heading]
    title = f"{english if options.language == 'en' else arabic} {invoice.invoice_number}"
    sender = sender_name(seller, options.language)
    code = qr_code(invoice, seller)
    return render_page(
        "invoice.html",
        title=title,
        author=sender,
        options=options,
        footer=" · ".join(filter(None, (sender, invoice.invoice_number))),
        heading=heading,
        qr=code and qr_picture(code),
        firm=seller and letterhead(seller, options.language),
        bank=bank_rows(seller),
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


def _content(invoice: InvoiceData, options: DocumentOptions) -> dict[str, Any]:
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
