"""The ``pdf`` queue: its job types and the defaults of its jobs."""

from __future__ import annotations

from toril.queues.base import JobType, QueueDefinition
from toril.queues.pdf.payloads import InvoicePayload
from toril.queues.pdf.processors import FindSeller, InvoiceProcessor
from toril.queues.pdf.renderers.base import PdfRenderer
from toril.queues.storage import FileStore

#: as Bull stores them: delay and timeout in milliseconds, ages in seconds
JOB_OPTIONS = {
    "attempts": 2,
    "backoff": {"type": "fixed", "delay": 5000},
    "removeOnComplete": {"age": 172800, "count": 200},
    "removeOnFail": {"age": 172800},
    "timeout": 120_000,
}


def pdf_queue(
    *,
    store: FileStore,
    renderer: PdfRenderer | None = None,
    find_seller: FindSeller | None = None,
    concurrency: int = 2,
) -> QueueDefinition:
    """The queue ``pdf``.

    Args:
        store: where the files go.
        renderer: what makes them; the one in this process unless given.
        find_seller: the firm behind a ``firmId``, for invoices sent without their seller.
        concurrency: jobs one worker process runs at once, unless configured otherwise. The renderer in this
            process makes one file at a time; with two jobs it need not wait for look-ups and writing.
    Raises:
        ConfigurationError: no renderer is given, and a package of the default one is not installed.
    """
    if renderer is None:
        from toril.queues.pdf.renderers.plutoprint import PlutoPrintRenderer

        renderer = PlutoPrintRenderer()
    invoice = JobType(
        name="invoice",
        payload=InvoicePayload,
        process=InvoiceProcessor(store=store, renderer=renderer, find_seller=find_seller),
        summary="A tax invoice in Arabic, English or both, with the ZATCA QR code",
    )
    return QueueDefinition(
        name="pdf",
        types={invoice.name: invoice},
        job_options=JOB_OPTIONS,
        lock_duration=120.0,
        concurrency=concurrency,
    )
