"""Jobs of the queue ``pdf`` for tests, and ways to look into the PDF files made of them."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import shutil
import struct
import subprocess
import tempfile
import unicodedata
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

FIRM = "65f1c0a2b3d4e5f607182900"


def chromium() -> Path:
    """The browser of this machine: ``TORIL_CHROMIUM``, or one on PATH; skips the test if there is none."""
    found = os.environ.get("TORIL_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found or find_spec("playwright") is None:
        pytest.skip("needs Chromium (on PATH, or TORIL_CHROMIUM) and the package playwright")
    return Path(found)


class Responder:
    """A real HTTP server on a loopback port that keeps the paths it was asked for.

    Attributes:
        answers: status, headers and body by path; a style sheet that prints ``LEAKED`` for others.
        held: while clear, requests wait for their answer.
        asked: the paths, in order.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, tuple[str, str, bytes]] = {}
        self.held = asyncio.Event()
        self.held.set()
        self.asked: list[str] = []
        self.waiting = self.most_waiting = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).decode().split(" ")[1]
        self.asked.append(path)
        self.waiting += 1
        self.most_waiting = max(self.waiting, self.most_waiting)
        await self.held.wait()
        self.waiting -= 1
        status, headers, body = self.answers.get(path, ("200 OK", "Content-Type: text/css", LEAK.encode()))
        writer.write(f"HTTP/1.1 {status}\r\n{headers}\r\nConnection: close\r\n\r\n".encode() + body)
        try:
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            pass  # a client that was killed


LEAK = "body::before { content: 'LEAKED' }"


@asynccontextmanager
async def responder() -> AsyncIterator[Responder]:
    """A running ``Responder``."""
    made = Responder("")
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    made.url = f"http://{host}:{port}"
    try:
        yield made
    finally:
        made.held.set()
        server.close()
        await server.wait_closed()


