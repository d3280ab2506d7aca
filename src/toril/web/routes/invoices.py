"""The firm's invoices, and their PDFs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BeforeValidator, Field

from toril.db.models import Client, Invoice, InvoiceLine, InvoiceStatus, ZatcaEnvironment
from toril.db.repositories.invoices import Invoices
from toril.db.repositories.zatca import ZatcaDocuments
from toril.queues.pdf.from_records import invoice_job
from toril.web.answers import Json, ok
from toril.web.api_route import ApiRoute
from toril.web.deps import Limits, Reading, Records, Service, Shared
from toril.web.firms import ReadFirm, WriteFirm, WriteRecords
from toril.web.owners import note_owner
from toril.web.schemas import Answer, Model, Moment, errors

router = APIRouter(prefix="/api/invoices", tags=["invoices"], route_class=ApiRoute)


def _no_number(text: Any) -> Any:
    if isinstance(text, str) and "-" not in text:
        raise ValueError("a date is written as 2026-03-31")  # else a number is taken for seconds since 1970
    return text


Day = Annotated[date, BeforeValidator(_no_number)]
Amount = Annotated[Decimal, Field(examples=["1150.00"], description="A decimal number as text.")]


class ClientView(Model):
    """Who an invoice is for."""

    id: str
    name: str
    email: str | None
    vat_number: str | None


class InvoiceView(Model):
    """An invoice in a list."""

    id: Annotated[str, Field(examples=["507f1f77bcf86cd799439011"])]
    number: Annotated[str, Field(examples=["INV-2026-0042"])]
    status: InvoiceStatus
    issue_date: date
    due_date: date
    currency: str
    subtotal: Amount
    discount: Amount
    vat_amount: Amount
    total: Amount
    amount_paid: Amount
    balance: Amount
    client: ClientView


class LineView(Model):
    """A line of an invoice."""

    description: str
    quantity: Amount
    unit: str
    unit_price: Amount
    discount: Amount
    vat_rate: Amount
    vat_amount: Amount
    net: Amount


class WholeInvoice(InvoiceView):
    """An invoice with all that is on it."""

    case_id: str | None
    supply_date: date | None
    vat_rate: Amount
    notes: str
    payment_terms: str
    sent_at: Moment | None
    paid_at: Moment | None
    lines: list[LineView]


class InvoiceList(Answer[list[InvoiceView]]):
    """A page of invoices."""

    count: int
    total: int


class PdfQueued(Model):
    """Where the PDF is being made."""

    success: bool = True
    message: str = "PDF generation queued successfully"
    job_id: str
    queue_name: str = "pdf"
    note: str


@router.get("", response_model=InvoiceList, responses=errors(400, 401, 403, 404, 503))
async def list_invoices(
    firm_id: ReadFirm,
    session: Reading,
    page: Limits,
    status: Annotated[
        list[InvoiceStatus] | None, Query(description="Only these; may be given again.")
    ] = None,
    client_id: Annotated[str | None, Query(alias="clientId", max_length=64)] = None,
    issued_from: Annotated[Day | None, Query(alias="from")] = None,
    issued_until: Annotated[Day | None, Query(alias="until")] = None,
) -> Json:
    """The firm's invoices, the newest first."""
    found = await Invoices(session).list(
        firm_id=firm_id,
        statuses=status or (),
        client_id=client_id,
        issued_from=issued_from,
        issued_until=issued_until,
        limit=page.limit,
        offset=page.offset,
    )
    return ok([_view(each) for each in found.items], count=len(found.items), total=found.total)


@router.get("/{invoice_id}", response_model=Answer[WholeInvoice], responses=errors(400, 401, 403, 404, 503))
async def read_invoice(invoice_id: str, firm_id: ReadFirm, session: Reading) -> Json:
    """An invoice with its lines."""
    invoice = await Invoices(session).get(invoice_id, firm_id=firm_id)
    return ok(
        {
            **_view(invoice),
            "caseId": invoice.case_id,
            "supplyDate": invoice.supply_date,
            "vatRate": str(invoice.vat_rate),
            "notes": invoice.notes,
            "paymentTerms": invoice.payment_terms,
            "sentAt": invoice.sent_at,
            "paidAt": invoice.paid_at,
            "lines": [_line(line) for line in invoice.lines],
        }
    )


@router.get(
    "/{invoice_id}/pdf",
    response_model=PdfQueued,
    responses=errors(400, 401, 403, 404, 503),
    summary="Queue the PDF of an invoice",
)
async def queue_invoice_pdf(
    invoice_id: str,
    user: WriteRecords,
    firm_id: WriteFirm,
    web: Shared,
    database: Records,
    service: Service,
    download: Annotated[bool, Query(description="Somebody waits for it: it is made first.")] = False,
    priority: Annotated[int | None, Query(ge=1, le=2_097_152, description="Instead of 1 or 3.")] = None,
) -> Json:
    """Have an invoice printed. Whoever asks may see how the job is, and fetch its file."""
    async with database.reading() as session:
        invoice = await Invoices(session).get(invoice_id, firm_id=firm_id)
        environment = ZatcaEnvironment(web.settings.zatca_environment or ZatcaEnvironment.PRODUCTION)
        document = await ZatcaDocuments(session).latest(invoice.id, firm_id=firm_id, environment=environment)
        data = invoice_job(invoice, document)
    added = await service.generate_pdf(data, options={"priority": priority or (1 if download else 3)})
    job_id = added["jobId"]
    await note_owner(database, user, "pdf", job_id)
    return Json(
        {
            "success": True,
            "message": "PDF generation queued successfully",
            "jobId": job_id,
            "queueName": "pdf",
            "note": f"PDF will be available shortly. Check job status at /api/queues/pdf/jobs/{job_id}",
        }
    )


def _view(invoice: Invoice) -> dict[str, Any]:
    return {
        "id": invoice.id,
        "number": invoice.number,
        "status": invoice.status,
        "issueDate": invoice.issue_date,
        "dueDate": invoice.due_date,
        "currency": invoice.currency,
        "subtotal": str(invoice.subtotal),
        "discount": str(invoice.discount),
        "vatAmount": str(invoice.vat_amount),
        "total": str(invoice.total),
        "amountPaid": str(invoice.amount_paid),
        "balance": str(invoice.balance),
        "client": _client(invoice.client),
    }


def _client(client: Client) -> dict[str, Any]:
    return {"id": client.id, "name": client.name, "email": client.email, "vatNumber": client.vat_number}


def _line(line: InvoiceLine) -> dict[str, Any]:
    return {
        "description": line.description,
        "quantity": str(line.quantity),
        "unit": line.unit,
        "unitPrice": str(line.unit_price),
        "discount": str(line.discount),
        "vatRate": str(line.vat_rate),
        "vatAmount": str(line.vat_amount),
        "net": str(line.net),
    }
