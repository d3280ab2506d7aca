"""Ready-made queue ``pdf``: invoices, reports, statements, contracts and HTML as PDF files.

``toril.queues.pdf.firm_records`` needs the extra ``db``, and is imported by those who use it.
"""

from toril.queues.pdf.definition import pdf_queue
from toril.queues.pdf.engines import EngineOptions
from toril.queues.pdf.options import CustomOptions, DocumentOptions
from toril.queues.pdf.payloads import (
    ContractPayload,
    CustomPayload,
    InvoiceData,
    InvoiceItem,
    InvoicePayload,
    ReportPayload,
    Seller,
    StatementPayload,
)
from toril.queues.pdf.processors import Complete, FindSeller
from toril.queues.pdf.renderers.base import Margins, PdfRenderer, RenderError, RenderOptions

__all__ = [
    "Complete",
    "ContractPayload",
    "CustomOptions",
    "CustomPayload",
    "DocumentOptions",
    "EngineOptions",
    "FindSeller",
    "InvoiceData",
    "InvoiceItem",
    "InvoicePayload",
    "Margins",
    "PdfRenderer",
    "RenderError",
    "RenderOptions",
    "ReportPayload",
    "Seller",
    "StatementPayload",
    "pdf_queue",
]
