"""One job of each type, with data from the demonstration's records."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from toril.cli.demo.documents import contract_job, custom_job, report_job, statement_job
from toril.cli.demo.records import RIYADH, DemoRecords
from toril.cli.demo.services import DemoServices


def one_of_each(records: DemoRecords, services: DemoServices, run: str) -> dict[str, dict[str, Any]]:
    """Data of jobs by queue and type; all types but those the invoices are made and sent with."""
    return {
        "email": _email(records, run),
        "pdf": {
            "report": report_job(records),
            "statement": statement_job(records),
            "contract": contract_job(records),
            "custom": custom_job(records),
        },
        "notification": _notification(records, services),
        "report": _report(records),
        "cleanup": {
            "old-logs": {"retentionDays": 30},
            "temp-files": {"maxAgeHours": 24},
            "sessions": {},
            "tokens": {},
            "notifications": {"retentionDays": 90},
            "audit-logs": {"archiveAfterDays": 180},
            "failed-jobs": {"olderThanDays": 7},
            "deliveries": {"retentionDays": 30},
            "reports": {"retentionDays": 365},
            "campaigns": {"retentionDays": 730},
        },
        "sync": _sync(records),
    }


def _email(records: DemoRecords, run: str) -> dict[str, dict[str, Any]]:
    firm, invoice = records.firm, records.invoices[-1]
    return {
        "bulk": {
            "recipients": [{"email": user.email, "name": user.name} for user in records.staff],
            "subject": "اجتماع الأحد، {{name}}",
            "html": '<p dir="rtl" lang="ar">السلام عليكم {{name}}، نذكركم باجتماع المكتب يوم الأحد.</p>',
        },
        "template": {
            "to": invoice.client.email,
            "templateId": "invoice",
            "templateData": {
                "language": invoice.client.language,
                "clientName": invoice.client.name,
                "invoiceNumber": invoice.number,
                "date": invoice.issue_date.isoformat(),
                "dueDate": invoice.due_date.isoformat(),
                "totalAmount": str(invoice.total),
                "subtotal": str(invoice.subtotal),
                "vatAmount": str(invoice.vat_amount),
                "items": [
                    {"description": line.description, "amount": str(line.net)} for line in invoice.lines
                ],
                "firmName": firm.name_ar,
            },
        },
        "campaign": {
            "campaignId": records.campaign.id,
            "recipient": {"email": records.client.email, "name": records.client.name},
            "subject": records.campaign.subject,
            "html": records.campaign.html,
            "trackingId": f"demo-{run}",
        },
    }


def _notification(records: DemoRecords, services: DemoServices) -> dict[str, dict[str, Any]]:
    invoice, user = records.invoices[-1], records.admin
    words = {"title": "تم سداد فاتورة", "body": f"{invoice.number}: {invoice.total:,.2f} SAR"}
    one, *others = services.browsers
    return {
        "push": {
            "userId": user.id,
            "firmId": records.firm.id,
            "subscription": one.subscription,
            **words,
        },
        "in-app": {
            "userId": user.id,
            "firmId": records.firm.id,
            "title": words["title"],
            "message": words["body"],
            "type": "success",
            "link": f"/invoices/{invoice.id}",
        },
        "sms": {"phoneNumber": records.client.phone, "message": f"{words['title']} {invoice.number}"},
        "webhook": {
            "webhookUrl": f"{services.webhook.url}/hooks/invoices",
            "payload": {
                "type": "invoice.paid",
                "data": {"number": invoice.number, "total": str(invoice.total)},
            },
        },
        "bulk-push": {
            "firmId": records.firm.id,
            "users": [
                {"userId": user.id, "subscription": browser.subscription}
                for user, browser in zip(records.staff, others, strict=False)
            ],
            **words,
        },
    }


def _report(records: DemoRecords) -> dict[str, dict[str, Any]]:
    today = datetime.now(RIYADH).date()
    firm = {"firmId": records.firm.id}
    year = {"startDate": (today - timedelta(days=364)).isoformat(), "endDate": today.isoformat()}
    return {
        "financial": {**firm, **year, "format": "pdf"},
        "analytics": {**firm, **year},
        "time-utilization": {**firm, **year},
        "client-aging": firm,
        "custom": {
            **firm,
            "name": "Invoiced by client",
            "query": {
                "source": "invoices",
                "groupBy": ["clientName"],
                "measures": [{"function": "sum", "column": "total", "as": "invoiced"}],
                "order": [{"by": "invoiced", "direction": "desc"}],
                "limit": 10,
            },
        },
        "data-export": {**firm, "exportType": "invoices", "format": "xlsx"},
    }


def _sync(records: DemoRecords) -> dict[str, dict[str, Any]]:
    firm = {"firmId": records.firm.id}
    return {
        "currency-rates": {"baseCurrency": "SAR"},
        "whatsapp-messages": {**firm, "phoneNumberId": records.number.phone_number_id},
        "bank-transactions": {**firm, "bankAccountId": records.account.id},
        "payment-status": {**firm, "paymentId": records.paid["mada"].id, "paymentProvider": "mada"},
        "zatca-invoice": {**firm, "invoiceId": records.tax_invoice.id},
        "whatsapp-inbox": {},
        "zatca-pending": {},
        "mudad-payment": {**firm, "paymentId": records.paid["sadad"].id},
        "wathq-contract": {**firm, "contractId": records.contract.id},
    }


def more_payments(records: DemoRecords) -> list[dict[str, Any]]:
    """Questions about the payments by the other gateways."""
    return [
        {"firmId": records.firm.id, "paymentId": records.paid[name].id, "paymentProvider": name}
        for name in ("stripe", "stcpay")
    ]
