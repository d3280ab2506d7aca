"""Data of the demonstration's ``pdf`` jobs, made from records."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from toril.cli.demo.records import RIYADH, DemoRecords
from toril.db.models import RECEIVED, InvoiceStatus
from toril.queues.pdf.from_records import address_line


def statement_job(records: DemoRecords) -> dict[str, Any]:
    """The account of the client with the most invoices."""
    client, issued = records.client, (InvoiceStatus.DRAFT, InvoiceStatus.VOID)
    charged = [
        {
            "date": invoice.issue_date.isoformat(),
            "kind": "invoice",
            "reference": invoice.number,
            "description": {"ar": "فاتورة أتعاب", "en": "Invoice for services"},
            "debit": str(invoice.total),
        }
        for invoice in records.invoices
        if invoice.client_id == client.id and invoice.status not in issued
    ]
    known = {invoice.id for invoice in records.invoices}
    paid = [
        {
            "date": payment.paid_on.isoformat(),
            "kind": "payment",
            "reference": payment.provider_payment_id or "",
            "description": {"ar": "سداد", "en": "Payment"},
            "credit": str(payment.amount),
        }
        for payment in records.payments
        if payment.client_id == client.id
        and payment.status in RECEIVED
        and payment.paid_on
        and payment.invoice_id in known
    ]
    entries = sorted([*charged, *paid], key=lambda entry: (str(entry["date"]), "credit" in entry))
    return {
        "statementId": client.id,
        "firmId": records.firm.id,
        "statementData": {
            "date": _today().isoformat(),
            "clientName": client.name,
            "clientEmail": client.email or "",
            "clientAddress": address_line(client),
            "clientVatNumber": client.vat_number or "",
            "entries": entries,
        },
    }


def contract_job(records: DemoRecords) -> dict[str, Any]:
    """The firm's first contract."""
    contract = records.contract
    return {
        "contractId": contract.id,
        "firmId": records.firm.id,
        "contractData": {
            "title": contract.title,
            "contractNumber": contract.number,
            "date": contract.starts_on.isoformat() if contract.starts_on else None,
            "place": {"ar": "الرياض", "en": "Riyadh"},
            "parties": [
                {"role": party["role"], "name": party["name"], "idNumber": party.get("idNumber") or ""}
                for party in contract.parties
            ],
            "clauses": contract.clauses,
        },
    }


def report_job(records: DemoRecords) -> dict[str, Any]:
    """What was invoiced, by month: figures, a chart and a table."""
    months: dict[str, Decimal] = {}
    for invoice in records.invoices:
        if invoice.status not in (InvoiceStatus.DRAFT, InvoiceStatus.VOID):
            month = f"{invoice.issue_date:%Y-%m}"
            months[month] = months.get(month, Decimal(0)) + invoice.total
    rows = [{"month": month, "invoiced": str(total)} for month, total in sorted(months.items())]
    return {
        "reportId": f"invoiced-{_today():%Y-%m}",
        "reportType": "invoiced",
        "firmId": records.firm.id,
        "reportData": {
            "title": {"ar": "الفواتير حسب الشهر", "en": "Invoiced by month"},
            "periodEnd": _today().isoformat(),
            "summary": [
                {
                    "label": {"ar": "المجموع", "en": "In all"},
                    "kind": "amount",
                    "value": str(sum(months.values(), Decimal(0))),
                }
            ],
            "sections": [
                {
                    "charts": [
                        {
                            "type": "bar",
                            "kind": "amount",
                            "labels": [row["month"] for row in rows],
                            "series": [{"values": [row["invoiced"] for row in rows]}],
                        }
                    ],
                    "table": {
                        "columns": [
                            {"key": "month", "label": {"ar": "الشهر", "en": "Month"}},
                            {
                                "key": "invoiced",
                                "label": {"ar": "المبلغ", "en": "Amount"},
                                "kind": "amount",
                                "total": True,
                            },
                        ],
                        "rows": rows,
                    },
                }
            ],
        },
    }


def custom_job(records: DemoRecords) -> dict[str, Any]:
    """HTML of one's own: a letter."""
    return {
        "firmId": records.firm.id,
        "fileName": "letter.pdf",
        "html": (
            '<html lang="ar" dir="rtl"><title>خطاب</title><body style="font-family: sans-serif">'
            f"<h1>{records.firm.name_ar}</h1><p>السادة/ {records.client.name} المحترمون،</p>"
            "<p>نحيطكم علمًا بأن موعد الجلسة القادمة قد تحدد، ونأمل تزويدنا بالمستندات قبل أسبوع من تاريخها.</p>"
            '<p dir="ltr" lang="en">Please send us the documents a week before the hearing.</p></body></html>'
        ),
        "options": {"header": records.firm.name_ar},
    }


def _today() -> date:
    return datetime.now(RIYADH).date()
