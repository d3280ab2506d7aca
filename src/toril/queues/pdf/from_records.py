"""Data of ``pdf`` jobs, made from the application's records."""

from __future__ import annotations

from typing import Any

from toril.db.models import Client, Invoice, ZatcaDocument


def invoice_job(invoice: Invoice, document: ZatcaDocument | None = None) -> dict[str, Any]:
    """Data of the job that prints an invoice.

    The firm at its head is looked up by the job. An invoice with a tax document carries the code of that, a standard
    one once it is accepted; otherwise one is made from its figures.

    Args:
        invoice: with its client and lines.
        document: the invoice's newest tax document, if it has one.
    """
    client = invoice.client
    return {
        "invoiceId": invoice.id,
        "firmId": invoice.firm_id,
        "options": {"language": "both" if client.language == "ar" else "en"},
        "invoiceData": {
            "invoiceNumber": invoice.number,
            "date": invoice.issue_date.isoformat(),
            "dueDate": invoice.due_date.isoformat(),
            "clientName": client.name,
            "clientEmail": client.email or "",
            "clientPhone": client.phone or "",
            "clientAddress": address_line(client),
            "clientVatNumber": client.vat_number or "",
            "items": _items(invoice),
            "subtotal": str(invoice.subtotal - invoice.discount),
            "vatRate": str(invoice.vat_rate),
            "vatAmount": str(invoice.vat_amount),
            "totalAmount": str(invoice.total),
            "currency": invoice.currency,
            "notes": invoice.notes,
            "paymentTerms": invoice.payment_terms,
            "qrCode": document.qr if document is not None and document.has_code else None,
        },
    }


def _items(invoice: Invoice) -> list[dict[str, Any]]:
    """The lines, and what is taken off the whole as a line of its own: VAT falls by it too."""
    items = [
        {
            "description": line.description,
            "quantity": str(line.quantity),
            "unit": line.unit,
            "unitPrice": str(line.unit_price),
            "discount": str(line.discount),
            "vatRate": str(line.vat_rate),
            "total": str(line.net),
        }
        for line in invoice.lines
    ]
    if invoice.discount:
        items.append({"description": "خصم · Discount", "unitPrice": str(-invoice.discount)})
    return items


def address_line(client: Client) -> str:
    """A client's address on one line."""
    parts = (client.building_number, client.street, client.district, client.city, client.postal_code)
    return " ".join(part for part in parts if part)
