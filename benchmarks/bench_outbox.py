"""How long a mail takes into the outbox, from a job's data to the .eml file.

Run: python benchmarks/bench_outbox.py [--runs 1000] [--folder FOLDER]
Needs: pip install -e '.[email,db]'

Each row is one kind of job, run over and over, one at a time, as a worker would run it: checking the data, filling the
template, making the text part and the MIME, and storing the file, the way the outbox does it for every installation: a
part file that is renamed, without waiting for the disk (no fsync). Taking the job from the queue is not part. The
first row, of a process that has compiled no template yet, is one job. A bulk job is one job to 100 people, with its
record in the database, and counts by the mail.

Wall time is what a job waits on this machine as busy as it is now; CPU time is what it costs this process.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from toril.db.session import Database
from toril.queues.base import QueueDefinition
from toril.queues.email import OutboxProvider, Tracker, email_queue
from toril.queues.email.database_ledger import DatabaseLedger

RECIPIENTS = 100  #: of a bulk job

HTML = """<!doctype html><html lang="ar" dir="rtl"><body>
<h1>القضية {{case}}</h1><p>عزيزنا {{name}}،</p>
<p>تحدد موعد الجلسة يوم <b>الأحد</b>. التفاصيل <a href="https://firm.example/cases/7?a=1">هنا</a>.</p>
<ul><li>المحكمة التجارية بالرياض</li><li>الدائرة الثالثة</li></ul>
<table><tr><td>Fee</td><td>1,150.00</td></tr><tr><td>VAT</td><td>172.50</td></tr></table>
<p>We have filed the statement of claim and are waiting for the court to set a date for the next hearing.</p>
</body></html>"""
PLAIN_HTML = HTML.replace("{{case}}", "4470012345").replace("{{name}}", "سارة")
INVOICE = {
    "clientName": "شركة الأفق المتقدم للتجارة",
    "invoiceNumber": "INV-2026-0042",
    "date": "2026-03-01",
    "dueDate": "2026-03-31",
    "totalAmount": 17250,
    "currency": "SAR",
    "items": [{"description": "صياغة عقد", "amount": 9000}, {"description": "Hearing", "amount": "6000.00"}],
    "subtotal": 15000,
    "vatAmount": 2250,
    "invoiceUrl": "https://app.example.com/invoices/42",
}


def transactional(number: int, *, file: bytes = b"") -> dict[str, Any]:
    """A mail in HTML, perhaps with a file."""
    data: dict[str, Any] = {
        "to": f"c{number}@example.com",
        "subject": "موعد الجلسة القادمة",
        "html": PLAIN_HTML,
    }
    if file:
        content = base64.b64encode(file).decode()
        data["attachments"] = [
            {"filename": "فاتورة.pdf", "content": content, "contentType": "application/pdf"}
        ]
    return {"type": "transactional", "data": data}


def plain(number: int) -> dict[str, Any]:
    """A mail of a line of text."""
    data = {"to": f"c{number}@example.com", "subject": "Invoice 204", "text": "It is due."}
    return {"type": "transactional", "data": data}


def template(number: int) -> dict[str, Any]:
    """A mail made from a template."""
    data = {"to": f"c{number}@example.com", "templateId": "invoice", "templateData": INVOICE}
    return {"type": "template", "data": data}


def campaign(number: int) -> dict[str, Any]:
    """A campaign's mail to one recipient, with its links tracked."""
    data = {
        "campaignId": "507f1f77bcf86cd799439011",
        "recipient": {"email": f"c{number}@example.com", "name": "سارة"},
        "subject": "نشرة الأنظمة الجديدة",
        "html": PLAIN_HTML,
        "trackingId": f"t-{number}",
    }
    return {"type": "campaign", "data": data}


def bulk(number: int) -> dict[str, Any]:
    """The same mail to many, with their names in it."""
    recipients = [
        {"email": f"c{number}-{at}@example.com", "name": f"العميل {at}", "case": 4470012345 + at}
        for at in range(RECIPIENTS)
    ]
    data = {"recipients": recipients, "subject": "القضية {{case}}", "html": HTML}
    return {"type": "bulk", "data": data}


class PlainJob:
    """What a processor sees of a job."""

    attempts_made, timestamp = 0, 1

    def __init__(self, job_id: str, data: dict[str, Any]) -> None:
        self.id = job_id
        self.data = data

    async def update_progress(self, progress: Any) -> None: ...

    async def log(self, row: str) -> int:
        return 0


async def measure(
    queue: QueueDefinition, kind: str, make: Callable[[int], dict[str, Any]], runs: int, mails: int = 1
) -> tuple[list[float], list[float]]:
    """Wall and CPU milliseconds of a mail, in each of ``runs`` jobs."""
    wall, cpu = [], []
    for number in range(runs):
        job = PlainJob(f"{kind}-{number}", make(number))
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        result = await queue.process(job)
        wall.append((time.perf_counter() - wall_start) * 1000 / mails)
        cpu.append((time.process_time() - cpu_start) * 1000 / mails)
        assert result["success"], result
    return wall, cpu


def row(name: str, wall: list[float], cpu: list[float]) -> tuple[str, ...]:
    """One line of the table."""
    p95 = sorted(wall)[min(len(wall) - 1, round(len(wall) * 0.95))]
    figures = (statistics.median(wall), p95, min(wall), statistics.median(cpu), min(cpu))
    return name, *(f"{figure:,.2f}" for figure in figures), str(len(wall))


def processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


async def main(runs: int, folder: Path) -> None:
    print(f"machine: {processor_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    packages = ", ".join(f"{name} {version(name)}" for name in ("jinja2", "pydantic", "sqlalchemy"))
    print(f"versions: Python {platform.python_version()}, {packages}; files in {folder}")
    table = Table("a mail")
    for heading in ("median ms", "p95 ms", "min ms", "CPU ms", "min CPU ms", "jobs"):
        table.add_column(heading, justify="right")
    rows: list[tuple[str, Callable[[int], dict[str, Any]], int, int]] = [
        ("first of the process, from a template", template, 1, 1),
        ("a line of text", plain, runs, 1),
        ("HTML, with a text part made of it", transactional, runs, 1),
        ("from the template invoice", template, runs, 1),
        ("HTML and a file of 50 KB", lambda n: transactional(n, file=os.urandom(50_000)), runs, 1),
        ("campaign, with its links tracked", campaign, max(5, runs // 5), 1),
        (f"bulk, one of {RECIPIENTS}", bulk, max(3, runs // RECIPIENTS), RECIPIENTS),
    ]
    async with Database(home=folder / "records") as database:
        await database.upgrade()
        queue = email_queue(
            OutboxProvider(folder / "outbox"),
            from_email="no-reply@mail.example.com",
            from_name="مكتب العدالة للمحاماة",
            ledger=DatabaseLedger(database),
            tracker=Tracker("https://mail.firm.example", "s" * 48),
        )
        for at, (name, make, jobs, mails) in enumerate(rows):
            table.add_row(*row(name, *await measure(queue, str(at), make, jobs, mails)))
        await queue.close()
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="mails per row (default 1000)")
    parser.add_argument("--folder", type=Path, help="where the outbox is made (default a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as made:
        asyncio.run(main(arguments.runs, Path(made)))
