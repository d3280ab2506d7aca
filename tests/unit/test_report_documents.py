"""Reports as the pdf queue takes them, in the cases that books of a small firm do not have."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from toril.db.models import CaseStatus, InvoiceStatus
from toril.db.session import Database
from toril.queues.pdf.payloads.report import ReportPayload
from toril.queues.report import documents
from toril.queues.report.catalogue import SOURCES
from toril.queues.report.kinds import Kind
from toril.queues.report.making import Making
from toril.queues.report.queries.aging import BUCKETS
from toril.queues.report.query import Output, Query
from toril.queues.report.saved import SavedReport
from toril.queues.report.words import choice, heading, title_of

FIRM = "507f1f77bcf86cd799439011"


@pytest.fixture
def making(tmp_path: Path) -> Making:
    async def tell(percent: int) -> None: ...

    now = datetime(2026, 3, 31, 21, 30, tzinfo=UTC)
    report = SavedReport(
        id=FIRM, firm_id=FIRM, file_id=FIRM, zone=ZoneInfo("Asia/Riyadh"), language="ar",
        asked_on=date(2026, 4, 1), key="0", started_at=now,
    )  # fmt: skip
    return Making(
        database=Database(home=tmp_path), report=report, folder=tmp_path, now=now, tell=tell, limit_s=1
    )


def printable(type: str, data: dict[str, Any]) -> ReportPayload:
    """The payload that the pdf queue makes of it."""
    return ReportPayload.model_validate(
        {"reportId": FIRM, "reportType": type, "reportData": data, "firmId": FIRM}
    )


def money(**more: Any) -> dict[str, Any]:
    names = ("revenue", "vat", "payments", "expenses", "expensesVat", "netProfit", "outstanding")
    return {**{name: Decimal("-12345678.90") for name in names}, "invoices": 1, **more}


def test_ten_years_and_very_many_clients_fit_a_document(making: Making) -> None:
    report = {
        "type": "financial",
        "period": {"startDate": date(2016, 1, 1), "endDate": date(2025, 12, 31)},
        "currency": "KWD",
        **money(),
        "byMonth": [money(month=f"{2016 + at // 12}-{at % 12 + 1:02d}") for at in range(120)],
        "byClient": [money(name=f"Client {at}" if at else None) for at in range(1000)],
    }
    payload = printable("financial", documents.financial_pages(report, making))
    months, clients = payload.report_data.sections
    assert (months.charts, len(months.table.rows)) == ([], 120)  # type: ignore[union-attr]
    assert len(clients.table.rows) == 500  # type: ignore[union-attr]
    assert payload.report_data.generated_at is not None


def test_negative_figures_can_be_drawn(making: Making) -> None:
    report = {
        "type": "financial", "period": {"startDate": date(2026, 1, 1), "endDate": date(2026, 1, 31)}, "currency": "SAR",
        **money(), "byMonth": [money(month="2026-01")], "byClient": [],
    }  # fmt: skip
    payload = printable("financial", documents.financial_pages(report, making))
    assert len(payload.report_data.sections[0].charts) == 1


def test_nobody_who_owes_or_works_is_a_document_too(making: Making) -> None:
    aging = {
        "type": "client-aging", "currency": "SAR", "total": Decimal(0), "invoices": 0, "byClient": [],
        "buckets": {bucket: {"invoices": 0, "amount": Decimal(0)} for bucket in BUCKETS},
    }  # fmt: skip
    assert printable("client-aging", documents.aging_pages(aging, making)).report_data.sections
    period = {"startDate": date(2026, 1, 1), "endDate": date(2026, 1, 31)}
    figures = ("minutes", "billableMinutes", "nonBillableMinutes", "utilization", "billableAmount")
    work = {"type": "time-utilization", "period": period, **dict.fromkeys(figures, 0), "byPerson": []}
    assert printable("time-utilization", documents.utilization_pages(work, making)).report_data.sections
    analytics = {"type": "analytics", "period": period}
    assert printable("analytics", documents.analytics_pages(analytics, making)).report_data.sections == []


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_columns_for_a_page_are_there_and_fit_it(name: str, making: Making) -> None:
    source = SOURCES[name]
    outputs = outputs_of(name, *source.brief)
    values: dict[Kind, Any] = {
        Kind.TEXT: "x" * 40_000, Kind.ID: FIRM, Kind.INTEGER: 1, Kind.DECIMAL: Decimal("1.50"), Kind.YES_NO: True,
        Kind.DATE: date(1985, 1, 1), Kind.MOMENT: making.now, Kind.CHOICE: InvoiceStatus.PARTIAL,
    }  # fmt: skip
    rows = [{each.name: values[each.kind] for each in outputs}, dict.fromkeys(source.brief)]
    data = documents.table_pages(title_of(name), outputs, rows, making, currency="KWD")
    payload = printable("data-export", data)
    table = payload.report_data.sections[0].table
    assert table is not None
    assert len(table.rows) == 2
    assert len(outputs) <= 12
    assert source.day in source.columns
    assert payload.report_data.currency == "KWD"


def outputs_of(name: str, *columns: str) -> list[Output]:
    """Columns of a source as they are printed."""
    found = [SOURCES[name].columns[column] for column in columns]
    return [Output(name=each.name, column=each, kind=each.kind, scale=each.scale) for each in found]


def test_everything_that_may_be_printed_has_words_in_both_languages() -> None:
    for source in SOURCES.values():
        assert set(title_of(source.name)) == {"ar", "en"}
        for column in source.columns.values():
            label = heading(Output(name=column.name, column=column, kind=column.kind))
            assert isinstance(label, dict)
            assert all(label.values())
            assert all(choice(value)["ar"] for value in column.choices)
    for status in CaseStatus:
        assert choice(status)["en"]


def test_the_columns_of_a_query_are_called_what_they_are() -> None:
    query = Query.model_validate(
        {
            "source": "invoices",
            "groupBy": ["clientName", {"column": "issueDate", "by": "month"}],
            "measures": [
                {"function": "count"},
                {"function": "sum", "column": "total"},
                {"function": "avg", "column": "total", "as": "meanOfAll"},
            ],
        }
    )
    assert [heading(output) for output in query.outputs] == [
        {"ar": "العميل", "en": "Client"},
        {"ar": "الشهر", "en": "Month"},
        {"ar": "العدد", "en": "Count"},
        {"ar": "مجموع: الإجمالي", "en": "Sum: Total"},
        "Mean of all",
    ]


@pytest.mark.parametrize(("language", "status"), [("ar", "مدفوعة جزئيًا"), ("en", "Partly paid")])
def test_cells_speak_the_firm_s_language(language: Literal["ar", "en"], status: str, making: Making) -> None:
    here = replace(making, report=replace(making.report, language=language))
    outputs = outputs_of("invoices", "status", "sentAt", "issueDate", "total", "vatRate")
    row = {
        "status": InvoiceStatus.PARTIAL, "sentAt": making.now, "issueDate": date(1999, 12, 31),
        "total": Decimal("1.50"), "vatRate": Decimal(15),
    }  # fmt: skip
    table = documents.table_pages("x", outputs, [row], here, currency="SAR")["sections"][0]["table"]
    # The moment is on the first of April in Riyadh.
    assert list(table["rows"][0].values()) == [status, "2026-04-01", "1999-12-31", 1.5, 15.0]
    assert [column["kind"] for column in table["columns"]] == ["text", "date", "text", "amount", "percent"]


def test_amounts_in_several_currencies_are_not_said_to_be_in_one(making: Making) -> None:
    outputs = outputs_of("invoices", "currency", "total")
    data = documents.table_pages("x", outputs, [], making, currency=None)
    assert "currency" not in data
    assert data["sections"][0]["table"]["columns"][1]["kind"] == "number"


def test_a_period_of_another_century_can_be_printed(making: Making) -> None:
    period = {"startDate": date(1999, 1, 1), "endDate": date(2000, 1, 31)}
    payload = printable(
        "analytics", documents.analytics_pages({"type": "analytics", "period": period}, making)
    )
    assert payload.report_data.subtitle.ar == "1999-01-01 – 2000-01-31"
