"""What the application's database knows of a document: the firm at its head, and whose record it is of."""

from __future__ import annotations

import base64
import logging
from typing import Final

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select

from toril.db.errors import RecordNotFoundError
from toril.db.ids import is_id, new_id
from toril.db.insist import insist
from toril.db.models import Contract, Firm, GeneratedFile, Invoice, Report, ZatcaEnvironment
from toril.db.repositories.zatca import ZatcaDocuments
from toril.db.session import Database
from toril.db.upsert import insert_new
from toril.errors import OptionError, PayloadError, UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.pdf.documents.base import DocumentPayload
from toril.queues.pdf.fields import Logo
from toril.queues.pdf.page import direction
from toril.queues.pdf.payloads.contract import ContractPayload
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.payloads.invoice import InvoicePayload
from toril.queues.pdf.payloads.report import ReportPayload
from toril.queues.pdf.zatca_qr import check_qr
from toril.queues.storage import FileStore, StoredFile

log = logging.getLogger(__name__)

_LOGO: Final = TypeAdapter[str](Logo)


class FirmRecords:
    """The ``FindSeller`` and ``Complete`` of installations with a database.

    Args:
        files: where the firms' logos are.
        zatca_environment: whose tax documents count.
    """

    def __init__(
        self,
        database: Database,
        files: FileStore,
        *,
        zatca_environment: ZatcaEnvironment = ZatcaEnvironment.PRODUCTION,
    ) -> None:
        self.database = database
        self.files = files
        self.zatca_environment = zatca_environment

    async def find_seller(self, firm_id: str) -> Seller | None:
        """The firm as its record has it; a logo that cannot be used is left out.

        Raises:
            UnrecoverableError: something in its record cannot be printed, such as a VAT number that is none.
        """
        if not is_id(firm_id):
            return None
        async with self.database.reading() as session:
            firm = await session.get(Firm, firm_id)
        if firm is None:
            return None
        address = _address(firm)
        in_arabic = direction(address) == "rtl"
        try:
            return Seller(
                name_ar=firm.name_ar,
                name_en=firm.name_en,
                vat_number=firm.vat_number or None,
                commercial_registration=firm.commercial_registration or "",
                address_ar=address if in_arabic else "",
                address_en="" if in_arabic else address,
                phone=firm.phone or "",
                email=firm.email or "",
                bank_name=firm.bank_name or "",
                iban=firm.iban or None,
                logo=await self._logo(firm),
            )
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
            )
            raise UnrecoverableError(
                f"firm {firm_id!r} cannot stand at the head of a document: {problems}; correct its record"
            ) from error

    async def complete(self, payload: DocumentPayload) -> DocumentPayload:
        """An invoice with the QR code of its tax document, once the authority has accepted that.

        A document of an invoice, a report or a contract that is another firm's is refused. One that the database
        does not know is the sender's own business: its data came with the job.

        Raises:
            PayloadError: the accepted tax document has other figures than the job.
            RecordNotFoundError: it is another firm's, which the message does not say.
        """
        match payload:
            case InvoicePayload():
                await self._check_owner(Invoice, payload.invoice_id, payload.firm_id)
                return await self._with_code(payload)
            case ReportPayload():
                await self._check_owner(Report, payload.report_id, payload.firm_id)
            case ContractPayload():
                await self._check_owner(Contract, payload.contract_id, payload.firm_id)
        return payload

    async def note_file(self, file: StoredFile, firm_id: str, type: str, job: RunningJob) -> None:
        """Keep a row of a file that a job has stored: the firm finds it when the job is long gone.

        Firms that are none of ours, as a Node application may have, have no rows.
        """
        if not is_id(firm_id):
            return
        row = {
            "id": new_id(),
            "firm_id": firm_id,
            "kind": type,
            "name": file.name,
            "path": file.path,
            "size": file.size,
            "media_type": "application/pdf",
            "queue": "pdf",
            "job_id": job.id[:256],
        }

        async def write() -> None:
            async with self.database.session() as session:
                await insert_new(session, GeneratedFile, [row], key=["id"])

        # The job's next attempt makes another file, and this one would be nobody's.
        await insist(write)

    async def _check_owner(
        self, model: type[Invoice | Report | Contract], record_id: str, firm_id: str
    ) -> None:
        if not is_id(record_id):
            return
        async with self.database.reading() as session:
            owner = await session.scalar(select(model.firm_id).where(model.id == record_id))
        if owner is not None and owner != firm_id:
            raise RecordNotFoundError(model.__tablename__.removesuffix("s"), record_id)

    async def _with_code(self, payload: InvoicePayload) -> InvoicePayload:
        invoice = payload.invoice_data
        if invoice.qr_code is not None or not (is_id(payload.invoice_id) and is_id(payload.firm_id)):
            return payload
        async with self.database.reading() as session:
            document = await ZatcaDocuments(session).latest(
                payload.invoice_id, firm_id=payload.firm_id, environment=self.zatca_environment
            )
        if document is None or not document.has_code:
            return payload
        try:
            check_qr(document.qr, total=invoice.total_amount, vat=invoice.vat_amount)
        except OptionError as error:
            raise PayloadError(
                f"invoiceData does not agree with the invoice's tax document, which is signed: {error}",
                field="invoiceData",
            ) from error
        with_code = invoice.model_copy(update={"qr_code": document.qr})
        return payload.model_copy(update={"invoice_data": with_code})

    async def _logo(self, firm: Firm) -> str | None:
        if not firm.logo_path:
            return None
        try:
            content = await self.files.read(firm.logo_path)
            kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
            return _LOGO.validate_python(f"data:image/{kind};base64,{base64.b64encode(content).decode()}")
        except (OptionError, ValidationError) as error:
            # A document without its picture is worth more than none.
            log.warning("pdf_logo_unusable", extra={"firm_id": firm.id, "error": str(error)[:300]})
            return None


def _address(firm: Firm) -> str:
    """Street and district on one line, the city with its postal code and a foreign country on the next."""
    street = " ".join(filter(None, (firm.building_number, firm.street)))
    comma = "، " if direction(f"{firm.street or ''} {firm.district or ''}") == "rtl" else ", "
    city = " ".join(filter(None, (firm.city, firm.postal_code)))
    country = "" if firm.country == "SA" else firm.country
    lines = (comma.join(filter(None, (street, firm.district))), comma.join(filter(None, (city, country))))
    return "\n".join(filter(None, lines))
