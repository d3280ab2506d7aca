"""Reports as the ``pdf`` queue prints them: the data of its type ``report``, in Arabic and English."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from toril.db.types import MONEY_SCALE
from toril.queues.report.kinds import Kind
from toril.queues.report.making import Making
from toril.queues.report.queries.aging import BUCKETS
from toril.queues.report.query import Output
from toril.queues.report.saved import SavedReport
from toril.queues.report.values import to_json
from toril.queues.report.words import Words, choice, heading, word

_Column = tuple[str, Words, str]  #: key, label, kind

_MAX_POINTS: Final = 60  #: of a chart
_CENTURY: Final = range(2001, 2099)  #: years that the pdf queue takes as such
_MAX_LINES: Final = 500  #: of a table of clients or people


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
            lines = [{"category": choice(value), "count": count} for value, count in report[name].items()]
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
    title: Words | str,
    outputs: Sequence[Output],
    rows: Sequence[Mapping[str, Any]],
    making: Making,
    *,
    currency: str | None,
) -> dict[str, Any]:
    """A table of records.

    Args:
        currency: of all amounts; None when they are in several, or in one that is not known.
    """
    kinds = {
        output.name: _shown_as(output, [row[output.name] for row in rows], currency) for output in outputs
    }
    table = {
        "columns": [
            {"key": output.name, "label": heading(output), "kind": kinds[output.name]} for output in outputs
        ],
        "rows": [
            {
                name: row[name] if kind not in ("text", "date") else _text(row[name], making.report)
                for name, kind in kinds.items()
            }
            for row in rows
        ],
    }
    page: dict[str, Any] = {"title": title, "generatedAt": making.now, "sections": [{"table": table}]}
    if currency is not None:
        page["currency"] = currency
    printed: dict[str, Any] = to_json(page, making.report.zone)
    return printed


def _shown_as(output: Output, values: Iterable[Any], currency: str | None) -> str:
    """The kind of a column on paper. Of an amount in an unknown currency nothing is said but the number."""
    if output.kind in (Kind.DATE, Kind.MOMENT):
        return "date" if all(value is None or value.year in _CENTURY for value in values) else "text"
    if output.kind is Kind.DECIMAL:
        if output.column is not None and output.column.name == "vatRate":
            return "number" if output.function in ("sum", "avg") else "percent"
        return "amount" if output.scale == MONEY_SCALE and currency is not None else "number"
    return "number" if output.kind is Kind.INTEGER else "text"


def _text(value: Any, report: SavedReport) -> str | None:
    """A value in a cell of text; what is longer than a page holds is cut."""
    match value:
        case bool():
            return "✓" if value else "✗"
        case StrEnum():
            return choice(value)[report.language]
        case datetime():  # its day where the firm is, which need not be Riyadh
            return value.astimezone(report.zone).date().isoformat()
        case None:
            return None
        case _:
            return str(value)[:1000]


def _pages(
    report: Mapping[str, Any], making: Making, figures: list[dict[str, Any]], sections: list[dict[str, Any]]
) -> dict[str, Any]:
    page: dict[str, Any] = {"title": word(report["type"]), "generatedAt": making.now}
    if "period" in report:
        first, last = report["period"]["startDate"], report["period"]["endDate"]
        if all(day.year in _CENTURY for day in (first, last)):
            page |= {"periodStart": first, "periodEnd": last}
        else:
            page["subtitle"] = f"{first} – {last}"
    if "currency" in report:
        page["currency"] = report["currency"]
    printed: dict[str, Any] = to_json({**page, "summary": figures, "sections": sections}, making.report.zone)
    return printed


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
