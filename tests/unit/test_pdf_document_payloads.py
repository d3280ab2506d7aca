"""Payloads of reports, statements, contracts and HTML: what is taken, and what a refusal names."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.pdf_jobs import contract_job, custom_job, invoice_job, report_job, statement_job

from toril.errors import PayloadError
from toril.queues.pdf import (
    ContractPayload,
    CustomPayload,
    Margins,
    ReportPayload,
    StatementPayload,
    pdf_queue,
)
from toril.queues.pdf.fields import RIYADH
from toril.queues.storage import LocalFileStore


class NoRenderer:
    """For tests that render nothing."""

    async def render(self, html: str, *, title: str, lang: str, options: object = None) -> bytes:
        raise AssertionError("nothing is rendered here")

    async def close(self) -> None: ...


QUEUE = pdf_queue(store=LocalFileStore(Path("unused")), renderer=NoRenderer())


def checked(job: dict[str, Any]) -> Any:
    return QUEUE.check(job)[1]


def refusal(job: dict[str, Any]) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        checked(job)
    return caught.value


def test_the_queue_knows_all_types() -> None:
    assert list(QUEUE.types) == ["invoice", "report", "statement", "contract", "custom"]
    assert all(job_type.summary for job_type in QUEUE.types.values())


def test_documents_are_taken_as_node_writes_them() -> None:
    report = checked(report_job(options={"language": "ar", "landscape": True, "renderer": "chromium"}))
    statement = checked(statement_job())
    contract = checked(contract_job())
    custom = checked(custom_job("<p>x"))

    assert isinstance(report, ReportPayload)
    assert report.report_data.title.en == "Financial Report"
    assert report.report_data.sections[1].table is not None
    assert report.report_data.sections[1].table.totals == {
        "cases": 23,
        "time": 20800,
        "revenue": Decimal("671000.75"),
    }
    assert (report.options.landscape, report.options.renderer) == (True, "chromium")
    assert isinstance(statement, StatementPayload)
    assert statement.statement_data.balances == [11125, 8625, 3625, 6500, 6125]
    assert statement.statement_data.date == datetime(2025, 6, 30, tzinfo=RIYADH)
    assert isinstance(contract, ContractPayload)
    assert contract.contract_data.clauses[0].clauses[0].clauses[0].text.en == "In writing or orally."
    assert isinstance(custom, CustomPayload)
    assert custom.options.page_numbers is True


def test_a_plain_string_is_a_text_in_any_language() -> None:
    payload = checked(report_job(title="Report", subtitle=None))

    title = payload.report_data.title
    assert (title.in_one("ar"), title.in_one("en")) == ("Report", "Report")
    assert not payload.report_data.subtitle


JOBS = {
    "invoice": invoice_job(),
    "report": report_job(),
    "statement": statement_job(),
    "contract": contract_job(),
    "custom": custom_job("<p>x"),
}
REQUIRED = [
    *(("invoice", field) for field in ("invoiceId", "invoiceData", "firmId")),
    *(("invoice", f"invoiceData.{field}") for field in ("invoiceNumber", "date", "clientName", "items")),
    *(("invoice", f"invoiceData.{field}") for field in ("subtotal", "vatRate", "vatAmount", "totalAmount")),
    *(("report", field) for field in ("reportId", "reportData", "reportType", "firmId", "reportData.title")),
    *(("statement", field) for field in ("statementId", "statementData", "firmId")),
    *(("statement", f"statementData.{field}") for field in ("date", "clientName")),
    *(("contract", field) for field in ("contractId", "contractData", "firmId")),
    *(("contract", f"contractData.{field}") for field in ("title", "parties", "clauses")),
    *(("custom", field) for field in ("html", "firmId")),
]


def changed(kind: str, path: str, value: Any = ...) -> dict[str, Any]:
    """A job with one field set, or taken out."""
    job = deepcopy(JOBS[kind])
    *way, last = path.split(".")
    at = job["data"]
    for step in way:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return job


@pytest.mark.parametrize(("kind", "field"), REQUIRED)
def test_a_required_field_that_is_missing_is_named(kind: str, field: str) -> None:
    error = refusal(changed(kind, field))

    assert error.field == field
    assert f"pdf job of type {kind!r} is not acceptable: {field}: Field required" in str(error)


@pytest.mark.parametrize(("kind", "field"), REQUIRED)
@pytest.mark.parametrize("value", [[1], 7, True], ids=["list", "number", "bool"])
def test_a_field_of_the_wrong_type_is_named(kind: str, field: str, value: Any) -> None:
    if value == 7 and field.endswith((".date", "otal", "Rate", "Amount")):
        value = "some"
    error = refusal(changed(kind, field, value))

    assert error.field is not None
    assert error.field.startswith(field)


@pytest.mark.parametrize("kind", JOBS)
@pytest.mark.parametrize("firm", ["", "../other", "a b", "x" * 65])
def test_a_firm_is_an_id(kind: str, firm: str) -> None:
    assert refusal(changed(kind, "firmId", firm)).field == "firmId"


@pytest.mark.parametrize("kind", JOBS)
def test_an_unknown_field_is_named(kind: str) -> None:
    assert refusal(changed(kind, "colour", "red")).field == "colour"


LONG = {
    "invoiceId": ("invoice", 64),
    "invoiceData.invoiceNumber": ("invoice", 50),
    "invoiceData.clientName": ("invoice", 300),
    "invoiceData.clientEmail": ("invoice", 100),
    "invoiceData.clientPhone": ("invoice", 100),
    "invoiceData.clientAddress": ("invoice", 300),
    "invoiceData.clientVatNumber": ("invoice", 100),
    "invoiceData.reference": ("invoice", 100),
    "invoiceData.notes": ("invoice", 5000),
    "invoiceData.paymentTerms": ("invoice", 5000),
    "reportId": ("report", 64),
    "reportType": ("report", 64),
    "reportData.subtitle": ("report", 120),
    "reportData.notes": ("report", 5000),
    "statementId": ("statement", 64),
    "statementData.statementNumber": ("statement", 50),
    "statementData.clientName": ("statement", 300),
    "statementData.notes": ("statement", 5000),
    "contractId": ("contract", 64),
    "contractData.contractNumber": ("contract", 100),
    "contractData.place": ("contract", 120),
    "contractData.preamble": ("contract", 5000),
    "fileName": ("custom", 300),
}


@pytest.mark.parametrize(("field", "kind", "most"), [(field, *row) for field, row in LONG.items()])
def test_a_text_has_a_greatest_length(field: str, kind: str, most: int) -> None:
    checked(changed(kind, field, "x" * most))

    assert refusal(changed(kind, field, "x" * (most + 1))).field == field


@pytest.mark.parametrize(
    ("kind", "path"),
    [(kind, "options") for kind in JOBS]
    + [(kind, f"{kind}Data") for kind in ("invoice", "report", "statement", "contract")],
)
def test_an_unknown_field_further_down_is_named(kind: str, path: str) -> None:
    there = JOBS[kind]["data"].get(path, {})

    assert refusal(changed(kind, path, {**there, "colour": "red"})).field == f"{path}.colour"


def table(**changes: Any) -> dict[str, Any]:
    """Changes that leave a report one table."""
    content = {"columns": [{"key": "a", "label": "A", "kind": "amount"}], "rows": [{"a": 1}]} | changes
    return {"sections": [{"table": content}]}


def chart(**changes: Any) -> dict[str, Any]:
    """Changes that leave a report one chart."""
    content = {"type": "bar", "labels": ["a", "b"], "series": [{"values": [1, 2]}]} | changes
    return {"sections": [{"charts": [content]}]}


TABLE, CHART = "reportData.sections.0.table", "reportData.sections.0.charts.0"
BAD_REPORTS = {
    "title empty": ({"title": {"ar": " "}}, "reportData.title", "a text is needed"),
    "title long": ({"title": "x" * 201}, "reportData.title", "more than 200 characters"),
    "title of lists": ({"title": {"ar": []}}, "reportData.title.ar", "valid string"),
    "title in French": ({"title": {"fr": "x"}}, "reportData.title.fr", "Extra inputs"),
    "period": ({"periodEnd": "2024-12-31"}, "reportData.periodEnd", "is before periodStart"),
    "date": ({"generatedAt": "soon"}, "reportData.generatedAt", "is not a date"),
    "currency": ({"currency": "riyal"}, "reportData.currency", "pattern"),
    "figure without a label": ({"summary": [{"value": 1}]}, "reportData.summary.0.label", "required"),
    "figure of words": (
        {"summary": [{"label": "x", "value": "lots"}]},
        "reportData.summary.0.value",
        "not a plain",
    ),
    "figure of no kind": (
        {"summary": [{"label": "x", "kind": "color", "value": 1}]},
        "reportData.summary.0.kind",
        "Input should be",
    ),
    "too many figures": ({"summary": [{"label": "x", "value": 1}] * 13}, "reportData.summary", "at most 12"),
    "too many sections": ({"sections": [{}] * 41}, "reportData.sections", "at most 40"),
    "no columns": (table(columns=[]), f"{TABLE}.columns", "at least 1"),
    "too many columns": (
        table(columns=[{"key": str(n), "label": "x"} for n in range(13)]),
        f"{TABLE}.columns",
        "at most 12",
    ),
    "a column twice": (
        table(columns=[{"key": "a", "label": "x"}, {"key": "a", "label": "y"}]),
        f"{TABLE}.columns",
        "two columns have the key 'a'",
    ),
    "a sum of text": (
        table(columns=[{"key": "a", "label": "x", "total": True}]),
        f"{TABLE}.columns.0.total",
        "kind text cannot be added up",
    ),
    "a cell of no column": (
        table(rows=[{"a": 1}, {"b": 1}]),
        f"{TABLE}.rows",
        "row 1 has 'b', which is the key of",
    ),
    "a cell that is no amount": (
        table(rows=[{"a": "1,000"}]),
        f"{TABLE}.rows",
        "row 0, 'a': '1,000' is not a plain",
    ),
    "a cell that is no date": (
        table(columns=[{"key": "a", "label": "x", "kind": "date"}], rows=[{"a": "1/2/2025"}]),
        f"{TABLE}.rows",
        "row 0, 'a': '1/2/2025' is not a date",
    ),
    "a cell that is no text": (
        table(columns=[{"key": "a", "label": "x"}], rows=[{"a": [1]}]),
        f"{TABLE}.rows",
        "row 0, 'a': expected a text",
    ),
    "too many rows": (table(rows=[{"a": 1}] * 5001), f"{TABLE}.rows", "at most 5000"),
    "too many rows in all": (
        {"sections": table(rows=[{"a": 1}] * 2600)["sections"] * 2},
        "reportData.sections",
        "has 5200 rows in all its tables",
    ),
    "a chart of no kind": (chart(type="radar"), f"{CHART}.type", "Input should be"),
    "no labels": (chart(labels=[]), f"{CHART}.labels", "at least 1"),
    "values short": (
        chart(series=[{"values": [1]}]),
        f"{CHART}.series",
        "series 0 has 1 values for 2 labels",
    ),
    "values of words": (
        chart(series=[{"values": [1, "x"]}]),
        f"{CHART}.series.0.values.1",
        "not a plain number",
    ),
    "too many points": (chart(labels=["x"] * 61), f"{CHART}.labels", "at most 60"),
    "two series in a pie": (
        chart(type="pie", series=[{"values": [1, 2]}] * 2),
        f"{CHART}.series",
        "one series, not 2",
    ),
    "too many slices": (
        chart(type="donut", labels=["x"] * 13, series=[{"values": [1] * 13}]),
        f"{CHART}.labels",
        "at most 12 slices",
    ),
    "a slice below zero": (
        chart(type="pie", series=[{"values": [1, -2]}]),
        f"{CHART}.series",
        "values below zero",
    ),
    "a stack below zero": (
        chart(stacked=True, series=[{"values": [1, -2]}]),
        f"{CHART}.series",
        "values below zero",
    ),
}


@pytest.mark.parametrize(("changes", "field", "message"), BAD_REPORTS.values(), ids=BAD_REPORTS)
def test_what_is_refused_in_a_report_is_named(changes: dict[str, Any], field: str, message: str) -> None:
    error = refusal(report_job(**changes))

    assert (error.field, message in str(error)) == (field, True), str(error)


def entries(*entries: dict[str, Any]) -> dict[str, Any]:
    """Changes that leave a statement these entries, from 100.00, and nothing to check them against."""
    return {
        "openingBalance": 100,
        "entries": [{"date": "2025-05-01"} | entry for entry in entries],
        "closingBalance": None,
        "ageing": None,
    }


BAD_STATEMENTS = {
    "both sides": (
        entries({"debit": 1, "credit": 1}),
        "statementData.entries.0.credit",
        "one of debit and credit must be above zero",
    ),
    "no side": (entries({}), "statementData.entries.0.credit", "one of debit and credit must be above zero"),
    "negative": (entries({"debit": -1}), "statementData.entries.0.debit", "must not be negative"),
    "kind": (entries({"debit": 1, "kind": "gift"}), "statementData.entries.0.kind", "Input should be"),
    "order": (
        entries({"debit": 1}, {"debit": 1, "date": "2025-04-30"}),
        "statementData.entries",
        "entry 1 is of a day before",
    ),
    "balance": (
        entries({"debit": 5, "balance": 104}),
        "statementData.entries",
        "entry 0: the balance is 105.00, not 104.00",
    ),
    "too many": (entries(*[{"debit": 1}] * 5001), "statementData.entries", "at most 5000"),
    "closing balance": (
        entries({"debit": 5}) | {"closingBalance": 100},
        "statementData.closingBalance",
        "the opening balance with all entries is 105.00, not 100.00",
    ),
    "ageing": (
        {"ageing": {"current": 6125, "30": 1}},
        "statementData.ageing",
        "the sum of the ageing, less what is unallocated, is 6126.00, not 6125.00",
    ),
    "ageing of other days": ({"ageing": {"45": 6125}}, "statementData.ageing.45", "Extra inputs"),
    "ageing below zero": ({"ageing": {"30": -1}}, "statementData.ageing.30", "must not be negative"),
    "period": ({"periodEnd": "2025-03-31"}, "statementData.periodEnd", "is before periodStart"),
}


@pytest.mark.parametrize(("changes", "field", "message"), BAD_STATEMENTS.values(), ids=BAD_STATEMENTS)
def test_what_is_refused_in_a_statement_is_named(changes: dict[str, Any], field: str, message: str) -> None:
    error = refusal(statement_job(**changes))

    assert (error.field, message in str(error)) == (field, True), str(error)


def test_what_is_paid_and_not_allocated_makes_the_ageing_add_up() -> None:
    payload = checked(
        statement_job(**entries({"credit": 250}) | {"ageing": {"current": 100, "unallocated": 250}})
    )

    assert payload.statement_data.closing_balance == -150


def nested(depth: int) -> dict[str, Any]:
    clause: dict[str, Any] = {"text": "x"}
    for _ in range(depth - 1):
        clause = {"text": "x", "clauses": [clause]}
    return clause


BAD_CONTRACTS = {
    "no parties": ({"parties": []}, "contractData.parties", "at least 1"),
    "a party without a name": ({"parties": [{"role": "a"}]}, "contractData.parties.0.name", "required"),
    "no clauses": ({"clauses": []}, "contractData.clauses", "at least 1"),
    "an empty clause": ({"clauses": [{}]}, "contractData.clauses.0.clauses", "a title, a text or clauses"),
    "too deep": ({"clauses": [nested(5)]}, "contractData.clauses", "more than 4 deep"),
    "too many": ({"clauses": [{"text": "x"}] * 1001}, "contractData.clauses", "at most 1000"),
    "a long clause": (
        {"clauses": [{"text": "x" * 20_001}]},
        "contractData.clauses.0.text.ar",
        "at most 20000",
    ),
    "a schedule without a title": (
        {"schedules": [{"text": "x"}]},
        "contractData.schedules.0.title",
        "required",
    ),
    "deep in a schedule": (
        {"schedules": [{"title": "x", "clauses": [nested(5)]}]},
        "contractData.schedules",
        "more than 4 deep",
    ),
    "date": ({"date": "first of May"}, "contractData.date", "is not a date"),
}


@pytest.mark.parametrize(("changes", "field", "message"), BAD_CONTRACTS.values(), ids=BAD_CONTRACTS)
def test_what_is_refused_in_a_contract_is_named(changes: dict[str, Any], field: str, message: str) -> None:
    error = refusal(contract_job(**changes))

    assert (error.field, message in str(error)) == (field, True), str(error)


def test_clauses_nested_without_end_are_refused_and_not_followed() -> None:
    assert refusal(contract_job(clauses=[nested(900)])).field is not None


BAD_CUSTOM = {
    "no html": ({"html": " "}, "html", "at least 1"),
    "much html": ({"html": "x" * 10_000_001}, "html", "at most 10000000"),
    "file name": ({"fileName": "x" * 301}, "fileName", "at most 300"),
    "paper": ({"options": {"format": "B5"}}, "options.format", "Input should be"),
    "margin": ({"options": {"margin": "wide"}}, "options.margin", "'wide' is not a margin such as 15"),
    "margin large": ({"options": {"margin": "9in"}}, "options.margin", "more than 80 mm"),
    "margin negative": ({"options": {"margin": -1}}, "options.margin", "is not a margin"),
    "margin of a side": ({"options": {"margin": {"middle": 1}}}, "options.margin", "has a side 'middle'"),
    "language": ({"options": {"language": "Arabic please"}}, "options.language", "pattern"),
    "renderer": ({"options": {"renderer": "word"}}, "options.renderer", "Input should be"),
    "script": ({"options": {"javascript": True}}, "options.javascript", "Extra inputs"),
}


@pytest.mark.parametrize(("changes", "field", "message"), BAD_CUSTOM.values(), ids=BAD_CUSTOM)
def test_what_is_refused_around_html_is_named(changes: dict[str, Any], field: str, message: str) -> None:
    error = refusal(custom_job(**{"html": "<p>x"} | changes))

    assert (error.field, message in str(error)) == (field, True), str(error)


@pytest.mark.parametrize(
    ("margin", "read"),
    [
        (20, Margins(top=20, right=20, bottom=20, left=20)),
        ("2cm", Margins(top=20, right=20, bottom=20, left=20)),
        ({"top": "1in", "left": "72pt"}, Margins(top=25.4, left=25.4)),
        ({"right": "96px", "bottom": 0}, Margins(right=25.4, bottom=0)),
        (None, Margins()),
    ],
)
def test_a_margin_is_a_length_or_one_a_side(margin: Any, read: Margins) -> None:
    assert checked(custom_job("<p>x", options={"margin": margin})).options.margin == read


#: A busy machine makes examples slowly, which says nothing about the code.
STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
MONEY = st.decimals(min_value="0.01", max_value=1_000_000, places=2)


@STEADY
@given(
    opening=st.decimals(min_value=-1_000_000, max_value=1_000_000, places=2),
    moves=st.lists(st.tuples(st.sampled_from(["debit", "credit"]), MONEY), max_size=30),
)
def test_a_balance_is_the_one_before_with_what_was_moved(
    opening: Decimal, moves: list[tuple[str, Decimal]]
) -> None:
    rows = [{"date": "2025-05-01", side: str(value)} for side, value in moves]
    payload = checked(
        statement_job(openingBalance=str(opening), entries=rows, closingBalance=None, ageing=None)
    )

    statement = payload.statement_data
    assert statement.closing_balance == [opening, *statement.balances][-1]
    assert statement.closing_balance == opening + statement.total_debit - statement.total_credit


def test_the_report_in_the_how_to_is_taken() -> None:
    page = (Path(__file__).parents[2] / "docs/howto/pdf.md").read_text(encoding="utf-8")
    (data,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)

    payload = checked({"type": "report", "data": json.loads(data)})

    assert payload.report_data.sections[0].table.totals == {"revenue": Decimal("98000.50")}
