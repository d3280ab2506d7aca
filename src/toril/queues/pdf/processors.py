"""The work behind jobs of the ``pdf`` queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from toril.queues.base import RunningJob
from toril.queues.pdf.invoice import invoice_page
from toril.queues.pdf.payloads import InvoicePayload, Seller
from toril.queues.pdf.renderers.base import PdfRenderer, RenderOptions
from toril.queues.storage import FileStore

FindSeller = Callable[[str], Awaitable[Seller | None]]
"""Looks up the firm with an id, as the sender of its invoices; ``None`` if there is no such firm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceProcessor:
    """Makes the PDF of an invoice and stores it in the firm's folder ``pdf``.

    A job that runs a second time stores a second file: a file that may have been sent is never replaced.
    """

    store: FileStore
    renderer: PdfRenderer
    find_seller: FindSeller | None = None

    async def __call__(self, payload: InvoicePayload, job: RunningJob) -> dict[str, Any]:
        """Run one job; progress is 10 when the figures are checked, 40 laid out, 80 rendered, 100 stored.

        Raises:
            RenderError: the renderer failed; the next attempt may succeed.
        """
        invoice = payload.invoice_data
        await job.update_progress(10)
        seller = invoice.seller
        if seller is None and self.find_seller is not None:
            seller = await self.find_seller(payload.firm_id)
        if seller is None or seller.vat_number is None:
            await job.log("the seller's VAT number is not known: a plain invoice, without a QR code")
        page = await asyncio.to_thread(invoice_page, invoice, seller, payload.options)
        await job.update_progress(40)
        content = await self.renderer.render(
            page.html, title=page.title, lang=page.lang, options=RenderOptions(author=page.author)
        )
        await job.update_progress(80)
        name = f"invoice-{invoice.invoice_number}.pdf"
        file = await self.store.save(firm_id=payload.firm_id, folder="pdf", name=name, content=content)
        await job.update_progress(100)
        return {
            "success": True,
            "invoiceId": payload.invoice_id,
            "fileName": file.name,
            "filePath": file.path,
            "size": file.size,
        }
