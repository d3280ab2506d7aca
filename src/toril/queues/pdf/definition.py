"""The ``pdf`` queue: its job types and the defaults of its jobs."""

from __future__ import annotations

from toril.queues.base import JobType, QueueDefinition
from toril.queues.pdf.documents.contract import contract_document
from toril.queues.pdf.documents.custom import custom_document
from toril.queues.pdf.documents.invoice import invoice_document
from toril.queues.pdf.documents.report import report_document
from toril.queues.pdf.documents.statement import statement_document
from toril.queues.pdf.engines import EngineOptions, Engines
from toril.queues.pdf.payloads.contract import ContractPayload
from toril.queues.pdf.payloads.custom import CustomPayload
from toril.queues.pdf.payloads.invoice import InvoicePayload
from toril.queues.pdf.payloads.report import ReportPayload
from toril.queues.pdf.payloads.statement import StatementPayload
from toril.queues.pdf.processors import Complete, DocumentProcessor, FindSeller, NoteFile
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

_TYPES = (
    (
        "invoice",
        InvoicePayload,
        invoice_document,
        "A tax invoice in Arabic, English or both, with the ZATCA QR code",
    ),
    ("report", ReportPayload, report_document, "Figures, tables and charts of a period"),
    (
        "statement",
        StatementPayload,
        statement_document,
        "A client's statement of account with running balance and ageing",
    ),
    (
        "contract",
        ContractPayload,
        contract_document,
        "A contract with numbered clauses, signature blocks and schedules",
    ),
    (
        "custom",
        CustomPayload,
        custom_document,
        "HTML of the sender's own, without scripts, files and network",
    ),
)


def pdf_queue(
    *,
    store: FileStore,
    engines: EngineOptions | None = None,
    renderer: PdfRenderer | None = None,
    find_seller: FindSeller | None = None,
    complete: Complete | None = None,
    note_file: NoteFile | None = None,
    concurrency: int = 2,
) -> QueueDefinition:
    """The queue ``pdf``.

    Args:
        store: where the files go.
        engines: which renderer makes them, and with what.
        renderer: one of the application's own in place of the default one.
        find_seller: the firm behind a ``firmId``, for documents sent without their firm.
        complete: adds to a document's data what records say, and refuses those of another firm's records.
        note_file: notes each file that is stored.
        concurrency: jobs one worker process runs at once, unless configured otherwise. The renderer in this
            process makes one file at a time; with two jobs it need not wait for look-ups and writing.
    Raises:
        ConfigurationError: a package or program that the default renderer needs is not installed.
    """
    made = Engines(engines or EngineOptions(), default=renderer)
    types = {
        name: JobType(
            name=name,
            payload=payload,
            process=DocumentProcessor(
                type=name,
                store=store,
                engines=made,
                lay_out=lay_out,
                # HTML of the sender's own has no letterhead.
                find_seller=None if name == "custom" else find_seller,
                complete=complete,
                note_file=note_file,
            ),
            summary=summary,
        )
        for name, payload, lay_out, summary in _TYPES
    }
    return QueueDefinition(
        name="pdf",
        types=types,
        job_options=JOB_OPTIONS,
        lock_duration=120.0,
        concurrency=concurrency,
        on_close=made.close,
    )
