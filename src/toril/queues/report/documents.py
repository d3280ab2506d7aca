"""Reports as the ``pdf`` queue prints them: the data of its type ``report``, in Arabic and English."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from toril.queues.report.kinds import Kind
from toril.queues.report.making import Making
from toril.queues.report.queries.aging import BUCKETS
from toril.queues.report.values import to_json

_Words = dict[str, str]
_Column = tuple[str, _Words, str]  #: key, label, kind

_MAX_POINTS: Final = 60  #: of a chart
_MAX_LINES: Final = 500  #: of a table of clients or people

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "financial": ("التقرير المالي", "Financial report"),
    "analytics": ("تقرير الأداء", "Analytics report"),
    "time-utilization": ("تقرير استغلال الوقت", "Time utilization report"),
    "client-aging": ("تقرير أعمار الذمم المدينة", "Client aging report"),
    "revenue": ("الإيرادات", "Revenue"),
    "vat": ("ضريبة القيمة المضافة", "VAT"),
    "payments": ("المدفوعات المستلمة", "Payments received"),
    "expenses": ("المصروفات", "Expenses"),
    "netProfit": ("صافي الربح", "Net profit"),
    "outstanding": ("المستحق غير المسدد", "Outstanding"),
    "invoices": ("الفواتير", "Invoices"),
    "invoice-lines": ("بنود الفواتير", "Invoice lines"),
    "clients": ("العملاء", "Clients"),
    "cases": ("القضايا", "Cases"),
    "time-entries": ("سجلات الوقت", "Time entries"),
    "contracts": ("العقود", "Contracts"),
    "bank-transactions": ("العمليات المصرفية", "Bank transactions"),
    "staff": ("الموظفون", "Staff"),
    "month": ("الشهر", "Month"),
    "by_month": ("حسب الشهر", "By month"),
    "client": ("العميل", "Client"),
    "by_client": ("حسب العميل", "By client"),
    "no_client": ("بدون عميل", "No client"),
    "total": ("الإجمالي", "Total"),
    "oldestDueDate": ("أقدم تاريخ استحقاق", "Oldest due date"),
    "current": ("غير متأخر", "Not overdue"),
    "30": ("1-30 يومًا", "1-30 days"),
    "60": ("31-60 يومًا", "31-60 days"),
    "90": ("61-90 يومًا", "61-90 days"),
    "90plus": ("أكثر من 90 يومًا", "Over 90 days"),
    "bucket": ("مدة التأخر", "Days overdue"),
    "amount": ("المبلغ", "Amount"),
    "overview": ("نظرة عامة", "Overview"),
    "cases_opened": ("قضايا مفتوحة خلال الفترة", "Cases opened"),
    "cases_closed": ("قضايا مغلقة خلال الفترة", "Cases closed"),
    "casesByStatus": ("القضايا حسب الحالة", "Cases by status"),
    "casesByType": ("القضايا حسب النوع", "Cases by type"),
    "newClients": ("العملاء الجدد", "New clients"),
    "hoursBilled": ("الساعات القابلة للفوترة", "Billable hours"),
    "count": ("العدد", "Count"),
    "category": ("الفئة", "Category"),
    "person": ("الموظف", "Person"),
    "by_person": ("حسب الموظف", "By person"),
    "minutes": ("الوقت المسجل", "Recorded time"),
    "billableMinutes": ("وقت قابل للفوترة", "Billable"),
    "nonBillableMinutes": ("وقت غير قابل للفوترة", "Not billable"),
    "utilization": ("نسبة الاستغلال", "Utilization"),
    "billableAmount": ("قيمة الوقت القابل للفوترة", "Billable amount"),
    "unknown": ("غير معروف", "Unknown"),
    "open": ("مفتوحة", "Open"),
    "pending": ("قيد الانتظار", "Pending"),
    "on_hold": ("معلقة", "On hold"),
    "closed": ("مغلقة", "Closed"),
    "commercial": ("تجارية", "Commercial"),
    "labour": ("عمالية", "Labour"),
    "criminal": ("جزائية", "Criminal"),
    "family": ("أحوال شخصية", "Family"),
    "administrative": ("إدارية", "Administrative"),
    "real_estate": ("عقارية", "Real estate"),
    "enforcement": ("تنفيذ", "Enforcement"),
    "other": ("أخرى", "Other"),
}

#: How a table of records shows each kind of column.
_SHOWN: Final = {Kind.DECIMAL: "amount", Kind.INTEGER: "number", Kind.DATE: "date", Kind.MOMENT: "date"}


def financial_pages(report: Mapping[str, Any], making: Making) -> dict[str, Any]:
    """A financial report: its totals, its months with a chart, its clients."""
    money = ("revenue", "vat", "payments", "expenses", "netProfit", "outstanding")
    months = report["byMonth"]
    chart = _chart(
        "bar", "amount", [line["month"] for line in months], months, ("revenue", "expenses", "payments")
    )
    columns = [_column(name, "amount") for name in money]
    clients = [
        {**line, "client": line["name"] or word("no_client")} for line in report["byClient"][:_MAX_LINES]
    ]
    sections = [
        _section("by_month", [_column("month"), *columns], months, charts=chart),
        _section("by_client", [_column("client"), *columns, _column("invoices", "number")], clients),
    ]
    return _pages(report, making, [_figure(name, "amount", report[name]) for name in money], sections)


def aging_pages(report: Mapping[str, Any], making: Making) -> dict[str, Any]:
    """A client aging report: its buckets with a chart, and the clients."""
    buckets = [{"bucket": word(name), **report["buckets"][name]} for name in BUCKETS]
    chart = _chart("bar", "amount", [line["bucket"] for line in buckets], buckets, ("amount",))
    clients = [
        {**line, "client": line["name"] or word("unknown")} for line in report["byClient"][:_MAX_LINES]
    ]
    columns = [_column("bucket"), _column("invoices", "number"), _column("amount", "amount")]
    owed = [_column(name, "amount") for name in (*BUCKETS, "total")]
    sections = [
        _section("overview", columns, buckets, charts=chart),
        _section("by_client", [_column("client"), _column("oldestDueDate", "date"), *owed], clients),
    ]
    figures = [_figure("total", "amount", report["total"]), _figure("invoices", "number", report["invoices"])]
    return _pages(report, making, figures, sections)


def analytics_pages(report: Mapping[str, Any], making: Making) -> dict[str, Any]:
    """An analytics report: a part for each metric that it has."""
    figures, sections = [], []
    if "cases" in report:
        figures += [
            _figure(f"cases_{name}", "number", report["cases"][name]) for name in ("opened", "closed")
        ]
    for name in ("casesByStatus", "casesByType"):
        if name in report:
            lines = [{"category": word(value), "count": count} for value, count in report[name].items()]
            chart = _chart("hbar", "number", [line["category"] for line in lines], lines, ("count",))
            sections.append(
                _section(name, [_column("category"), _column("count", "number")], lines, charts=chart)
            )
    if "newClients" in report:
        figures.append(_figure("newClients", "number", report["newClients"]["total"]))
        months = report["newClients"]["byMonth"]
        chart = _chart("bar", "number", [line["month"] for line in months], months, ("count",))
        sections.append(
            _section("newClients", [_column("month"), _column("count", "number")], months, charts=chart)
        )
    if "hoursBilled" in report:
        hours = report["hoursBilled"]
        figures.append(_figure("hoursBilled", "minutes", hours["minutes"]))
        figures.append(_figure("billableAmount", "amount", hours["amount"]))
        columns = [_column("month"), _column("minutes", "minutes"), _column("billableMinutes", "minutes")]
        chart = _chart(
            "bar",
            "minutes",
            [line["month"] for line in hours["byMonth"]],
            hours["byMonth"],
            ("billableMinutes",),
        )
        sections.append(_section("hoursBilled", columns, hours["byMonth"], charts=chart))
    return _pages(report, making, figures, sections)


def utilization_pages(report: Mapping[str, Any], making: Making) -> dict[str, Any]:
    """A time utilization report: everybody's time."""
    kinds = {
        "minutes": "minutes",
        "billableMinutes": "minutes",
        "nonBillableMinutes": "minutes",
        "utilization": "percent",
        "billableAmount": "amount",
    }
    people = [{**line, "person": line["name"] or word("unknown")} for line in report["byPerson"][:_MAX_LINES]]
    chart = _chart("hbar", "percent", [line["person"] for line in people], people, ("utilization",))
    columns = [_column("person"), *(_column(name, kind) for name, kind in kinds.items())]
    figures = [_figure(name, kind, report[name]) for name, kind in kinds.items()]
    return _pages(report, making, figures, [_section("by_person", columns, people, charts=chart)])


