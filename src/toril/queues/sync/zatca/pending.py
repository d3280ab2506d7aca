"""The work of a job ``zatca-pending``: send again what the gateway has given no verdict on.

A job for an invoice ends after its last attempt, and its document may be pending then. A simplified document must be
reported within 24 hours of its issue, so this runs every hour.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from toril.db.repositories.zatca import ZatcaDocuments
from toril.db.session import Database
from toril.errors import NotConfiguredError, PostponedError, RetryableError, TorilError
from toril.queues.base import JobType, RunningJob
from toril.queues.sync.zatca.chain import RejectedError
from toril.queues.sync.zatca.payloads import ZatcaInvoice, ZatcaPending
from toril.queues.sync.zatca.processor import ZatcaInvoices

log = logging.getLogger("toril.queues.sync.zatca")

_UNTOUCHED: Final = timedelta(minutes=10)  #: until then the invoice's own job is perhaps about to try again
_BUDGET: Final = 600.0  #: seconds after which no further document is begun
_FIRMS_AT_ONCE: Final = 4
_SILENT_FIRMS: Final = 8  #: in a row that got no answer; then it is the gateway, not the firms
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

        Firms take turns, one document each, several firms at a time: so one with many, or with such that fail, holds
        up no other. A firm whose credentials are refused, or whose document gets no answer, is passed over for this
        run. When none of several firms gets an answer, the gateway is away, and the rest waits for the next run.

        Returns:
            ``{"success": True, "settledCount", "rejectedCount", "failedCount", "leftCount", "problems":
            [{"firmId", "invoiceId", "error"}]}``; left is what there was no time for, what got no answer, and what
            firms have that were passed over.
        Raises:
            NotConfiguredError: documents are pending, and ZATCA is not set up.
            RetryableError: the gateway is away or limits us, for all firms.
        """
        environment = None if self._invoices is None else self._invoices.environment
        async with self._db.reading() as session:
            now = self._clock()
            pending = await ZatcaDocuments(session).list_pending(
                environment=environment, tried_before=now - _UNTOUCHED, or_after=now + _UNTOUCHED
            )
        if pending and self._invoices is None:
            raise NotConfiguredError(
                "documents wait for ZATCA's verdict, and ZATCA is not set up in this installation. Set "
                "ZATCA_ENVIRONMENT and ZATCA_KEY"
            )
        run = _Run(total=len(pending), until=self._mono() + _BUDGET)
        for firm_id, invoice_id in pending:
            run.waiting.setdefault(firm_id, deque()).append(invoice_id)
        run.turns.extend(run.waiting)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(_FIRMS_AT_ONCE, len(run.turns))):
                tasks.create_task(self._work(run, job))
        if run.is_away and not (run.settled or run.rejected or run.failed):
            raise run.away[-1]
        await job.update_progress(100)
        return {
            "success": True,
            "settledCount": run.settled,
            "rejectedCount": run.rejected,
            "failedCount": run.failed,
            "leftCount": run.total - run.settled - run.rejected - run.failed,
            "problems": run.problems[:_SHOWN],
        }

    async def _work(self, run: _Run, job: RunningJob) -> None:
        """Send documents, of the firm whose turn it is, until there is nothing more to do."""
        while run.turns and not run.gateway_is_away and self._mono() < run.until:
            firm_id = run.turns.popleft()
            invoice_id = run.waiting[firm_id].popleft()
            await job.update_progress(round(100 * run.begun / run.total))
            run.begun += 1
            error = await self._send(ZatcaInvoice(invoice_id=invoice_id, firm_id=firm_id), job)
            if not isinstance(error, PostponedError):  # another job of the firm is at it
                run.note(firm_id, invoice_id, error)
            if run.waiting[firm_id] and not isinstance(error, NotConfiguredError | RetryableError):
                run.turns.append(firm_id)

    async def _send(self, invoice: ZatcaInvoice, job: RunningJob) -> TorilError | None:
        """Why it was not accepted; None when it was."""
        assert self._invoices is not None
        try:
            await self._invoices.submit(invoice, _Part(job))
        except TorilError as error:
            return error
        return None


@dataclass(slots=True, kw_only=True)
class _Run:
    """How far a run is.

    Attributes:
        turns: firms, in the order in which they may send next.
        waiting: their invoices.
        away: why firms were passed over that got no answer.
        silent: how many of those there were in a row.
    """

    total: int
    until: float
    begun: int = 0
    settled: int = 0
    rejected: int = 0
    failed: int = 0
    silent: int = 0
    turns: deque[str] = field(default_factory=deque)
    waiting: dict[str, deque[str]] = field(default_factory=dict)
    away: list[RetryableError] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)

    @property
    def is_away(self) -> bool:
        """Whether a firm got no answer."""
        return bool(self.away)

    @property
    def gateway_is_away(self) -> bool:
        """Whether it is not a matter of one firm."""
        return self.silent >= _SILENT_FIRMS

    def note(self, firm_id: str, invoice_id: str, error: TorilError | None) -> None:
        """Count how a sending ended."""
        self.silent = self.silent + 1 if isinstance(error, RetryableError) else 0
        if error is None:
            self.settled += 1
            return
        if isinstance(error, RetryableError):
            self.away.append(error)
        elif isinstance(error, RejectedError):
            self.rejected += 1
        else:
            self.failed += 1
        log.error("zatca_document_not_settled", extra={"firm_id": firm_id, "invoice_id": invoice_id})
        self.problems.append({"firmId": firm_id, "invoiceId": invoice_id, "error": str(error)[:500]})


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
