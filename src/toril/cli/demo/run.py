"""One run of the demonstration: jobs of every type through real workers, counted to the last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from toril.cli.demo.jobs import more_payments, one_of_each
from toril.cli.demo.records import DemoRecords
from toril.cli.demo.services import DemoServices
from toril.cli.demo.tally import Score, Tally
from toril.db.models import Invoice
from toril.engine.job import Job
from toril.errors import TorilError
from toril.queues.pdf.from_records import invoice_job
from toril.service import QueueService


class DemoRun:
    """Puts jobs on the queues, mails each finished invoice, and keeps count.

    Args:
        run: names this run's jobs, so that what an earlier one left is not counted.
    """

    def __init__(self, service: QueueService, records: DemoRecords, services: DemoServices, run: str) -> None:
        self._service, self._records, self._services, self._run = service, records, services, run
        self._tallies: dict[str, Tally] = {}
        self._unknown: dict[
            str, Any
        ] = {}  # jobs that completed before somebody said that they belong to this run
        self._invoices = {f"{run}-invoice-{invoice.id}": invoice for invoice in records.invoices}
        self.score = Score()
        self.pdfs = self.score.of("pdf", "invoice")
        self.mails = self.score.of("email", "transactional")
        self.finished = asyncio.Event()

    async def add(self) -> None:
        """Listen, and put everything on the queues."""
        for queue in self._service.queues.values():
            queue.hooks.on("completed", self._completed)
            queue.hooks.on("failed", self._failed)
        self.pdfs.expect(len(self._invoices))
        self.mails.expect(len(self._invoices))
        self._tallies |= dict.fromkeys(self._invoices, self.pdfs)
        await self._service.add_bulk_jobs(
            "pdf",
            [
                {"data": {"type": "invoice", "data": invoice_job(invoice)}, "options": {"jobId": job_id}}
                for job_id, invoice in self._invoices.items()
            ],
        )
        for queue_name, types in one_of_each(self._records, self._services, self._run).items():
            for type, data in types.items():
                await self._add(queue_name, type, data)
        for data in more_payments(self._records):
            await self._add("sync", "payment-status", data)

    async def _add(self, queue: str, type: str, data: dict[str, Any]) -> None:
        tally = self.score.of(queue, type)
        job_id = f"{self._run}-{queue}-{type}-{tally.expected}"
        self._expect(job_id, queue, type)
        try:
            await self._service.add_job(queue, {"type": type, "data": data}, {"jobId": job_id, "priority": 1})
        except TorilError as error:
            self._end(job_id, error=str(error))

    def _expect(self, job_id: str, queue: str, type: str) -> None:
        if job_id not in self._tallies:
            self._tallies[job_id] = self.score.of(queue, type)
            self._tallies[job_id].expect()

    async def _completed(self, job: Job[Any], outcome: Any) -> None:
        if (child := outcome.get("pdfJobId")) is not None and job.id in self._tallies:
            self._expect(child, "pdf", "report")
            if child in self._unknown:
                self._end(child, outcome=self._unknown.pop(child))
        if job.id not in self._tallies:
            self._unknown[job.id] = outcome
        self._end(job.id, outcome=outcome)
        if (invoice := self._invoices.get(job.id)) is not None:
            # The mail's id follows from the invoice's, so that a repeated event does not mail twice.
            mail_id = job.id.replace("-invoice-", "-mail-", 1)
            self._tallies[mail_id] = self.mails
            try:
                await self._service.send_email(self._covering_mail(invoice, outcome), {"jobId": mail_id})
            except TorilError as error:
                self._end(mail_id, error=str(error))

    def _failed(self, job: Job[Any] | None, error: BaseException) -> None:
        if job is None or job.finished_on is None:  # it will be tried again
            return
        if job.id in self._invoices:
            self._tallies[mail_id := f"{job.id}-mail"] = self.mails
            self._end(mail_id, error="its PDF was not made")
        self._end(job.id, error=str(error))

    def _end(self, job_id: str, *, outcome: Mapping[str, Any] | None = None, error: str = "") -> None:
        tally = self._tallies.pop(job_id, None)
        if tally is None:
            return
        if outcome is not None:
            tally.complete(outcome)
        else:
            tally.fail(error)
        if self.score.over:
            self.finished.set()

    def _covering_mail(self, invoice: Invoice, pdf: Mapping[str, Any]) -> dict[str, Any]:
        firm = self._records.firm
        return {
            "to": invoice.client.email,
            "subject": f"فاتورة {invoice.number} · Invoice {invoice.number}",
            "text": (
                f"السلام عليكم،\n\nتجدون مرفقة الفاتورة {invoice.number} بمبلغ {invoice.total:.2f} ريال.\n\n"
                f"Dear client,\n\nplease find attached invoice {invoice.number} for SAR {invoice.total:.2f}, "
                f"due on {invoice.due_date}.\n\n{firm.name_en}\n"
            ),
            "attachments": [{"filename": f"{invoice.number}.pdf", "path": pdf["filePath"]}],
            "firmId": firm.id,
        }


def new_run() -> str:
    """A name for a run, in hexadecimal: later ones sort after earlier ones."""
    return f"{time.time_ns():x}"
