"""A report as a page: figures, text, charts and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from toril.queues.pdf import formats
from toril.queues.pdf.charts import DrawnChart, draw
from toril.queues.pdf.documents.base import Document
from toril.queues.pdf.documents.letterhead import letterhead, sender_name
from toril.queues.pdf.documents.table import table_content
from toril.queues.pdf.labels import currency_note, currency_symbol
from toril.queues.pdf.options import DocumentOptions
from toril.queues.pdf.page import Page, page_width, render_page
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.payloads.report import Figure, ReportData, ReportPayload, Section
from toril.queues.pdf.printer import Printer
from toril.queues.pdf.renderers.base import RenderOptions

_FRAME, _GAP = 20.0, 11.5  # what a chart loses to the frame around it, and between two, in points
_TALL, _FLAT = 165.0, 125.0  # charts on upright and on wide pages
_FIGURES_A_ROW = 4
_LONG_FIGURE = 13  # characters that fit beside three others


def report_document(payload: ReportPayload, firm: Seller | None) -> Document:
    """The document of a job."""
    page = report_page(payload.report_data, firm, payload.options)
    return Document(
        page=page,
        file_name=f"report-{payload.report_type}-{payload.report_id}",
        facts={"reportId": payload.report_id, "reportType": payload.report_type},
        options=RenderOptions(author=page.author, trusted=True),
    )


def report_page(report: ReportData, firm: Seller | None, options: DocumentOptions) -> Page:
    """The page of a report."""
    language, digits = options.language, options.digits
    printer = Printer(digits=digits, currency=report.currency, language="en" if language == "en" else "ar")
    title, sender = report.title.in_one(printer.language), sender_name(firm, language)
    days = [formats.day(day, digits) for day in (report.period_start, report.period_end) if day]
    kinds = {figure.kind for figure in report.summary} | {
        kind
        for section in report.sections
        for kind in (
            *(chart.kind for chart in section.charts),
            *(column.kind for column in (section.table.columns if section.table else ())),
        )
    }
    return render_page(
        "report.html",
        title=title,
        author=sender,
        options=options,
        footer=" · ".join(filter(None, (sender, title))),
        firm=firm and letterhead(firm, language),
        heading=report.title,
        subtitle=report.subtitle,
        facts=[
            ("period", " – ".join(days)),
            ("generated_at", report.generated_at and formats.day(report.generated_at, digits)),
        ],
        figures=_rows([_figure(figure, printer, language) for figure in report.summary]),
        sections=[_section(section, printer, options) for section in report.sections],
        currency_note=currency_note(report.currency) if "amount" in kinds else None,
        notes=report.notes,
    )


def _figure(figure: Figure, printer: Printer, language: Any) -> dict[str, Any]:
    value = printer.value(figure.value, figure.kind)
    return {
        "label": figure.label,
        "value": value,
        "long": isinstance(value, str) and len(value) > _LONG_FIGURE,
        "unit": currency_symbol(printer.currency, language) if figure.kind == "amount" else "",
        "note": figure.note,
        "number": figure.kind != "text",
    }


def _rows(figures: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    """Figures in rows of even length: five are three and two, not four and one."""
    count = -(-len(figures) // _FIGURES_A_ROW)
    each = -(-len(figures) // count) if count else 1
    return [figures[at : at + each] for at in range(0, len(figures), each)]


def _section(section: Section, printer: Printer, options: DocumentOptions) -> dict[str, Any]:
    return {
        "title": section.title,
        "text": section.text,
        "charts": list(_charts(section, printer, options)),
        "table": section.table and table_content(section.table, printer, width=page_width(options)),
    }


def _charts(section: Section, printer: Printer, options: DocumentOptions) -> Iterator[list[DrawnChart]]:
    """Rows of charts: two side by side, and one alone over the whole width."""
    whole, height = page_width(options), _FLAT if options.landscape else _TALL
    for at in range(0, len(section.charts), 2):
        row = section.charts[at : at + 2]
        width = whole - _FRAME if len(row) == 1 else (whole - _GAP) / 2 - _FRAME
        yield [draw(chart, printer, width=width, height=height, color=options.color) for chart in row]
