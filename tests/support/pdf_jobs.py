"""Invoices for tests, and ways to look into the PDF files made of them."""

from __future__ import annotations

import base64
import io
import struct
import unicodedata
import zlib
from typing import Any

from pypdf import PdfReader

FIRM = "65f1c0a2b3d4e5f607182900"


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
