"""How long a document takes, from a job's data to the bytes of the PDF file.

Run: python benchmarks/bench_pdf.py [--runs 200] [--chromium PATH]
Needs: pip install -e '.[pdf]'; with Chromium on PATH and '.[chromium]', its rows too

Each row is one document, made over and over, one at a time: checking the data, laying out the HTML with its charts
and QR code, rendering, and what is put into the file after. Storing it is not part. The first document of a process,
which also loads fonts, and of a browser, which also starts it, have rows of their own. Wall time is what a job waits
on this machine as busy as it is now; CPU time is what it costs this process, so not what child processes and the
browser do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import statistics
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from toril.queues.base import QueueDefinition
from toril.queues.pdf import EngineOptions, pdf_queue
from toril.queues.storage import StoredFile

SELLER = {
    "nameAr": "مكتب العدالة للمحاماة والاستشارات القانونية",
    "nameEn": "Al Adala Law Firm & Legal Consultancy",
    "vatNumber": "310122393500003",
    "commercialRegistration": "1010567890",
    "addressAr": "طريق الملك فهد، حي العليا\nالرياض 12211",
    "addressEn": "King Fahd Road, Al Olaya\nRiyadh 12211",
    "phone": "+966 11 456 7890",
    "email": "billing@adala.example",
    "bankName": "مصرف الراجحي",
    "accountName": "مكتب العدالة للمحاماة",
    "iban": "SA0380000000608010167519",
}
DESCRIPTIONS = (
    "مراجعة عقد توريد وإبداء الرأي القانوني",
    "Drafting of a shareholders' agreement, third revision",
    "تمثيل الموكل في جلسة المحكمة التجارية بالرياض، القضية رقم 4471/1446",
)


ACCOUNT = {"firmId": "65f1c0a2b3d4e5f607182900"}
ID = "65f1c0a2b3d4e5f60718293a"
MONTHS = ("يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو")


def invoice(lines: int, **options: Any) -> dict[str, Any]:
    """A job of the type invoice with ``lines`` lines of 1,200.00."""
    items = [
        {"description": DESCRIPTIONS[at % len(DESCRIPTIONS)], "quantity": 2, "unitPrice": 600}
        for at in range(lines)
    ]
    data = {
        "invoiceNumber": "INV-2025/0042",
        "date": "2025-01-15T09:30:00.000Z",
        "dueDate": "2025-02-14",
        "clientName": "شركة الأفق المتقدم للتجارة والمقاولات",
        "clientEmail": "ap@alofuq.example",
        "clientPhone": "+966 50 123 4567",
        "clientAddress": "شارع التحلية، جدة 23432",
        "items": items,
        "subtotal": 1200 * lines,
        "vatRate": 15,
        "vatAmount": 180 * lines,
        "totalAmount": 1380 * lines,
        "notes": "يرجى ذكر رقم الفاتورة عند التحويل.",
        "paymentTerms": "Payment within 30 days of the invoice's date.",
        "seller": SELLER,
    }
    return {"type": "invoice", "data": {"invoiceId": ID, "invoiceData": data, "options": options, **ACCOUNT}}


def report(rows: int, **options: Any) -> dict[str, Any]:
    """A job of the type report: four figures, four charts and a table of ``rows`` rows."""
    labels = list(MONTHS)
    values = [180000, 196500, 171000, 224000, 245000, 268000]
    charts = [
        {
            "type": kind,
            "title": "الإيرادات",
            "kind": "amount",
            "labels": labels,
            "series": [{"values": values}],
        }
        for kind in ("bar", "line", "donut", "hbar")
    ]
    columns = [
        {"key": "client", "label": "العميل"},
        {"key": "since", "label": "منذ", "kind": "date"},
        {"key": "time", "label": "الوقت", "kind": "minutes", "total": True},
        {"key": "revenue", "label": "الإيراد", "kind": "amount", "total": True},
    ]
    row = {
        "client": "شركة الأفق المتقدم للتجارة",
        "since": "2019-03-01",
        "time": 12630,
        "revenue": "412000.50",
    }
    data = {
        "title": "التقرير المالي",
        "periodStart": "2025-01-01",
        "periodEnd": "2025-06-30",
        "firm": SELLER,
        "summary": [{"label": "الإيرادات", "value": 1284500}] * 4,
        "sections": [
            {"title": "الإيرادات", "charts": charts},
            {"table": {"columns": columns, "rows": [row] * rows}},
        ],
    }
    return {
        "type": "report",
        "data": {
            "reportId": ID,
            "reportType": "financial",
            "reportData": data,
            "options": options,
            **ACCOUNT,
        },
    }


def statement(entries: int, **options: Any) -> dict[str, Any]:
    """A job of the type statement with ``entries`` entries."""
    data = {
        "statementNumber": "ST-2025-031",
        "date": "2025-06-30",
        "clientName": "شركة الأفق المتقدم للتجارة",
        "openingBalance": 2500,
        "entries": [
            {"date": "2025-04-03", "kind": "invoice", "reference": f"INV-{at}", "debit": 1380}
            for at in range(entries)
        ],
        "firm": SELLER,
    }
    return {
        "type": "statement",
        "data": {"statementId": ID, "statementData": data, "options": options, **ACCOUNT},
    }


def contract(clauses: int, **options: Any) -> dict[str, Any]:
    """A job of the type contract with ``clauses`` clauses in two languages."""
    text = {
        "ar": "يلتزم الطرف الأول بتقديم الخدمات المتفق عليها وفق الأنظمة المعمول بها. " * 3,
        "en": "The first party provides the agreed services in accordance with the law. " * 3,
    }
    party = {
        "role": {"ar": "الطرف الأول", "en": "First party"},
        "name": {"ar": "مكتب العدالة", "en": "Al Adala"},
    }
    data = {
        "title": {"ar": "عقد تقديم خدمات قانونية", "en": "Legal Services Agreement"},
        "date": "2025-02-01",
        "parties": [party, party],
        "clauses": [{"title": {"ar": "بند", "en": "Clause"}, "text": text} for _ in range(clauses)],
        "firm": SELLER,
    }
    return {
        "type": "contract",
        "data": {"contractId": ID, "contractData": data, "options": options, **ACCOUNT},
    }


def custom(**options: Any) -> dict[str, Any]:
    """A job of the type custom: one page of text."""
    html = "<!doctype html><html lang=ar dir=rtl><title>مذكرة</title>" + "<p>نص المذكرة القانونية.</p>" * 30
    return {"type": "custom", "data": {"html": html, "options": options, **ACCOUNT}}


class Kept:
    """A store that forgets, and only says how large a file was."""

    async def save(self, *, firm_id: str, folder: str, name: str, content: bytes) -> StoredFile:
        return StoredFile(name=name, path="", size=len(content))

    async def read(self, path: str) -> bytes:
        raise NotImplementedError


class PlainJob:
    """What a processor sees of a job."""

    id, attempts_made = "1", 0

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    async def update_progress(self, progress: Any) -> None: ...

    async def log(self, row: str) -> int:
        return 0


async def make(queue: QueueDefinition, job: dict[str, Any]) -> int:
    """Run one job; the size of its file in bytes."""
    result = await queue.process(PlainJob(job))
    return int(result["size"])


async def measure(queue: QueueDefinition, job: dict[str, Any], runs: int) -> tuple[list[float], list[float]]:
    """Wall and CPU milliseconds of each of ``runs`` documents."""
    wall, cpu = [], []
    for _ in range(runs):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        await make(queue, job)
        wall.append((time.perf_counter() - wall_start) * 1000)
        cpu.append((time.process_time() - cpu_start) * 1000)
    return wall, cpu


def row(name: str, wall: list[float], cpu: list[float], size: int) -> tuple[str, ...]:
    """One line of the table."""
    p95 = sorted(wall)[min(len(wall) - 1, round(len(wall) * 0.95))]
    figures = (statistics.median(wall), p95, min(wall), statistics.median(cpu))
    return name, *(f"{figure:,.1f}" for figure in figures), f"{size / 1024:,.0f}"


def processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


async def main(runs: int, chromium: Path | None) -> None:
    print(f"machine: {processor_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    names = ["plutoprint", "segno", "jinja2", "pydantic", *(["playwright"] if chromium else [])]
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"versions: Python {platform.python_version()}, {packages}; {runs} runs")
    table = Table("document")
    for heading in ("median ms", "p95 ms", "min ms", "CPU ms", "size KiB"):
        table.add_column(heading, justify="right")
    queue = pdf_queue(store=Kept(), engines=EngineOptions(chromium=chromium))
    documents: list[tuple[str, dict[str, Any], int]] = [
        ("first of the process", invoice(4), 1),
        ("invoice, one page, Arabic and English", invoice(4), runs),
        ("invoice, one page, Arabic", invoice(4, language="ar"), runs),
        ("invoice, one page, English", invoice(4, language="en"), runs),
        ("invoice, 60 lines", invoice(60), max(5, runs // 4)),
        ("invoice, 2,000 lines", invoice(2000), 3),
        ("report, 4 charts and 20 rows", report(20), max(5, runs // 2)),
        ("report, 4 charts and 2,000 rows", report(2000), 3),
        ("statement, 12 entries", statement(12), max(5, runs // 2)),
        ("contract, 30 clauses, Arabic and English", contract(30), max(5, runs // 4)),
        ("first HTML, which starts a child process", custom(), 1),
        ("HTML, one page", custom(), max(5, runs // 2)),
    ]
    if chromium:
        fewer = max(5, runs // 10)
        documents += [
            ("Chromium: first, which starts it", invoice(4, renderer="chromium"), 1),
            ("Chromium: invoice, one page", invoice(4, renderer="chromium"), fewer),
            ("Chromium: report, 4 charts and 20 rows", report(20, renderer="chromium"), fewer),
            ("Chromium: statement, 12 entries", statement(12, renderer="chromium"), fewer),
            ("Chromium: contract, 30 clauses", contract(30, renderer="chromium"), fewer),
            ("Chromium: HTML, one page", custom(renderer="chromium"), fewer),
        ]
    for name, job, times in documents:
        times_of = await measure(queue, job, times)
        table.add_row(*row(name, *times_of, await make(queue, job)))
    await queue.close()
    Console().print(table)


def found_chromium() -> Path | None:
    """The browser on PATH, if it can be driven."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    return Path(found) if found and find_spec("playwright") else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200, help="documents per row (default 200)")
    parser.add_argument("--chromium", type=Path, default=found_chromium(), help="its path (default on PATH)")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.runs, arguments.chromium))
