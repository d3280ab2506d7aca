"""``toril demo``: a firm's invoices to PDF and out by mail, through real queues and workers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from toril.cli.command import Call, command
from toril.cli.demo_firm import DemoFirm, covering_mail, make_firm, make_invoices
from toril.cli.exits import ExitCode
from toril.engine.job import Job
from toril.errors import TorilError
from toril.queues.registry import make_worker, ready_made_queues
from toril.queues.storage import LocalFileStore
from toril.service import QueueService
from toril.settings import Settings


@dataclass
class Tally:
    """What happened to the jobs of one type."""

    queue: str
    type: str
    expected: int
    ended: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    first: float = 0.0
    last: float = 0.0

    def note(self, state: str) -> None:
        """Count one job that reached ``state``."""
        self.ended[state] += 1
        self.last = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether every expected job has ended."""
        return self.ended.total() >= self.expected

    @property
    def seconds(self) -> float:
        """From the first job added to the last one ended."""
        return max(self.last - self.first, 1e-9)


class Demo:
    """One run: puts invoices on the pdf queue, mails each finished PDF, and keeps count."""

    def __init__(
        self, service: QueueService, firm: DemoFirm, invoices: list[dict[str, Any]], run: str
    ) -> None:
        self._service, self._firm, self._run = service, firm, run
        self._invoices = {self._job_id("pdf", invoice): invoice for invoice in invoices}
        self.pdfs = Tally("pdf", "invoice", len(invoices))
        self.mails = Tally("email", "transactional", len(invoices))
        self.finished = asyncio.Event()

    async def add(self) -> None:
        """Listen, and put all invoices on the queue."""
        for name, completed in (("pdf", self._pdf_completed), ("email", self._mail_completed)):
            hooks = self._service.queue(name).hooks
            hooks.on("completed", completed)
            hooks.on("failed", self._failed)
        self.pdfs.first = time.monotonic()
        await self._service.add_bulk_jobs(
            "pdf",
            [
                {"data": {"type": "invoice", "data": invoice}, "options": {"jobId": job_id}}
                for job_id, invoice in self._invoices.items()
            ],
        )

    async def _pdf_completed(self, job: Job[Any], pdf: dict[str, Any]) -> None:
        if (invoice := self._invoices.get(job.id)) is None:
            return
        self.mails.first = self.mails.first or time.monotonic()
        # The mail's id follows from the invoice's, so that a repeated event does not mail twice.
        try:
            await self._service.send_email(
                covering_mail(invoice, pdf, self._firm), {"jobId": self._job_id("email", invoice)}
            )
        except TorilError as error:
            self.mails.reasons[str(error)] += 1
            self._note(self.mails, "not sent")
        self._note(self.pdfs, "completed")

    def _mail_completed(self, job: Job[Any], _: Any) -> None:
        if job.id.startswith(f"demo-{self._run}-"):
            self._note(self.mails, "completed")

    def _failed(self, job: Job[Any] | None, error: BaseException) -> None:
        if job is None or not job.id.startswith(f"demo-{self._run}-") or job.finished_on is None:
            return
        tally = self.pdfs if job.id in self._invoices else self.mails
        tally.reasons[str(error)] += 1
        self._note(tally, "failed")
        if tally is self.pdfs:
            self._note(self.mails, "not sent")

    def _note(self, tally: Tally, state: str) -> None:
        tally.note(state)
        if self.pdfs.done and self.mails.done:
            self.finished.set()

    def _job_id(self, queue: str, invoice: dict[str, Any]) -> str:
        return f"demo-{self._run}-{queue}-{invoice['invoiceId']}"


@command(
    examples="""
    toril demo                    200 invoices, with nothing configured
    toril demo --invoices 1000    more of them
    """
)
async def demo(
    call: Call,
    invoices: Annotated[int, typer.Option(min=1, max=100_000, help="How many invoices.")] = 200,
    seed: Annotated[int, typer.Option(help="The same number gives the same invoices.")] = 1,
) -> int:
    """Run one job of every kind, and show what came out.

    A made-up law firm puts its invoices on the pdf queue; each finished PDF is mailed by the email queue, into
    the local outbox. Exits with 1 if a job did not complete.
    """
    complete = await run_demo(call.settings, Console(stderr=call.json), invoices=invoices, seed=seed)
    return ExitCode.DONE if complete else ExitCode.FAILED


async def run_demo(settings: Settings, console: Console, *, invoices: int, seed: int) -> bool:
    """Run the demonstration and print what came of it.

    Returns:
        Whether every job completed.
    """
    firm = make_firm(seed)
    files, outbox = settings.files_path, settings.outbox_path
    definitions = ready_made_queues(
        files=LocalFileStore(files), outbox=outbox, from_email=firm.email, from_name=firm.name
    )
    async with QueueService(
        definitions.values(), url=settings.redis_url, prefix=settings.prefix, home=settings.home
    ) as service:
        demo = Demo(service, firm, list(make_invoices(firm, invoices, seed)), f"{time.time_ns():x}")
        workers = [make_worker(definitions[name], service.queue(name)) for name in definitions]
        console.print(
            f"[bold]{firm.name}[/bold] sends {invoices} invoices. Server: {service.queue('pdf').server}"
        )
        try:
            await asyncio.gather(*(worker.start() for worker in workers))
            await demo.add()
            await _watch(demo, console)
        finally:
            await asyncio.gather(*(worker.close() for worker in workers))
    _print_result(demo, console, files / firm.firm_id / "pdf", outbox)
    return demo.pdfs.ended["completed"] == demo.mails.ended["completed"] == invoices


async def _watch(demo: Demo, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        rows = [
            (tally, progress.add_task(label, total=tally.expected))
            for tally, label in ((demo.pdfs, "invoices to PDF "), (demo.mails, "PDFs by mail    "))
        ]
        while True:
            for tally, row in rows:
                progress.update(row, completed=tally.ended.total())
            if demo.finished.is_set():
                return
            try:
                await asyncio.wait_for(demo.finished.wait(), 0.1)
            except TimeoutError:
                continue


def _print_result(demo: Demo, console: Console, pdfs: Path, outbox: Path) -> None:
    table = Table(title="What came out")
    for name, justify in (
        ("queue", "left"),
        ("type", "left"),
        ("completed", "right"),
        ("failed", "right"),
        ("seconds", "right"),
        ("jobs/s", "right"),
        ("files", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for tally, folder in ((demo.pdfs, pdfs), (demo.mails, outbox)):
        completed, other = tally.ended["completed"], tally.ended.total() - tally.ended["completed"]
        table.add_row(
            tally.queue,
            tally.type,
            str(completed),
            str(other),
            f"{tally.seconds:.2f}",
            f"{completed / tally.seconds:,.0f}",
            _short(folder),
        )
    console.print(table)
    for tally in (demo.pdfs, demo.mails):
        for reason, count in tally.reasons.most_common(3):
            console.print(f"[red]{count} × {tally.queue} {tally.type}: {reason}[/red]")


def _short(path: Path) -> str:
    """The path from here, when it is below here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
