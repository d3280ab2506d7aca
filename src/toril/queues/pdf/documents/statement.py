"""A client's statement of account as a page."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from toril.queues.pdf import formats
from toril.queues.pdf.documents.base import Document
from toril.queues.pdf.documents.letterhead import bank_rows, letterhead, sender_name
from toril.queues.pdf.formats import Digits
from toril.queues.pdf.labels import LABELS, currency_note, currency_symbol
from toril.queues.pdf.options import DocumentOptions
from toril.queues.pdf.page import Page, render_page
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.payloads.statement import Ageing, Entry, StatementData, StatementPayload
from toril.queues.pdf.renderers.base import RenderOptions

_DAYS = ("1 – 30", "31 – 60", "61 – 90", "90+")  # after the amount that is not due yet


def statement_document(payload: StatementPayload, firm: Seller | None) -> Document:
    """The document of a job."""
    statement = payload.statement_data
    page = statement_page(statement, firm, payload.options)
    return Document(
        page=page,
        file_name=f"statement-{statement.statement_number or payload.statement_id}",
        facts={"statementId": payload.statement_id},
        options=RenderOptions(author=page.author, trusted=True),
    )


def statement_page(statement: StatementData, firm: Seller | None, options: DocumentOptions) -> Page:
    """The page of a statement, with the balance after each entry."""
    heading = LABELS["statement"][1 if options.language == "en" else 0]
    sender = sender_name(firm, options.language)
    named = statement.statement_number or statement.client_name
    return render_page(
        "statement.html",
        title=f"{heading} {named}",
        author=sender,
        options=options,
        footer=" · ".join(filter(None, (sender, statement.statement_number))),
        firm=firm and letterhead(firm, options.language),
        bank=bank_rows(firm),
        **_content(statement, options),
    )


def _content(statement: StatementData, options: DocumentOptions) -> dict[str, Any]:
    digits = options.digits

    def money(value: Decimal) -> str:
        return formats.amount(value, statement.currency, digits)

    def entry(entry: Entry, balance: Decimal) -> dict[str, Any]:
        return {
            "date": formats.day(entry.date, digits),
            "kind": None if entry.kind == "other" else f"entry_{entry.kind}",
            "reference": entry.reference,
            "description": entry.description,
            "debit": entry.debit and money(entry.debit),
            "credit": entry.credit and money(entry.credit),
            "balance": money(balance),
        }

    entries = [
        entry(each, balance) for each, balance in zip(statement.entries, statement.balances, strict=True)
    ]
    closing = statement.closing_balance
    figures = (statement.opening_balance, statement.total_debit, statement.total_credit, closing)
    opening, charged, paid, due = map(money, figures)
    days = [formats.day(day, digits) for day in (statement.period_start, statement.period_end) if day]
    return {
        "facts": [
            ("statement_number", statement.statement_number),
            ("date", formats.day(statement.date, digits)),
            ("period", " – ".join(days)),
            ("reference", statement.reference),
        ],
        "client": {
            "name": statement.client_name,
            "address": statement.client_address,
            "vat_number": statement.client_vat_number,
            "contact": [value for value in (statement.client_phone, statement.client_email) if value],
        },
        "opening": opening,
        "entries": entries,
        "charged": charged,
        "paid": paid,
        "closing": due,
        # A balance in the client's favour is said in words; its sign stands in the table.
        "due_key": "closing_balance" if closing >= 0 else "credit_balance",
        "due": money(abs(closing)),
        "dense": max(map(len, (opening, charged, paid, due))) > 14,
        "ageing": statement.ageing and _ageing(statement.ageing, money, digits),
        "currency": currency_symbol(statement.currency, options.language),
        "currency_note": currency_note(statement.currency),
        "payment_terms": statement.payment_terms,
        "notes": statement.notes,
    }


def _ageing(ageing: Ageing, money: Callable[[Decimal], str], digits: Digits) -> dict[str, Any]:
    most = max(ageing.buckets) or Decimal(1)

    return {
        "buckets": [
            {
                "days": days and formats.numerals(days, digits),
                "amount": money(value),
                "share": round(float(value / most) * 100),
            }
            for days, value in zip(("", *_DAYS), ageing.buckets, strict=True)
        ],
        "unallocated": ageing.unallocated and money(ageing.unallocated),
    }
