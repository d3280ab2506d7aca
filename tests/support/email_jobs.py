"""E-mail jobs for tests: a job that needs no queue, and mails to put in one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from toril.queues.email import Mail, parse_mailbox


class PlainJob:
    """What a processor sees of a job, keeping all it was told."""

    def __init__(
        self, data: Any, *, id: str = "1", attempts: int = 1, attempts_made: int = 0, timestamp: int = 1
    ) -> None:
        self.id = id
        self.data = data
        self.opts = {"attempts": attempts}
        self.attempts_made = attempts_made
        self.timestamp = timestamp
        self.progress: list[Any] = []
        self.rows: list[str] = []

    async def update_progress(self, progress: Any) -> None:
        self.progress.append(progress)

    async def log(self, row: str) -> int:
        self.rows.append(row)
        return len(self.rows)


def transactional(**fields: Any) -> dict[str, Any]:
    """A job's data of the type transactional; ``fields`` replace the defaults."""
    mail = {"to": "client@example.com", "subject": "Invoice 204", "html": "<p>It is due.</p>"}
    return {"type": "transactional", "data": mail | fields}


def bulk(number: int = 3, **fields: Any) -> dict[str, Any]:
    """A job's data of the type bulk, to ``c0@example.com`` and so on; ``fields`` replace the defaults."""
    recipients = [{"email": f"c{n}@example.com", "name": f"Client {n}"} for n in range(number)]
    mail = {"recipients": recipients, "subject": "News for {{name}}", "html": "<p>Dear {{name}},</p>"}
    return {"type": "bulk", "data": mail | fields}


def campaign(**fields: Any) -> dict[str, Any]:
    """A job's data of the type campaign; ``fields`` replace the defaults."""
    mail = {
        "campaignId": "507f1f77bcf86cd799439011",
        "recipient": {"email": "client@example.com", "name": "Sara"},
        "subject": "News",
        "html": '<p>Read <a href="https://firm.example/news?id=7&amp;x=1#top">more</a>.</p>',
        "trackingId": "t-1",
    }
    return {"type": "campaign", "data": mail | fields}


#: What each template takes, all of it.
TEMPLATE_DATA: dict[str, dict[str, Any]] = {
    "welcome": {
        "name": "سارة العتيبي",
        "loginUrl": "https://app.example.com/login?a=1&b=2",
        "email": "sara@example.com",
    },
    "otp": {"code": "482913", "name": "سارة", "expiresInMinutes": 5},
    "password_reset": {
        "name": "سارة",
        "resetUrl": "https://app.example.com/reset?token=5f",
        "expiresInMinutes": 90,
    },
    "invoice": {
        "clientName": "شركة النخيل",
        "invoiceNumber": "INV-2026-0042",
        "date": "2026-03-01",
        "dueDate": "2026-03-31",
        "totalAmount": 17250,
        "currency": "SAR",
        "items": [
            {"description": "صياغة عقد", "amount": 9000},
            {"description": "Hearing", "amount": "6000.005"},
        ],
        "subtotal": 15000,
        "vatAmount": 2250.5,
        "invoiceUrl": "https://app.example.com/i/42",
        "notes": "الحوالة أولًا.\nشكرًا.",
    },
    "invoice_reminder": {
        "clientName": "شركة النخيل",
        "invoiceNumber": "INV-2026-0042",
        "dueDate": "2026-03-31T21:00:00.000Z",
        "amountDue": "17250.00",
        "currency": "KWD",
        "daysOverdue": 12,
        "invoiceUrl": "https://app.example.com/i/42",
    },
    "payment_received": {
        "clientName": "شركة النخيل",
        "amount": 17250,
        "paymentDate": 1775163600000,
        "currency": "SAR",
        "invoiceNumber": "INV-2026-0042",
        "paymentMethod": "تحويل",
        "reference": "TRX-88213",
        "remainingAmount": 0,
        "receiptUrl": "https://app.example.com/r/88",
    },
    "case_update": {
        "clientName": "سارة",
        "caseNumber": "4470012345",
        "caseTitle": "مطالبة مالية",
        "update": "قدّمنا المذكرة.\nننتظر الموعد.",
        "status": "قيد النظر",
        "court": "المحكمة التجارية",
        "nextHearing": "2026-04-12T06:30:00Z",
        "caseUrl": "https://app.example.com/c/1",
    },
    "appointment_reminder": {
        "clientName": "سارة",
        "title": "مناقشة الدعوى",
        "startsAt": "2026-04-12T16:30:00+03:00",
        "durationMinutes": 45,
        "location": "طريق الملك فهد",
        "meetingUrl": "https://meet.example.com/x",
        "lawyerName": "خالد",
        "notes": "نرجو إحضار العقد.",
    },
    "report_ready": {
        "name": "خالد",
        "reportName": "التقرير المالي",
        "reportUrl": "https://app.example.com/reports/7",
        "startDate": "2026-01-01",
        "endDate": "2026-03-31",
        "expiresInDays": 7,
    },
    "job_alert": {
        "title": "Failure rate is high",
        "message": "14 of 100 jobs failed.",
        "queue": "email",
        "occurredAt": "2026-04-12T16:30:00+03:00",
        "jobId": "email-1",
        "failedReason": "SMTP server <mail>: 454",
        "failedCount": 14,
        "waitingCount": 230,
        "dashboardUrl": "https://app.example.com/dashboard",
    },
}


def template(template_id: str = "welcome", **variables: Any) -> dict[str, Any]:
    """A job's data of the type template; ``variables`` replace those in ``TEMPLATE_DATA``, ``...`` leaves out."""
    given = {
        name: value for name, value in (TEMPLATE_DATA[template_id] | variables).items() if value is not ...
    }
    data = {"to": "client@example.com", "templateId": template_id, "templateData": given}
    return {"type": "template", "data": data}


def a_mail(*, to: tuple[str, ...] = ("client@example.com",), **fields: Any) -> Mail:
    """A small mail; ``fields`` replace the defaults."""
    defaults: dict[str, Any] = {
        "message_id": "<email.1@mail.example.com>",
        "sender": parse_mailbox("Office <no-reply@mail.example.com>"),
        "to": tuple(parse_mailbox(text) for text in to),
        "subject": "Invoice 204",
        "text": "It is due.",
        "date": datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
    }
    return Mail(**(defaults | fields))


async def until(check: Callable[[], Awaitable[bool] | bool], *, within_s: float = 60.0) -> None:
    """Return as soon as ``check`` holds; raise ``TimeoutError`` if it does not in time."""
    async with asyncio.timeout(within_s):
        while True:
            held = check()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.005)
