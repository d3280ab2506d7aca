"""How long an invoice takes, from a job's data to the bytes of the PDF file.

Run: python benchmarks/bench_pdf.py [--runs 200]
Needs: pip install -e '.[pdf]'

Each row is one document, made over and over in one process, one at a time: checking the data, laying out the HTML
with its QR code, rendering, and the language put into the file. Storing it is not part. The first document of a
process, which also loads fonts, has a row of its own. Wall time is what a job waits on this machine as busy as it
is now; CPU time is what it costs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.table import Table

from toril.queues.pdf import InvoicePayload, RenderOptions
from toril.queues.pdf.invoice import invoice_page
from toril.queues.pdf.renderers.plutoprint import PlutoPrintRenderer

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


def job_data(*, lines: int, language: str) -> dict[str, Any]:
    """Data of a job of the type invoice with ``lines`` lines of 1,200.00."""
    items = [
        {"description": DESCRIPTIONS[at % len(DESCRIPTIONS)], "quantity": 2, "unitPrice": 600}
        for at in range(lines)
    ]
    return {
        "invoiceId": "65f1c0a2b3d4e5f60718293a",
        "firmId": "65f1c0a2b3d4e5f607182900",
        "options": {"language": language},
        "invoiceData": {
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
        },
    }


async def make(renderer: PlutoPrintRenderer, data: dict[str, Any]) -> bytes:
    """What the processor of the queue does, without storing the file."""
    payload = InvoicePayload.model_validate(data)
    page = invoice_page(payload.invoice_data, payload.invoice_data.seller, payload.options)
    return await renderer.render(
        page.html, title=page.title, lang=page.lang, options=RenderOptions(author=page.author)
    )


async def measure(
    renderer: PlutoPrintRenderer, data: dict[str, Any], runs: int
) -> tuple[list[float], list[float]]:
    """Wall and CPU milliseconds of each of ``runs`` documents."""
    wall, cpu = [], []
    for _ in range(runs):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        await make(renderer, data)
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


async def main(runs: int) -> None:
    print(f"machine: {processor_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    packages = ", ".join(f"{name} {version(name)}" for name in ("plutoprint", "segno", "jinja2", "pydantic"))
    print(f"versions: Python {platform.python_version()}, {packages}; {runs} runs")
    table = Table("document")
    for heading in ("median ms", "p95 ms", "min ms", "CPU ms", "size KiB"):
        table.add_column(heading, justify="right")
    renderer = PlutoPrintRenderer()
    data = job_data(lines=4, language="both")
    first = await measure(renderer, data, 1)
    table.add_row(*row("first of the process", *first, len(await make(renderer, data))))
    for name, lines, language, times in (
        ("one page, Arabic and English", 4, "both", runs),
        ("one page, Arabic", 4, "ar", runs),
        ("one page, English", 4, "en", runs),
        ("60 lines", 60, "both", max(5, runs // 4)),
        ("2,000 lines", 2000, "both", 3),
    ):
        data = job_data(lines=lines, language=language)
        size = len(await make(renderer, data))
        table.add_row(*row(name, *await measure(renderer, data, times), size))
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200, help="documents per row (default 200)")
    asyncio.run(main(parser.parse_args().runs))
