"""What report jobs carry: each field checked, each mistake named by its path."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from toril.db.session import Database
from toril.engine.options import JobOptions
from toril.errors import PayloadError
from toril.queues.base import QueueDefinition
from toril.queues.registry import DEFAULT_JOB_OPTIONS
from toril.queues.report import Custom, DataExport, Financial, report_queue
from toril.queues.report.queries.calendar import Span
from toril.queues.storage import LocalFileStore

FIRM = "507f1f77bcf86cd799439011"
PERIOD = {"startDate": "2026-01-01", "endDate": "2026-03-31"}

GOOD: dict[str, dict[str, Any]] = {
    "financial": {"firmId": FIRM, **PERIOD},
    "analytics": {"firmId": FIRM, **PERIOD},
    "time-utilization": {"firmId": FIRM, **PERIOD},
    "client-aging": {"firmId": FIRM},
    "custom": {"firmId": FIRM, "name": "All", "query": {"source": "invoices"}},
    "data-export": {"firmId": FIRM, "exportType": "invoices", "format": "csv"},
}
MISSING = [(type, field) for type, data in GOOD.items() for field in data]


@pytest.fixture
def queue(tmp_path: Path) -> QueueDefinition:
    return report_queue(database=Database(home=tmp_path), files=LocalFileStore(tmp_path))


def of(**parts: Any) -> dict[str, Any]:
    """A query of invoices."""
    return {"source": "invoices", **parts}


def refused(queue: QueueDefinition, type: str, data: dict[str, Any]) -> list[str]:
    """What is wrong with a payload, each with its path."""
    with pytest.raises(PayloadError) as caught:
        queue.check({"type": type, "data": data})
    start, _, problems = str(caught.value).partition(" is not acceptable: ")
    assert start == f"report job of type '{type}'"
    return problems.split("; ")


@pytest.mark.parametrize("type", GOOD)
def test_good_payloads_pass(type: str, queue: QueueDefinition) -> None:
    job_type, _ = queue.check({"type": type, "data": GOOD[type]})
    assert job_type.name == type
    assert set(queue.types) == set(GOOD)


@pytest.mark.parametrize(("type", "field"), MISSING)
def test_what_is_required_is_asked_for(type: str, field: str, queue: QueueDefinition) -> None:
    data = {name: value for name, value in GOOD[type].items() if name != field}
    assert refused(queue, type, data) == [f"{field}: Field required"]


@pytest.mark.parametrize(("type", "field"), MISSING)
@pytest.mark.parametrize("value", [17.5, True, ["x"], "x" * 10_001])
def test_what_is_of_the_wrong_kind_is_refused(
    type: str, field: str, value: Any, queue: QueueDefinition
) -> None:
    problems = refused(queue, type, {**GOOD[type], field: value})
    assert len(problems) == 1
    assert problems[0].startswith(field)
    assert len(problems[0]) < 400


#: Values that a field which may be missing does not take: of the wrong kind, none of those there are, too long.
BAD: dict[str, list[Any]] = {
    "reportId": [7, ["5" * 24], "x", "5" * 25, "' OR 1=1 --"],
    "format": [7, ["json"], "xml", "json" * 1000],
    "currency": [7, {}, "SA", "SARS", "ر.س", "SAR" * 1000],
    "metrics": ["casesByStatus", [7], [None], ["x" * 5000], ["casesByStatus"] * 21],
    "staffIds": [FIRM, [7], [FIRM, None], ["x"], [FIRM] * 501],
    "filters": ["status=paid", 7, [7], [[]], {"x" * 41: 1}, [{"column": "id", "value": FIRM}] * 21],
}
MAY_BE_MISSING = {
    "financial": ["reportId", "format", "currency"],
    "analytics": ["reportId", "format", "metrics"],
    "time-utilization": ["reportId", "format", "staffIds"],
    "client-aging": ["reportId", "format", "currency"],
    "custom": ["reportId", "format"],
    "data-export": ["reportId", "format", "filters"],
}


@pytest.mark.parametrize(
    ("type", "field", "value"),
    [
        pytest.param(type, field, value, id=f"{type}-{field}-{at}")
        for type, fields in MAY_BE_MISSING.items()
        for field in fields
        for at, value in enumerate(BAD[field])
    ],
)
def test_what_may_be_missing_is_checked_when_it_is_there(
    type: str, field: str, value: Any, queue: QueueDefinition
) -> None:
    problems = refused(queue, type, {**GOOD[type], field: value})
    assert all(each.startswith(field) for each in problems)
    assert max(map(len, problems)) < 400  # whatever was sent, the message stays one that can be read


@pytest.mark.parametrize("type", GOOD)
def test_every_field_is_in_these_tables(type: str, queue: QueueDefinition) -> None:
    known = {field.alias or name for name, field in queue.types[type].payload.model_fields.items()}
    assert known == {*GOOD[type], *MAY_BE_MISSING[type]}


@pytest.mark.parametrize("type", [type for type, data in GOOD.items() if "startDate" in data])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-31", "2026-03-30"),
        ("2026-02-01T00:00:00Z", "2026-01-31T20:59:59Z"),
        (1_772_236_800_000, 1_769_817_600_000),
    ],
)
def test_dates_are_the_right_way_round(type: str, start: Any, end: Any, queue: QueueDefinition) -> None:
    assert refused(queue, type, {**GOOD[type], "startDate": start, "endDate": end}) == [
        "endDate: is before startDate"
    ]


@pytest.mark.parametrize("type", GOOD)
def test_what_is_not_known_is_refused(type: str, queue: QueueDefinition) -> None:
    problems = refused(queue, type, {**GOOD[type], "fromDate": 1})
    assert problems == ["fromDate: Extra inputs are not permitted"]


@pytest.mark.parametrize(
    "firm_id", ["", "507f1f77bcf86cd79943901", "507f1f77bcf86cd79943901g", "../../../../etc/passwd00"]
)
def test_a_firm_is_named_by_its_id(firm_id: str, queue: QueueDefinition) -> None:
    (found,) = refused(queue, "client-aging", {"firmId": firm_id})
    assert found.startswith("firmId: ")
    _, payload = queue.check({"type": "client-aging", "data": {"firmId": FIRM.upper(), "format": None}})
    assert (payload.firm_id, payload.format) == (FIRM, "json")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"startDate": "2026-04-01"}, "endDate: is before startDate"),
        ({"endDate": "2036-01-09"}, "endDate: is more than 3,660 days after startDate"),
        ({"startDate": "2026-02-30"}, "startDate: '2026-02-30' is not a day such as 2026-01-31"),
        ({"startDate": 1_767_225_600}, "startDate: 1767225600 is not a day"),
        ({"startDate": "2026-01-01T00:00:00"}, "startDate: '2026-01-01T00:00:00' has no offset from UTC"),
        ({"endDate": 1e300}, "endDate: 1e+300 is not a day"),
        ({"format": "PDF"}, "format: Input should be 'json' or 'pdf'"),
        ({"currency": "riyal"}, "currency: String should match pattern"),
    ],
)
def test_a_mistake_in_a_period_is_explained(
    changes: dict[str, Any], problem: str, queue: QueueDefinition
) -> None:
    (found,) = refused(queue, "financial", {**GOOD["financial"], **changes})
    assert found.startswith(problem)


def test_days_come_in_every_form_that_javascript_sends() -> None:
    riyadh = ZoneInfo("Asia/Riyadh")
    for start in (
        "2026-01-01",
        "2025-12-31T21:00:00.000Z",
        1_767_214_800_000,
        "2026-01-01T00:00:00+03:00",
        date(2026, 1, 1),
    ):
        payload = Financial.model_validate({"firmId": FIRM, "startDate": start, "endDate": "2026-01-01"})
        assert payload.span(riyadh) == Span(date(2026, 1, 1), date(2026, 1, 1))


def test_a_period_that_is_none_in_the_firm_s_zone_is_refused() -> None:
    late = {"startDate": "2026-01-02", "endDate": "2026-01-01T22:00:00Z"}  # the second, but in Riyadh
    payload = Financial.model_validate({"firmId": FIRM, **late})
    assert payload.span(ZoneInfo("Asia/Riyadh")).months == ["2026-01"]
    with pytest.raises(PayloadError, match="endDate: is before startDate in Europe/London"):
        payload.span(ZoneInfo("Europe/London"))


def test_a_span_has_all_its_months() -> None:
    assert Span(date(2025, 11, 30), date(2026, 2, 1)).months == ["2025-11", "2025-12", "2026-01", "2026-02"]


@pytest.mark.parametrize(
    ("type", "changes", "problem"),
    [
        ("analytics", {"metrics": ["profit"]}, "metrics: there is no metric 'profit'"),
        ("time-utilization", {"staffIds": [FIRM, "me"]}, "staffIds.1: String should match pattern"),
        ("data-export", {"exportType": "invoice"}, "exportType: there is nothing called 'invoice'"),
        ("data-export", {"exportType": "users"}, "exportType: there is nothing called 'users'"),
        (
            "data-export",
            {"format": "xls"},
            "format: Input should be 'csv', 'json', 'xlsx', 'parquet' or 'pdf'",
        ),
        (
            "data-export",
            {"filters": {"state": "paid"}},
            "filters.state.column: invoices has no column 'state'",
        ),
        (
            "data-export",
            {"filters": {"status": "payed"}},
            "filters.status.value: should be one of draft, sent",
        ),
        (
            "data-export",
            {"filters": {"total": {"above": 5}}},
            "filters.total.above.operator: Input should be 'eq'",
        ),
        ("data-export", {"filters": {"startDate": "soon"}}, "filters.startDate.value: 'soon' is not a day"),
        ("data-export", {"filters": {"$where": "1"}}, "filters.$where.column: String should match pattern"),
        ("data-export", {"filters": [{"column": "total"}]}, "filters.0.value: a value is needed"),
        ("data-export", {"filters": [7]}, "filters.0: Input should be a valid dictionary"),
        (
            "data-export",
            {"filters": [{"column": "id", "value": FIRM}] * 21},
            "filters: has 21 conditions, of which 20 are taken",
        ),
    ],
)
def test_a_mistake_is_explained(
    type: str, changes: dict[str, Any], problem: str, queue: QueueDefinition
) -> None:
    found = refused(queue, type, {**GOOD[type], **changes})
    assert [each[: len(problem)] for each in found] == [problem]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({}, "query.source: Field required"),
        ({"source": "invoces"}, "query.source: there is nothing called 'invoces' (did you mean 'invoices'?)"),
        ({"source": "invoices", "join": "firms"}, "query.join: Extra inputs are not permitted"),
        (
            {"source": "staff", "columns": ["passwordHash"]},
            "query.columns.0: staff has no column 'passwordHash'",
        ),
        (
            of(columns=["total", "totl"]),
            "query.columns.1: invoices has no column 'totl' (did you mean 'total'?)",
        ),
        (of(columns=["total; --"]), "query.columns.0: String should match pattern"),
        (
            of(filters=[{"column": "status", "operator": "contains", "value": "p"}]),
            "query.filters.0.operator: status cannot be asked for 'contains'",
        ),
        (
            of(filters=[{"column": "total", "value": "1.0005"}]),
            "query.filters.0.value: has more decimals than total, which has 3",
        ),
        (of(filters=[{"column": "total", "value": "1e30"}]), "query.filters.0.value: is too large"),
        (
            of(filters=[{"column": "total", "value": "NaN"}]),
            "query.filters.0.value: should be a number that is finite",
        ),
        (
            of(filters=[{"column": "notes", "value": "a\0b"}]),
            "query.filters.0.value: has a control character",
        ),
        (
            of(filters=[{"column": "notes", "value": "\ud800"}]),
            "query.filters.0.value: has a control character",
        ),
        (
            of(filters=[{"column": "id", "operator": "in", "value": []}]),
            "query.filters.0.value: should be a list of 1 to 200",
        ),
        (
            of(filters=[{"column": "total", "operator": "between", "value": [1]}]),
            "query.filters.0.value: should be a list of two",
        ),
        (
            {"source": "time-entries", "filters": [{"column": "minutes", "value": 2**31}]},
            "query.filters.0.value: should be a whole number",
        ),
        (of(groupBy=[{"column": "total", "by": "month"}]), "query.groupBy.0.by: total is no date"),
        (of(measures=[{"function": "sum"}]), "query.measures.0.column: sum needs a column"),
        (
            of(measures=[{"function": "sum", "column": "number"}]),
            "query.measures.0.function: number is of the kind text",
        ),
        (of(measures=[{"function": "pg_sleep"}]), "query.measures.0.function: Input should be 'count'"),
        (of(columns=["id"], groupBy=["status"]), "query.columns: is for queries that neither"),
        (of(columns=["id", "id"]), "query.columns: 'id' is in the result twice"),
        (of(columns=["id"], order=["total"]), "query.order.0.by: 'total' is not in the result, which has id"),
        ({"source": "invoices", "limit": 10_001}, "query.limit: Input should be less than or equal to 10000"),
        ({"source": "invoices", "limit": "5"}, "query.limit: Input should be a valid integer"),
    ],
)
def test_a_mistake_in_a_query_is_explained(
    query: dict[str, Any], problem: str, queue: QueueDefinition
) -> None:
    found = refused(queue, "custom", {**GOOD["custom"], "query": query})
    assert [each[: len(problem)] for each in found] == [problem]


def test_all_mistakes_of_a_query_are_told_at_once(queue: QueueDefinition) -> None:
    query = {
        "source": "invoices",
        "columns": ["totl", "id"],
        "filters": [{"column": "x"}, {"column": "id", "value": 1}],
    }
    found = refused(queue, "custom", {**GOOD["custom"], "query": query})
    paths = [each.partition(":")[0] for each in found if each.startswith("query.")]
    assert paths == ["query.filters.0.column", "query.filters.1.value", "query.columns.0"]


def test_a_query_goes_by_either_name_but_one_of_them() -> None:
    query = {"source": "invoices"}
    one = Custom.model_validate({"firmId": FIRM, "name": "All", "aggregation": query})
    assert one.query.limit == 1000
    with pytest.raises(ValidationError):
        Custom.model_validate({"firmId": FIRM, "name": "All", "query": query, "aggregation": query})


def test_a_pdf_has_room_for_so_much(queue: QueueDefinition) -> None:
    wide = {**GOOD["custom"], "format": "pdf"}
    assert refused(queue, "custom", wide) == ["query.columns: has 25 columns, and a page has room for 12"]
    long = {**wide, "query": {"source": "invoices", "columns": ["id"], "limit": 5001}}
    assert refused(queue, "custom", long) == ["query.limit: is more than the 5,000 rows of a PDF"]


def test_what_is_asked_for_is_short_enough_to_be_listed_by_the_hundred(queue: QueueDefinition) -> None:
    def filters(choices: int) -> list[dict[str, Any]]:
        values = [f"{number:03}" + "ع" * 497 for number in range(choices)]
        return [{"column": "number", "operator": "in", "value": values}]

    for choices, fits in ((60, True), (70, False)):
        custom = {**GOOD["custom"], "query": {"source": "invoices", "filters": filters(choices)}}
        export = {**GOOD["data-export"], "filters": filters(choices)}
        for type, data, field in (("custom", custom, "query"), ("data-export", export, "filters")):
            if fits:
                queue.check({"type": type, "data": data})
                continue
            with pytest.raises(PayloadError, match="bytes of JSON; 65,536 are allowed") as caught:
                queue.check({"type": type, "data": data})
            assert caught.value.field == field


def test_names_of_sources_are_taken_as_they_are_written() -> None:
    for name in ("time-entries", "timeEntries", "time_entries"):
        payload = DataExport.model_validate({"firmId": FIRM, "exportType": name, "format": "csv"})
        assert payload.of.name == "time-entries"


def test_jobs_have_the_defaults_of_the_queue(queue: QueueDefinition) -> None:
    options = JobOptions.from_bull({**DEFAULT_JOB_OPTIONS, **queue.job_options}).to_bull()
    assert options["attempts"] == 2
    assert options["backoff"] == {"type": "fixed", "delay": 10_000}
    assert options["timeout"] == 300_000
    assert options["removeOnComplete"] == {"age": 7 * 86_400, "count": 100}
    assert queue.lock_duration == 300


def test_the_payloads_in_the_howto_are_acceptable(queue: QueueDefinition) -> None:
    text = (Path(__file__).parents[2] / "docs/howto/reports.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        queue.check(json.loads(example))
