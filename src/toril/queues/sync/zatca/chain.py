"""A firm's chain of documents in the database: signing the next one, sending one at a time, and keeping the answers.

A document is stored before it is first sent, and its bytes are never made again: the gateway knows by them that it
has had it. A rejected document keeps its place in the chain.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from toril.db.models.zatca import ZatcaDocument, ZatcaEnvironment, ZatcaStatus
from toril.db.repositories.invoices import Invoices
from toril.db.repositories.users import Firms
from toril.db.repositories.zatca import ZatcaDocuments
from toril.db.session import Database
from toril.errors import NotConfiguredError, PostponedError, UnrecoverableError
from toril.queues.sync.zatca import qr
from toril.queues.sync.zatca.certificate import SigningIdentity
from toril.queues.sync.zatca.document import FIRST_PREVIOUS_HASH, RIYADH, ChainPlace, TaxDocument
from toril.queues.sync.zatca.exemptions import Exemptions
from toril.queues.sync.zatca.from_records import tax_document
from toril.queues.sync.zatca.signature import hash_of, qr_of, sign
from toril.queues.sync.zatca.verdict import messages

log = logging.getLogger("toril.queues.sync.zatca")


class RejectedError(UnrecoverableError):
    """ZATCA rejected the document; ``findings`` say why. Only another document, of a corrected invoice, can help."""

    code = "zatca_rejected"

    def __init__(self, document: ZatcaDocument, number: str) -> None:
        self.findings = messages(document.answer, "error")
        said = "; ".join(str(finding) for finding in self.findings) or "without saying why"
        super().__init__(
            f"ZATCA rejected invoice {number} ({said[:2000]}). Correct it and run this again: "
            "it then gets a new document"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The chains of all firms in one environment.

    Attributes:
        exemptions: why lines carry no VAT, by category.
        patience: seconds after which a sending without an answer is given up.
    """

    db: Database
    environment: ZatcaEnvironment
    exemptions: Exemptions
    patience: float

    async def document_for(
        self, invoice_id: str, *, firm_id: str, identity: SigningIdentity, now: datetime
    ) -> ZatcaDocument:
        """The document of an invoice: the one there is, else the chain's next, signed and stored.

        Raises:
            RecordNotFoundError: the firm has no such invoice.
            UnrecoverableError: the invoice cannot be a tax document.
            NotConfiguredError: the certificate is another taxpayer's, or a reason why lines carry no VAT is missing.
            RejectedError: its document was rejected, and neither the invoice nor the certificate is another since.
        """
        async with self.db.session() as session:
            documents = ZatcaDocuments(session)
            # From here to the commit nobody else can take the chain's next place, or change the invoice: whoever
            # waited for this reads it as it is now, not as it was when they began to wait.
            unit = await documents.lock_unit(firm_id=firm_id, environment=self.environment)
            invoice = await Invoices(session).get(invoice_id, firm_id=firm_id, lock=True)
            latest = await documents.latest(invoice_id, firm_id=firm_id, environment=self.environment)
            if latest is not None and latest.status is not ZatcaStatus.REJECTED:
                return latest
            firm = await Firms(session).get(firm_id)
            if not identity.is_sample and identity.vat_number not in (None, firm.vat_number):
                raise NotConfiguredError(
                    f"ZATCA: the certificate of firm {firm_id} was issued to VAT number {identity.vat_number}, "
                    f"and the firm's is {firm.vat_number}. Correct the firm's record, or onboard it again"
                )
            content = tax_document(invoice, firm, now=now, exemptions=self.exemptions)
            if latest is not None:
                content = _issued_as_before(content, latest)
                if hash_of(content, _place(latest)) == latest.hash and identity.text in latest.xml:
                    raise RejectedError(latest, invoice.number)
            place = ChainPlace(
                uuid=str(uuid.uuid4()),
                icv=unit.last_icv + 1,
                previous_hash=unit.last_hash or FIRST_PREVIOUS_HASH,
            )
            signed = await asyncio.to_thread(sign, content, place, identity, signed_at=now)
            document = ZatcaDocument(
                invoice_id=invoice_id,
                kind=content.kind,
                uuid=place.uuid,
                icv=place.icv,
                previous_hash=place.previous_hash,
                hash=signed.hash,
                xml=signed.xml,
                qr=signed.qr,
            )
            await documents.append(unit, document)
        log.info(
            "zatca_document_signed",
            extra={
                "firm_id": firm_id,
                "invoice_id": invoice_id,
                "document_id": document.id,
                "icv": document.icv,
            },
        )
        return document

    async def begin_sending(self, document_id: str, *, firm_id: str, now: datetime) -> ZatcaDocument:
        """Note that a document is about to be sent; until that is settled or given up, nobody else sends it.

        Returns:
            The document; when it is no longer pending, there is nothing to send.
        Raises:
            PostponedError: it was sent a moment ago, here or elsewhere, and the answer may still come.
        """
        async with self.db.session() as session:
            document = await _Documents(session).locked(document_id, firm_id=firm_id)
            if document.status is not ZatcaStatus.PENDING:
                return document
            if document.submission_unknown and (left := self.left(document, now)) > 0:
                raise PostponedError(
                    f"ZATCA was sent document {document.uuid} a moment ago, and has not answered; "
                    "sending the same again later",
                    retry_after=left,
                )
            document.attempts += 1
            document.submitted_at, document.submission_unknown = now, True
        return document

    def left(self, document: ZatcaDocument, now: datetime) -> float:
        """Seconds until the last sending of a document is given up."""
        sent = document.submitted_at
        if sent is None or (sent - now).total_seconds() > self.patience:
            return 0.0  # by a clock that went back since, which says nothing about how long ago that was
        return self.patience - (now - sent).total_seconds()

    async def settle(
        self,
        document_id: str,
        *,
        firm_id: str,
        answer: dict[str, Any] | None,
        status: ZatcaStatus = ZatcaStatus.PENDING,
        cleared_xml: str | None = None,
    ) -> ZatcaDocument:
        """Note how a sending ended. A document whose fate is sealed stays as it is.

        Args:
            answer: what the gateway said; ``None`` when nothing was sent.
            status: pending when that was no verdict.
            cleared_xml: the legal document; its QR code takes the place of ours.
        """
        async with self.db.session() as session:
            document = await _Documents(session).locked(document_id, firm_id=firm_id)
            if document.status is not ZatcaStatus.PENDING:
                return document
            document.status, document.submission_unknown = status, False
            document.answer = answer or document.answer
            if cleared_xml is not None:
                document.cleared_xml = cleared_xml
                document.qr = qr_of(cleared_xml.encode()) or document.qr
        return document


class _Documents(ZatcaDocuments):
    async def locked(self, document_id: str, *, firm_id: str) -> ZatcaDocument:
        """The firm's document, which nobody else changes until this transaction ends."""
        return await self._own(ZatcaDocument, document_id, firm_id=firm_id, lock=True)


def _place(document: ZatcaDocument) -> ChainPlace:
    return ChainPlace(uuid=document.uuid, icv=document.icv, previous_hash=document.previous_hash)


def _issued_as_before(content: TaxDocument, before: ZatcaDocument) -> TaxDocument:
    """A corrected document keeps the time of issue, unless the invoice has another date now."""
    issued_at = datetime.fromisoformat(qr.decode(before.qr)[qr.ISSUED_AT].decode()).replace(tzinfo=RIYADH)
    return replace(content, issued_at=issued_at) if issued_at.date() == content.issued_at.date() else content
