"""A made-up law firm and its invoices, for the demonstration."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from faker import Faker

VAT_RATE = Decimal(15)
_HALALA = Decimal("0.01")

#: Arabic, English, unit, lowest and highest price (SAR)
_SERVICES = (
    ("استشارة قانونية", "Legal consultation", "ساعة · hour", 450, 1200),
    ("صياغة عقد", "Contract drafting", "", 1500, 9000),
    ("مراجعة عقد", "Contract review", "ساعة · hour", 500, 1100),
    (
        "تمثيل أمام المحكمة التجارية",
        "Representation before the commercial court",
        "جلسة · session",
        2500,
        8000,
    ),
    ("إعداد لائحة دعوى", "Preparing a statement of claim", "", 2000, 7500),
    ("تأسيس شركة ذات مسؤولية محدودة", "Incorporating a limited company", "", 6000, 15000),
    ("ترجمة معتمدة", "Certified translation", "صفحة · page", 60, 140),
    ("متابعة التنفيذ", "Enforcement follow-up", "ساعة · hour", 400, 900),
)
#: (Arabic, English)
_NAMES = (("الميزان", "Al Mizan"), ("البيان", "Al Bayan"), ("الحجة", "Al Hujjah"), ("السند", "Al Sanad"))
_DISTRICTS = (
    ("حي العليا، الرياض 12211", "Al Olaya, Riyadh 12211"),
    ("حي الملقا، الرياض 13524", "Al Malqa, Riyadh 13524"),
    ("حي الروضة، جدة 23433", "Al Rawdah, Jeddah 23433"),
    ("حي الشاطئ، الدمام 32413", "Ash Shati, Dammam 32413"),
    ("حي العزيزية، مكة المكرمة 24243", "Al Aziziyah, Makkah 24243"),
)
_TERMS = "الدفع خلال 30 يومًا من تاريخ الفاتورة · Payment within 30 days of the invoice date"


@dataclass(frozen=True, slots=True)
class DemoFirm:
    """A firm that sends invoices; ``firm_id`` names its folder in the file store."""

    firm_id: str
    seller: dict[str, Any]
    email: str
    name: str


def make_firm(seed: int) -> DemoFirm:
    """The same firm for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - sample data
    name_ar, name_en = chance.choice(_NAMES)
    name_en = f"{name_en} Law Firm"
    digits = "".join(str(chance.randrange(10)) for _ in range(13))
    return DemoFirm(
        firm_id=f"{chance.getrandbits(96):024x}",
        seller={
            "nameAr": f"مكتب {name_ar} للمحاماة والاستشارات القانونية",
            "nameEn": name_en,
            "vatNumber": f"3{digits}3",
            "commercialRegistration": f"1010{chance.randrange(10**6):06d}",
            "addressAr": "طريق الملك فهد، حي العليا، الرياض 12211",
            "addressEn": "King Fahd Road, Al Olaya, Riyadh 12211",
            "phone": "+966 11 555 0100",
            "email": "billing@firm.example",
        },
        email="billing@firm.example",
        name=name_en,
    )


def make_invoices(firm: DemoFirm, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Data of ``count`` jobs of type ``invoice``, half for Arabic and half for English clients."""
    arabic, english = _fakers(seed)
    chance = random.Random(seed + 1)  # noqa: S311 - sample data
    today = datetime.now(UTC)
    for number in range(1, count + 1):
        in_arabic = number % 2 == 1
        client = arabic if in_arabic else english
        district = chance.choice(_DISTRICTS)[0 if in_arabic else 1]
        items = [_item(chance) for _ in range(chance.randint(1, 6))]
        subtotal = sum((Decimal(item["total"]) for item in items), Decimal(0))
        vat = (subtotal * VAT_RATE / 100).quantize(_HALALA, ROUND_HALF_UP)
        issued = today - timedelta(days=chance.randint(0, 25))
        yield {
            "invoiceId": f"{chance.getrandbits(96):024x}",
            "firmId": firm.firm_id,
            "options": {"language": "both" if in_arabic else "en"},
            "invoiceData": {
                "invoiceNumber": f"INV-{today.year}-{number:04d}",
                "date": issued.strftime("%Y-%m-%d"),
                "dueDate": (issued + timedelta(days=30)).strftime("%Y-%m-%d"),
                "clientName": client.company() if number % 3 else client.name(),
                "clientEmail": f"client{number}@example.com",
                "clientPhone": f"+966 5{chance.randrange(10**8):08d}",
                "clientAddress": f"{chance.randint(2000, 9000)} {district}",
                "items": items,
                "subtotal": str(subtotal),
                "vatRate": str(VAT_RATE),
                "vatAmount": str(vat),
                "totalAmount": str(subtotal + vat),
                "currency": "SAR",
                "notes": "",
                "paymentTerms": _TERMS,
                "seller": firm.seller,
            },
        }


def covering_mail(invoice: dict[str, Any], pdf: dict[str, Any], firm: DemoFirm) -> dict[str, Any]:
    """Data of the mail that takes a finished PDF to its client."""
    data = invoice["invoiceData"]
    number, total = data["invoiceNumber"], data["totalAmount"]
    return {
        "to": data["clientEmail"],
        "subject": f"فاتورة {number} · Invoice {number}",
        "text": (
            f"السلام عليكم،\n\nتجدون مرفقة الفاتورة {number} بمبلغ {total} ريال.\n\n"
            f"Dear client,\n\nplease find attached invoice {number} for SAR {total}, "
            f"due on {data['dueDate']}.\n\n{firm.name}\n"
        ),
        "attachments": [{"filename": f"{number}.pdf", "path": pdf["filePath"]}],
    }


def _item(chance: random.Random) -> dict[str, Any]:
    arabic, english, unit, low, high = chance.choice(_SERVICES)
    quantity = Decimal(chance.randint(1, 8) if unit else 1)
    price = Decimal(chance.randrange(low * 100, high * 100, 25)) / 100
    total = (quantity * price).quantize(_HALALA, ROUND_HALF_UP)
    return {
        "description": f"{arabic} · {english}",
        "quantity": str(quantity),
        "unit": unit,
        "unitPrice": str(price.quantize(_HALALA)),
        "total": str(total),
    }


def _fakers(seed: int) -> tuple[Faker, Faker]:
    arabic, english = Faker("ar_SA"), Faker("en")
    arabic.seed_instance(seed)
    english.seed_instance(seed)
    return arabic, english
