"""A contract as a page: parties, numbered clauses, signatures, schedules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from toril.queues.pdf import formats
from toril.queues.pdf.documents.base import Document
from toril.queues.pdf.documents.letterhead import letterhead, sender_name
from toril.queues.pdf.documents.table import table_content
from toril.queues.pdf.options import DocumentOptions
from toril.queues.pdf.page import Page, page_width, render_page
from toril.queues.pdf.payloads.contract import Clause, ContractData, ContractPayload, Schedule
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.printer import Printer
from toril.queues.pdf.renderers.base import RenderOptions


def contract_document(payload: ContractPayload, firm: Seller | None) -> Document:
    """The document of a job."""
    contract = payload.contract_data
    page = contract_page(contract, firm if contract.letterhead else None, payload.options)
    return Document(
        page=page,
        file_name=f"contract-{contract.contract_number or payload.contract_id}",
        facts={"contractId": payload.contract_id},
        options=RenderOptions(author=page.author, trusted=True),
    )


def contract_page(contract: ContractData, firm: Seller | None, options: DocumentOptions) -> Page:
    """The page of a contract. With both languages, what is there in both stands side by side."""
    language, digits = options.language, options.digits
    printer = Printer(digits=digits, currency=contract.currency, language="en" if language == "en" else "ar")
    title = contract.title.in_one(printer.language)
    return render_page(
        "contract.html",
        title=f"{title} {contract.contract_number}".strip(),
        author=sender_name(firm, language),
        options=options,
        footer=" · ".join(filter(None, (title, contract.contract_number))),
        firm=firm and letterhead(firm, language),
        heading=contract.title,
        facts=[
            ("contract_number", contract.contract_number),
            ("date", contract.date and formats.day(contract.date, digits)),
            ("place", contract.place),
            ("reference", contract.reference),
        ],
        parties=contract.parties,
        preamble=contract.preamble,
        numbered=list(_numbered(contract.clauses, printer)),
        schedules=[
            _schedule(schedule, number, printer, page_width(options))
            for number, schedule in enumerate(contract.schedules, 1)
        ],
        witnesses=contract.witnesses,
    )


def _schedule(schedule: Schedule, number: int, printer: Printer, width: float) -> dict[str, Any]:
    return {
        "number": _digits(str(number), printer),
        "title": schedule.title,
        "text": schedule.text,
        "clauses": list(_numbered(schedule.clauses, printer)),
        "table": schedule.table and table_content(schedule.table, printer, width=width),
    }


def _numbered(clauses: Sequence[Clause], printer: Printer, above: str = "") -> Iterator[dict[str, Any]]:
    """All clauses in order, each with its number, such as 2.1.3, and how deep it is."""
    for at, clause in enumerate(clauses, 1):
        number = f"{above}{at}"
        yield {
            "number": _digits(number if above else f"{number}.", printer),
            "depth": number.count("."),
            "title": clause.title,
            "text": clause.text,
        }
        yield from _numbered(clause.clauses, printer, f"{number}.")


def _digits(number: str, printer: Printer) -> str:
    return formats.numerals(number, printer.digits)