def check_pdf(pdf: bytes) -> None:
    """Have the file checked by qpdf, where there is one."""
    if shutil.which("qpdf") is None:
        return
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(pdf)
        file.flush()
        run = subprocess.run(["qpdf", "--check", file.name], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


class PlainJob:
    """What a processor sees of a job, keeping all it was told."""

    def __init__(self, data: Any) -> None:
        self.id = "1"
        self.data = data
        self.attempts_made = 0
        self.progress: list[Any] = []
        self.rows: list[str] = []

    async def update_progress(self, progress: Any) -> None:
        self.progress.append(progress)

    async def log(self, row: str) -> int:
        self.rows.append(row)
        return len(self.rows)


def picture(width: int = 12, height: int = 8) -> str:
    """A plain PNG picture as a data URI."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    lines = (b"\0" + bytes((31, 58, 95)) * width) * min(height, 8)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + png).decode()


def seller(**changes: Any) -> dict[str, Any]:
    """The block ``seller`` of an invoice."""
    return {
        "nameAr": "مكتب العدالة للمحاماة",
        "nameEn": "Al Adala Law Firm",
        "vatNumber": "310122393500003",
        "commercialRegistration": "1010567890",
        "addressAr": "طريق الملك فهد\nالرياض 12211",
        "addressEn": "King Fahd Road\nRiyadh 12211",
        "phone": "+966 11 456 7890",
        "email": "billing@adala.example",
        "logo": picture(),
        "bankName": "مصرف الراجحي",
        "accountName": "مكتب العدالة",
        "iban": "SA03 8000 0000 6080 1016 7519",
    } | changes


def invoice(**changes: Any) -> dict[str, Any]:
    """The block ``invoiceData`` of a job, as an application in JavaScript sends it."""
    return {
        "invoiceNumber": "INV-2025/0042",
        "date": "2025-01-15T09:30:00.000Z",
        "dueDate": "2025-02-14",
        "clientName": "شركة الأفق المتقدم للتجارة",
        "clientEmail": "ap@alofuq.example",
        "clientPhone": "+966 50 123 4567",
        "clientAddress": "شارع التحلية، جدة 23432",
        "items": [
            {"description": "مراجعة عقد توريد", "quantity": 6, "unit": "ساعة", "unitPrice": 850},
            {
                "description": "Drafting of an agreement",
                "quantity": "2.5",
                "unitPrice": "960.00",
                "total": 2400.0,
            },
        ],
        "subtotal": 7500,
        "vatRate": 15,
        "vatAmount": "1125.00",
        "totalAmount": 8625.0,
        "currency": "SAR",
        "notes": "يرجى ذكر رقم الفاتورة عند التحويل.",
        "paymentTerms": "Payment within 30 days.",
        "seller": seller(),
    } | changes


def invoice_job(*, options: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A job's data of the type invoice; ``changes`` are made in ``invoiceData``."""
    data = {"invoiceId": "65f1c0a2b3d4e5f60718293a", "invoiceData": invoice(**changes), "firmId": FIRM}
    return {"type": "invoice", "data": data if options is None else data | {"options": options}}


def many_lines(count: int) -> dict[str, Any]:
    """Changes that give an invoice ``count`` lines of 100.00."""
    lines = [{"description": f"بند رقم {number}", "unitPrice": 100} for number in range(1, count + 1)]
    figures = {"subtotal": count * 100, "vatAmount": count * 15, "totalAmount": count * 115}
    return {"items": lines} | figures


def report(**changes: Any) -> dict[str, Any]:
    """The block ``reportData`` of a job: figures, charts of each type, and tables."""
    months = ["يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو"]
    english = ["January", "February", "March", "April", "May", "June"]
    return {
        "title": {"ar": "التقرير المالي", "en": "Financial Report"},
        "subtitle": {"ar": "النصف الأول من عام 2025", "en": "First half of 2025"},
        "periodStart": "2025-01-01",
        "periodEnd": "2025-06-30",
        "generatedAt": "2025-07-01T09:00:00+03:00",
        "firm": seller(),
        "summary": [
            {"label": {"ar": "الإيرادات", "en": "Revenue"}, "value": 1284500},
            {"label": {"ar": "المصروفات", "en": "Expenses"}, "value": "412300.50"},
            {
                "label": {"ar": "صافي الربح", "en": "Net profit"},
                "value": "872199.50",
                "note": {"ar": "أعلى بنسبة 12% من الفترة السابقة", "en": "12% above the period before"},
            },
            {"label": {"ar": "ساعات العمل", "en": "Hours"}, "kind": "minutes", "value": 81245},
        ],
        "sections": [
            {
                "title": {"ar": "الإيرادات والمصروفات", "en": "Revenue and expenses"},
                "text": {"ar": "ارتفعت الإيرادات في كل شهر عدا مارس.", "en": "Revenue rose but in March."},
                "charts": [
                    {
                        "type": "bar",
                        "title": {"ar": "حسب الشهر", "en": "By month"},
                        "kind": "amount",
                        "labels": [{"ar": ar, "en": en} for ar, en in zip(months, english, strict=True)],
                        "series": [
                            {
                                "name": {"ar": "الإيرادات", "en": "Revenue"},
                                "values": [180000, 196500, 171000, 224000, 245000, 268000],
                            },
                            {
                                "name": {"ar": "المصروفات", "en": "Expenses"},
                                "values": [62000, 70100, 66000, 71200.5, 69000, 74000],
                            },
                        ],
                    },
                    {
                        "type": "line",
                        "title": {"ar": "صافي الربح", "en": "Net profit"},
                        "kind": "amount",
                        "labels": [{"ar": ar, "en": en} for ar, en in zip(months, english, strict=True)],
                        "series": [{"values": [118000, 126400, 105000, 152799.5, 176000, 194000]}],
                    },
                    {
                        "type": "donut",
                        "title": {"ar": "القضايا حسب النوع", "en": "Cases by type"},
                        "labels": [
                            {"ar": "تجاري", "en": "Commercial"},
                            {"ar": "عمالي", "en": "Labour"},
                            {"ar": "أحوال شخصية", "en": "Family"},
                            {"ar": "إداري", "en": "Administrative"},
                        ],
                        "series": [{"values": [42, 18, 11, 7]}],
                    },
                    {
                        "type": "hbar",
                        "title": {"ar": "أكبر العملاء", "en": "Largest clients"},
                        "kind": "amount",
                        "labels": [
                            "شركة الأفق المتقدم للتجارة والمقاولات",
                            "Gulf Horizon Holding",
                            "مؤسسة النخبة",
                        ],
                        "series": [{"values": [412000, 260500, 98000]}],
                    },
                ],
            },
            {
                "title": {"ar": "حسب العميل", "en": "By client"},
                "table": {
                    "columns": [
                        {"key": "client", "label": {"ar": "العميل", "en": "Client"}},
                        {"key": "since", "label": {"ar": "منذ", "en": "Since"}, "kind": "date"},
                        {
                            "key": "cases",
                            "label": {"ar": "القضايا", "en": "Cases"},
                            "kind": "number",
                            "total": True,
                        },
                        {
                            "key": "time",
                            "label": {"ar": "الوقت", "en": "Time"},
                            "kind": "minutes",
                            "total": True,
                        },
                        {
                            "key": "revenue",
                            "label": {"ar": "الإيراد", "en": "Revenue"},
                            "kind": "amount",
                            "total": True,
                        },
                        {"key": "share", "label": {"ar": "الحصة", "en": "Share"}, "kind": "percent"},
                    ],
                    "rows": [
                        {
                            "client": "شركة الأفق المتقدم للتجارة",
                            "since": "2019-03-01",
                            "cases": 14,
                            "time": 12630,
                            "revenue": 412000,
                            "share": 32.1,
                        },
                        {
                            "client": "Gulf Horizon Holding",
                            "since": "2021-11-15",
                            "cases": 9,
                            "time": 8105,
                            "revenue": "260500.75",
                            "share": 20.3,
                        },
                        {"client": "مؤسسة النخبة", "cases": 0, "time": 65, "revenue": -1500, "share": None},
                    ],
                },
            },
        ],
        "notes": {"ar": "الأرقام غير مدققة.", "en": "The figures are not audited."},
    } | changes


def report_job(*, options: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A job's data of the type report; ``changes`` are made in ``reportData``."""
    data = {
        "reportId": "65f1c0a2b3d4e5f60718293b",
        "reportType": "financial",
        "reportData": report(**changes),
        "firmId": FIRM,
    }
    return {"type": "report", "data": data if options is None else data | {"options": options}}


def statement(**changes: Any) -> dict[str, Any]:
    """The block ``statementData`` of a job; 6,125.00 is owed at its end."""
    return {
        "statementNumber": "ST-2025-031",
        "date": "2025-06-30",
        "periodStart": "2025-04-01",
        "periodEnd": "2025-06-30",
        "clientName": "شركة الأفق المتقدم للتجارة",
        "clientEmail": "ap@alofuq.example",
        "clientAddress": "شارع التحلية، جدة 23432",
        "clientVatNumber": "300055512300003",
        "openingBalance": "2500.00",
        "entries": [
            {
                "date": "2025-04-03",
                "kind": "invoice",
                "reference": "INV-2025/0042",
                "description": {"ar": "أتعاب مراجعة عقد توريد", "en": "Review of a supply agreement"},
                "debit": 8625,
            },
            {"date": "2025-04-20", "kind": "payment", "reference": "TRX-88120", "credit": "2500.00"},
            {
                "date": "2025-05-11",
                "kind": "payment",
                "reference": "TRX-88977",
                "credit": 5000,
                "balance": 3625,
            },
            {"date": "2025-06-02", "kind": "invoice", "reference": "INV-2025/0077", "debit": 2875},
            {
                "date": "2025-06-15",
                "kind": "credit",
                "reference": "CN-12",
                "description": "خصم متفق عليه",
                "credit": 375,
            },
        ],
        "closingBalance": 6125,
        "ageing": {"current": 2500, "30": 0, "60": 3625, "90": 0, "90plus": 0},
        "notes": "يرجى السداد خلال 30 يومًا.",
        "firm": seller(),
    } | changes


def statement_job(*, options: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A job's data of the type statement; ``changes`` are made in ``statementData``."""
    data = {"statementId": "65f1c0a2b3d4e5f60718293c", "statementData": statement(**changes), "firmId": FIRM}
    return {"type": "statement", "data": data if options is None else data | {"options": options}}


def contract(**changes: Any) -> dict[str, Any]:
    """The block ``contractData`` of a job: clauses three deep and a schedule with a table."""
    return {
        "title": {"ar": "عقد تقديم خدمات قانونية", "en": "Legal Services Agreement"},
        "contractNumber": "C-2025-007",
        "date": "2025-02-01",
        "place": {"ar": "الرياض", "en": "Riyadh"},
        "parties": [
            {
                "role": {"ar": "الطرف الأول", "en": "First party"},
                "name": {"ar": "مكتب العدالة للمحاماة", "en": "Al Adala Law Firm"},
                "identification": {"ar": "سجل تجاري", "en": "C.R. no."},
                "idNumber": "1010567890",
                "representative": {"ar": "سارة القحطاني", "en": "Sarah Al Qahtani"},
                "representativeTitle": {"ar": "الشريك المدير", "en": "Managing partner"},
                "address": {"ar": "طريق الملك فهد، الرياض", "en": "King Fahd Road, Riyadh"},
            },
            {
                "role": {"ar": "الطرف الثاني", "en": "Second party"},
                "name": {"ar": "شركة الأفق المتقدم للتجارة", "en": "Advanced Horizon Trading Co."},
                "idNumber": "4030123456",
            },
        ],
        "preamble": {
            "ar": "حيث إن الطرف الثاني يرغب في الاستعانة بخدمات الطرف الأول، فقد اتفق الطرفان على ما يلي:",
            "en": "Whereas the second party wishes to engage the first party, the parties agree as follows:",
        },
        "clauses": [
            {
                "title": {"ar": "نطاق الخدمات", "en": "Scope of services"},
                "text": {
                    "ar": "يقدم الطرف الأول الخدمات الآتية:",
                    "en": "The first party provides these services:",
                },
                "clauses": [
                    {
                        "text": {"ar": "تقديم الاستشارات القانونية.", "en": "Legal advice."},
                        "clauses": [{"text": {"ar": "كتابةً أو شفاهةً.", "en": "In writing or orally."}}],
                    },
                    {"text": {"ar": "تمثيله أمام المحاكم.", "en": "Representation before the courts."}},
                ],
            },
            {
                "title": {"ar": "الأتعاب", "en": "Fees"},
                "text": {
                    "ar": "يدفع الطرف الثاني الأتعاب المبينة في الملحق 1.",
                    "en": "The second party pays the fees in schedule 1.",
                },
            },
            {
                "title": {"ar": "القانون الواجب التطبيق", "en": "Governing law"},
                "text": {
                    "ar": "يخضع هذا العقد لأنظمة المملكة العربية السعودية.",
                    "en": "This agreement is governed by the laws of the Kingdom of Saudi Arabia.",
                },
            },
        ],
        "schedules": [
            {
                "title": {"ar": "جدول الأتعاب", "en": "Fees"},
                "text": {"ar": "تستحق الأتعاب شهريًا.", "en": "Fees are due every month."},
                "table": {
                    "columns": [
                        {"key": "service", "label": {"ar": "الخدمة", "en": "Service"}},
                        {
                            "key": "fee",
                            "label": {"ar": "الأتعاب", "en": "Fee"},
                            "kind": "amount",
                            "total": True,
                        },
                    ],
                    "rows": [
                        {"service": {"ar": "استشارات", "en": "Advice"}, "fee": 12000},
                        {"service": {"ar": "تمثيل أمام المحاكم", "en": "Court work"}, "fee": 18000},
                    ],
                },
                "clauses": [{"text": {"ar": "لا تشمل الأتعاب الضريبة.", "en": "Fees are without VAT."}}],
            }
        ],
        "witnesses": [{"name": "محمد العتيبي", "idNumber": "1098765432"}],
        "firm": seller(),
    } | changes


def contract_job(*, options: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A job's data of the type contract; ``changes`` are made in ``contractData``."""
    data = {"contractId": "65f1c0a2b3d4e5f60718293d", "contractData": contract(**changes), "firmId": FIRM}
    return {"type": "contract", "data": data if options is None else data | {"options": options}}


def custom_job(html: str, **changes: Any) -> dict[str, Any]:
    """A job's data of the type custom; ``changes`` are made beside ``html``."""
    return {"type": "custom", "data": {"html": html, "firmId": FIRM} | changes}


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page, with ligatures spelled out. The order of words in Arabic lines is the eye's."""
    return [unicodedata.normalize("NFKC", page.extract_text()) for page in PdfReader(io.BytesIO(pdf)).pages]


def text_of(pdf: bytes) -> str:
    """The text of all pages; see ``pages_of``."""
    return "\n".join(pages_of(pdf))


def fonts_of(pdf: bytes) -> set[str]:
    """Names of the fonts on the first page, without the subset's prefix and the style."""
    fonts = PdfReader(io.BytesIO(pdf)).pages[0]["/Resources"]["/Font"].values()  # type: ignore[index]
    return {str(font.get_object()["/BaseFont"]).partition("+")[2].partition("-")[0] for font in fonts}
