"""The work of a job ``zatca-invoice``: sign the invoice's document once, and send it until there is a verdict."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from weakref import WeakValueDictionary

from toril.db.models.zatca import ZatcaDocument, ZatcaEnvironment, ZatcaKind, ZatcaStatus
from toril.db.repositories.invoices import Invoices
from toril.db.repositories.zatca import ZatcaDocuments
from toril.db.session import Database
from toril.errors import (
    NotConfiguredError,
    PostponedError,
    RetryableError,
    TorilError,
    UnknownOutcomeError,
)
from toril.queues.base import JobType, RunningJob
from toril.queues.sync.http import NotSentError
from toril.queues.sync.vendor_errors import jittered
from toril.queues.sync.zatca.certificate import SigningIdentity
from toril.queues.sync.zatca.chain import Chain, RejectedError
from toril.queues.sync.zatca.credentials import CredentialSource, ZatcaCredentials
from toril.queues.sync.zatca.exemptions import read_exemptions
from toril.queues.sync.zatca.gateway import ZatcaGateway
from toril.queues.sync.zatca.payloads import ZatcaInvoice
from toril.queues.sync.zatca.signature import SignedDocument
from toril.queues.sync.zatca.standing import OVERDUE, WARN_BEFORE
from toril.queues.sync.zatca.verdict import Outcome, Verdict, kept_answer, messages, read_verdict

log = logging.getLogger("toril.queues.sync.zatca")

_WAIT: Final = 2.0  #: seconds for the firm's turn; a job's time is for sending
_COME_AGAIN: Final = 4.0  #: seconds until a job that did not get its turn comes again
_CLEARANCE_OFF_FOR: Final = timedelta(hours=1)  #: the gateway's word that it is, is believed
_MARGIN: Final = 5.0  #: seconds from the end of a request's time to when it is given up


class ZatcaInvoices:
    """Clears and reports the invoices of all firms. One document of a firm is on its way at a time in this process.

    Args:
        credentials: where each firm's credentials come from.
        exemption_codes: why lines carry no VAT, by category: ``{"Z": "VATEX-SA-33"}``.
        clock: the present, aware.
        mono: seconds of a clock that never goes back.
    Raises:
        ConfigurationError: an exemption code is not known.
    """

    def __init__(
        self,
        db: Database,
        gateway: ZatcaGateway,
        credentials: CredentialSource,
        *,
        exemption_codes: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._credentials = credentials
        self._chain = Chain(
            db=db,
            environment=gateway.environment,
            exemptions=read_exemptions(exemption_codes or {}),
            patience=gateway.total_timeout + _MARGIN,
        )
        self._clock, self._mono = clock, mono
        self._one_at_a_time: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def environment(self) -> ZatcaEnvironment:
        """Where documents are sent."""
        return self._gateway.environment

    def job_type(self) -> JobType:
        """The type for the queue's definition."""
        return JobType(
            name="zatca-invoice",
            payload=ZatcaInvoice,
            process=self.submit,
            summary="Clear or report an invoice at ZATCA",
        )

    async def submit(self, payload: ZatcaInvoice, job: RunningJob) -> dict[str, Any]:
        """Bring an invoice to a verdict. A second run for an invoice that has one sends nothing.

        Progress: 10 the invoice is there, 30 its document is signed and stored, 60 it is being sent, 100 the verdict
        is stored.

        Returns:
            ``{"success": True, "invoiceId", "documentId", "uuid", "icv", "kind", "status", "invoiceHash", "qrCode",
            "submittedAt", "warnings": [{"code", "category", "message"}]}``; status is ``cleared`` or ``reported``.
        Raises:
            RecordNotFoundError: the firm has no such invoice.
            NotConfiguredError: the firm has no credentials, or they are expired, refused or another taxpayer's.
            RejectedError: ZATCA rejects the document.
            RetryableError: no verdict yet; the same document is sent again.
            PostponedError: another document of the firm is on its way, or the time does not suffice for the next
                request. No attempt is counted, since nothing failed.
        """
        firm_id, began = payload.firm_id, self._mono()
        async with self._db.reading() as session:
            invoice = await Invoices(session).get(payload.invoice_id, firm_id=firm_id)
            document = await ZatcaDocuments(session).latest(
                invoice.id, firm_id=firm_id, environment=self.environment
            )
        await job.update_progress(10)
        if document is None or document.status in (ZatcaStatus.PENDING, ZatcaStatus.REJECTED):
            credentials, identity = await self._access(firm_id)
            document = await self._chain.document_for(
                invoice.id, firm_id=firm_id, identity=identity, now=self._clock()
            )
            await job.update_progress(30)
            async with self._turn_of(firm_id):
                document = await self._send(document, credentials, job, began=began)
        if document.status is ZatcaStatus.REJECTED:
            raise RejectedError(document, invoice.number)
        await job.update_progress(100)
        return _result(document)

    async def close(self) -> None:
        """Close the connections to the gateway."""
        await self._gateway.close()

    @asynccontextmanager
    async def _turn_of(self, firm_id: str) -> AsyncIterator[None]:
        """Around a sending: nothing else of the firm is sent meanwhile. Whoever would wait for long comes again later,
        and leaves the worker to other firms."""
        turn = self._one_at_a_time.setdefault(firm_id, asyncio.Lock())
        try:
            async with asyncio.timeout(_WAIT):
                await turn.acquire()
        except TimeoutError:
            raise PostponedError(
                f"another document of firm {firm_id} is on its way to ZATCA; this one is sent after it",
                retry_after=jittered(_COME_AGAIN),
            ) from None
        try:
            yield
        finally:
            turn.release()

    async def _access(self, firm_id: str) -> tuple[ZatcaCredentials, SigningIdentity]:
        credentials = await self._credentials.get(firm_id)
        if credentials is None:
            raise NotConfiguredError(
                f"ZATCA: firm {firm_id} has no credentials. Onboard it by toril zatca onboard; until then nothing is "
                "signed or sent"
            )
        self._gateway.require_own(credentials)
        sandbox = credentials.environment is ZatcaEnvironment.SANDBOX
        identity = SigningIdentity.load(credentials.token, credentials.private_key, sample=sandbox)
        left = identity.expires_at - self._clock()
        if left <= timedelta():
            raise NotConfiguredError(
                f"ZATCA: the certificate of firm {firm_id} expired on {identity.expires_at:%Y-%m-%d}. Renew it"
            )
        if left < WARN_BEFORE:
            log.warning("zatca_certificate_expires", extra={"firm_id": firm_id, "days_left": left.days})
        return credentials, identity

    async def _send(
        self, document: ZatcaDocument, credentials: ZatcaCredentials, job: RunningJob, *, began: float
    ) -> ZatcaDocument:
        cleared = document.kind is ZatcaKind.STANDARD and not self._clearance_is_off(document)
        document = await self._chain.begin_sending(document.id, firm_id=document.firm_id, now=self._clock())
        if document.status is not ZatcaStatus.PENDING:
            return document
        if self._clock() - document.created_at > OVERDUE:
            log.error(
                "zatca_document_overdue",
                extra={
                    "firm_id": document.firm_id,
                    "document_id": document.id,
                    "attempts": document.attempts,
                },
            )
        await job.update_progress(60)
        verdict = await self._ask(document, credentials, Outcome.CLEARED if cleared else Outcome.REPORTED)
        if verdict.outcome is Outcome.CLEARANCE_OFF:
            await job.log("ZATCA has switched clearance off; the document is reported instead")
            if not self._has_time(job, began):
                await self._chain.settle(document.id, firm_id=document.firm_id, answer=verdict.answer)
                raise PostponedError(
                    "ZATCA has switched clearance off, and the job's time does not suffice to report the document "
                    "too; it is reported next",
                    retry_after=1.0,
                )
            verdict = await self._ask(document, credentials, Outcome.REPORTED)
        log.info(
            "zatca_document_judged",
            extra={"firm_id": document.firm_id, "document_id": document.id, "status": str(verdict.outcome)},
        )
        return await self._chain.settle(
            document.id,
            firm_id=document.firm_id,
            answer=verdict.answer,
            status=ZatcaStatus(verdict.outcome),
            cleared_xml=verdict.cleared_xml,
        )

    def _clearance_is_off(self, document: ZatcaDocument) -> bool:
        """Whether the gateway said so of this document a short while ago."""
        answer, sent = document.answer or {}, document.submitted_at
        return (
            answer.get("httpStatus") == 303 and sent is not None and self._clock() - sent < _CLEARANCE_OFF_FOR
        )

    def _has_time(self, job: RunningJob, began: float) -> bool:
        """Whether another request ends before the job is stopped."""
        limit = getattr(job, "opts", {}).get("timeout")
        if not isinstance(limit, int | float) or limit <= 0:
            return True
        return limit / 1000 - (self._mono() - began) > self._gateway.total_timeout + _MARGIN

    async def _ask(self, document: ZatcaDocument, credentials: ZatcaCredentials, wanted: Outcome) -> Verdict:
        """Send a document and read the verdict. What is none is noted and raised."""
        send = self._gateway.clear if wanted is Outcome.CLEARED else self._gateway.report
        signed = SignedDocument(xml=document.xml, hash=document.hash, qr=document.qr)
        try:
            answer = await send(signed, document.uuid, credentials)
        except (NotSentError, NotConfiguredError):
            await self._chain.settle(document.id, firm_id=document.firm_id, answer=None)
            raise
        except RetryableError as error:
            raise self._unanswered(document, error) from error
        try:
            return read_verdict(answer, uuid=document.uuid, expected=wanted)
        except UnknownOutcomeError as error:
            raise self._unanswered(document, error) from error
        except TorilError:
            await self._chain.settle(document.id, firm_id=document.firm_id, answer=kept_answer(answer))
            raise

    def _unanswered(self, document: ZatcaDocument, error: TorilError) -> RetryableError:
        """It may have been accepted: the document stays marked as sent, and goes out again when that is given up."""
        return RetryableError(str(error), retry_after=max(0.0, self._chain.left(document, self._clock())))


def _result(document: ZatcaDocument) -> dict[str, Any]:
    sent = document.submitted_at
    return {
        "success": True,
        "invoiceId": document.invoice_id,
        "documentId": document.id,
        "uuid": document.uuid,
        "icv": document.icv,
        "kind": str(document.kind),
        "status": str(document.status),
        "invoiceHash": document.hash,
        "qrCode": document.qr,
        "submittedAt": None if sent is None else round(sent.timestamp() * 1000),
        "warnings": [
            {"code": warning.code, "category": warning.category, "message": warning.message}
            for warning in messages(document.answer, "warning")
        ],
    }
