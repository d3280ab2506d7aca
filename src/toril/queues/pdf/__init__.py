"""Ready-made queue ``pdf``: invoices as PDF files."""

from toril.queues.pdf.definition import pdf_queue
from toril.queues.pdf.payloads import InvoiceData, InvoiceItem, InvoiceOptions, InvoicePayload, Seller
from toril.queues.pdf.processors import FindSeller, InvoiceProcessor
from toril.queues.pdf.renderers.base import PdfRenderer, RenderError, RenderOptions

__all__ = [
    "FindSeller",
    "InvoiceData",
    "InvoiceItem",
    "InvoiceOptions",
    "InvoicePayload",
    "InvoiceProcessor",
    "PdfRenderer",
    "RenderError",
    "RenderOptions",
    "Seller",
    "pdf_queue",
]