def table_pages(
    title: _Words | str,
    columns: Sequence[tuple[str, Kind]],
    rows: Sequence[Mapping[str, Any]],
    making: Making,
) -> dict[str, Any]:
    """A table of records, with the columns' own names spelled out."""
    shown = [(name, _SHOWN.get(kind, "text")) for name, kind in columns]
    table = {
        "columns": [{"key": name, "label": _spelled_out(name), "kind": kind} for name, kind in shown],
        "rows": [
            {name: _text(row[name]) if kind == "text" else row[name] for name, kind in shown} for row in rows
        ],
    }
    page = {"title": title, "generatedAt": making.now, "sections": [{"table": table}]}
    printed: dict[str, Any] = to_json(page, making.report.zone)
    return printed


def _spelled_out(name: str) -> str:
    """``issueDate`` → ``Issue date``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).lower()
    return words[:1].upper() + words[1:]


def _text(value: Any) -> str | None:
    """A value in a cell of text; what is longer than a page holds is cut."""
    if isinstance(value, bool):
        return "✓" if value else "✗"
    return None if value is None else str(value)[:1000]


def _pages(
    report: Mapping[str, Any], making: Making, figures: list[dict[str, Any]], sections: list[dict[str, Any]]
) -> dict[str, Any]:
    page: dict[str, Any] = {"title": word(report["type"]), "generatedAt": making.now}
    if "period" in report:
        page |= {"periodStart": report["period"]["startDate"], "periodEnd": report["period"]["endDate"]}
    if "currency" in report:
        page["currency"] = report["currency"]
    printed: dict[str, Any] = to_json({**page, "summary": figures, "sections": sections}, making.report.zone)
    return printed


def letterhead(name_ar: str, name_en: str) -> dict[str, Any]:
    """The firm at the head of a report, by its names; a part of the report's data, empty for one without a name.

    The names are cut to what the ``pdf`` queue takes: 120 characters, and 255 bytes.
    """
    names = {"nameAr": name_ar, "nameEn": name_en}
    cut = {key: name.strip()[:120].encode()[:255].decode(errors="ignore") for key, name in names.items()}
    return {"firm": cut} if any(cut.values()) else {}


def word(key: str) -> _Words:
    """What the key of a figure, a column, a report or a source is called in both languages."""
    arabic, english = _WORDS[key]
    return {"ar": arabic, "en": english}


def _figure(key: str, kind: str, value: Any) -> dict[str, Any]:
    return {"label": word(key), "kind": kind, "value": value}


def _column(key: str, kind: str = "text") -> _Column:
    return key, word(key), kind


def _section(
    title: str,
    columns: Sequence[_Column],
    lines: Iterable[Mapping[str, Any]],
    *,
    charts: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    table = {
        "columns": [{"key": key, "label": label, "kind": kind} for key, label, kind in columns],
        "rows": [{key: line[key] for key, _, _ in columns} for line in lines],
    }
    return {"title": word(title), "charts": list(charts), "table": table}


def _chart(
    type: str, kind: str, labels: Sequence[Any], lines: Sequence[Mapping[str, Any]], series: Sequence[str]
) -> list[dict[str, Any]]:
    """A chart, or none where there is nothing to draw, or too much of it."""
    if not 1 <= len(labels) <= _MAX_POINTS:
        return []
    drawn = [{"name": word(name), "values": [line[name] for line in lines]} for name in series]
    return [{"type": type, "kind": kind, "labels": list(labels), "series": drawn}]
