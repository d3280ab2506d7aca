"""The work of a job ``zatca-pending``: send again what the gateway has given no verdict on.

A job for an invoice ends after its last attempt, and its document may be pending then. A simplified document must be
reported within 24 hours of its issue, so this runs every hour.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from toril.db.repositories.zatca import ZatcaDocuments
from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, TorilError
from toril.queues.base import JobType, RunningJob
from toril.queues.sync.zatca.chain import RejectedError
from toril.queues.sync.zatca.payloads import ZatcaInvoice, ZatcaPending
from toril.queues.sync.zatca.processor import ZatcaInvoices

log = logging.getLogger("toril.queues.sync.zatca")

_UNTOUCHED: Final = timedelta(minutes=10)  #: until then the invoice's own job is perhaps about to try again
_BUDGET: Final = 600.0  #: seconds after which no further document is begun
_SHOWN: Final = 20  #: problems in the result


class PendingDocuments:
    """Settles the pending documents of all firms.

    Args:
        invoices: sends them; None when ZATCA is not set up.
        clock: the present, aware.
        mono: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        db: Database,
        invoices: ZatcaInvoices | None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db, self._invoices, self._clock, self._mono = db, invoices, clock, mono

    def job_type(self) -> JobType:
        """The type for the queue's definition."""
        return JobType(
            name="zatca-pending",
            payload=ZatcaPending,
            process=self.settle,
            summary="Send again what ZATCA has given no verdict on",
        )

    async def settle(self, payload: ZatcaPending, job: RunningJob) -> dict[str, Any]:
        """Send each pending document once more, those first that have waited longest since they were sent.

        A firm whose credentials are refused is passed over. When the gateway is away, the rest waits for the next run.

        Returns:
            ``{"success": True, "settledCount", "rejectedCount", "failedCount", "leftCount", "problems":
            [{"firmId", "invoiceId", "error"}]}``; left is what there was no time for, and what firms have whose
            credentials are refused.
        Raises:
            NotConfiguredError: documents are pending, and ZATCA is not set up.
            RetryableError: the gateway is away or limits us.
        """
        async with self._db.reading() as session:
            now = self._clock()
            pending = await ZatcaDocuments(session).list_pending(
                tried_before=now - _UNTOUCHED, or_after=now + _UNTOUCHED
            )
        settled = rejected = left = 0
        problems: list[dict[str, str]] = []
        shut_out: set[str] = set()
        until = self._mono() + _BUDGET
        for done, (firm_id, invoice_id) in enumerate(pending):
            await job.update_progress(round(100 * done / len(pending)))
            if firm_id in shut_out or self._mono() >= until:
                left += 1
                continue
            invoice = ZatcaInvoice(invoice_id=invoice_id, firm_id=firm_id)
            error = await self._send(invoice, job)
            if error is None:
                settled += 1
                continue
            rejected += isinstance(error, RejectedError)
            if isinstance(error, NotConfiguredError):
                shut_out.add(firm_id)
            log.error("zatca_document_not_settled", extra={"firm_id": firm_id, "invoice_id": invoice_id})
            problems.append({"firmId": firm_id, "invoiceId": invoice_id, "error": str(error)[:500]})
        await job.update_progress(100)
        return {
            "success": True,
            "settledCount": settled,
            "rejectedCount": rejected,
            "failedCount": len(problems) - rejected,
            "leftCount": left,
            "problems": problems[:_SHOWN],
        }

    async def _send(self, invoice: ZatcaInvoice, job: RunningJob) -> TorilError | None:
        """Why it was not accepted; None when it was."""
        if self._invoices is None:
            raise NotConfiguredError(
                "documents wait for ZATCA's verdict, and ZATCA is not set up in this installation. Set "
                "ZATCA_ENVIRONMENT and ZATCA_KEY"
            )
        try:
            await self._invoices.submit(invoice, _Part(job))
        except RetryableError:
            raise
        except TorilError as error:
            return error
        return None


@dataclass(frozen=True, slots=True)
class _Part:
    """A job whose progress is not that of one invoice."""

    job: RunningJob

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def data(self) -> Any:
        return self.job.data

    @property
    def attempts_made(self) -> int:
        return self.job.attempts_made

    async def update_progress(self, progress: Any) -> None:
        """Nothing: it is the whole's that counts."""

    async def log(self, row: str) -> int:
        return await self.job.log(row)
