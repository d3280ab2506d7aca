"""Queries made up at random: what is not on the list never passes, and no firm sees another's records."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.support.databases import KINDS, Databases
from tests.support.records import add_user
from tests.support.report_jobs import ReportJob, reports
from tests.support.report_ledger import add_books, worked

from toril.db.base import Base
from toril.db.models import Contract, Firm
from toril.db.session import Database
from toril.errors import TorilError
from toril.queues.report.catalogue import SOURCES
from toril.queues.report.filters import OPERATORS
from toril.queues.report.kinds import Column, Kind
from toril.queues.report.payloads import Custom

MARK = "OTHERFIRM"

#: What somebody may try to reach, beside the names there are.
FOREIGN = [
    "passwordHash",
    "password_hash",
    "firmId",
    "firm_id",
    "answer",
    "raw",
    "clauses",
    "id; --",
    "*",
    "c0",
    "firms.id",
]


def everything(bad: bool) -> st.SearchStrategy[str]:
    known = sorted({name for source in SOURCES.values() for name in source.columns})
    return st.sampled_from([*known, *(FOREIGN if bad else [])])


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["2026-01-01", MARK]),
)
_NAMES = st.one_of(everything(True), st.text(max_size=12))
_ANYTHING = st.fixed_dictionaries(
    {"source": st.one_of(st.sampled_from([*SOURCES, "users", "firms", "sessions"]), st.text(max_size=10))},
    optional={
        "columns": st.lists(_NAMES, max_size=4),
        "filters": st.lists(
            st.fixed_dictionaries(
                {"column": _NAMES},
                optional={
                    "operator": st.sampled_from(
                        ["eq", "in", "contains", "between", "is_null", "like", "; DROP"]
                    ),
                    "value": st.one_of(_SCALARS, st.lists(_SCALARS, max_size=3)),
                },
            ),
            max_size=2,
        ),
        "groupBy": st.lists(_NAMES, max_size=2),
        "measures": st.lists(
            st.fixed_dictionaries(
                {"function": st.sampled_from(["count", "sum", "avg", "min", "max", "pg_sleep"])},
                optional={"column": _NAMES, "as": _NAMES},
            ),
            max_size=2,
        ),
        "order": st.lists(_NAMES, max_size=2),
        "limit": st.integers(-5, 20_000),
        "sql": st.just("SELECT 1"),
    },
)


@settings(max_examples=400, deadline=None)
@given(query=_ANYTHING)
def test_only_what_is_on_the_list_is_ever_asked_for(query: dict[str, Any]) -> None:
    try:
        payload = Custom.model_validate({"firmId": "5" * 24, "name": "Any", "query": query})
    except ValueError:
        return
    source = payload.query.of
    asked = [output.column for output in payload.query.outputs] + [
        each.column for each in payload.query.conditions
    ]
    assert all(column is None or source.columns[column.name] is column for column in asked)
    assert "sql" not in query
    assert 1 <= payload.query.limit <= 10_000


def values(column: Column) -> st.SearchStrategy[Any]:
    """Values that a column can be compared with."""
    return {
        Kind.TEXT: st.sampled_from([MARK, "Amal", "%", "SAR"]) | st.text("aA%_'\\", max_size=3),
        Kind.ID: st.sampled_from(["0" * 24, "f" * 24]),
        Kind.CHOICE: st.sampled_from(column.choices or ("",)),
        Kind.INTEGER: st.integers(-(2**31) + 1, 2**31 - 1),
        Kind.DECIMAL: st.decimals(-(10**4), 10**4, places=min(column.scale, 2)).map(str)
        if column.precision > 6
        else st.integers(0, 99),
        Kind.DATE: st.dates().filter(lambda day: 1980 <= day.year < 2200).map(str),
        Kind.MOMENT: st.dates()
        .filter(lambda day: 1980 <= day.year < 2200)
        .map(lambda day: f"{day}T21:00:00Z"),
        Kind.YES_NO: st.booleans(),
    }[column.kind]


@st.composite
def filters(draw: st.DrawFn, columns: list[Column]) -> dict[str, Any]:
    column = draw(st.sampled_from(columns))
    operator = draw(st.sampled_from(sorted(OPERATORS[column.kind])))
    one = values(column)
    value = {
        "is_null": st.booleans(),
        "in": st.lists(one, min_size=1, max_size=3),
        "between": st.tuples(one, one).map(list),
    }
    return {"column": column.name, "operator": operator, "value": draw(value.get(operator, one))}


@st.composite
def queries(draw: st.DrawFn) -> dict[str, Any]:
    """Queries that are acceptable."""
    source = SOURCES[draw(st.sampled_from(sorted(SOURCES)))]
    columns = list(source.columns.values())
    some = st.lists(st.sampled_from(columns), min_size=1, max_size=4, unique_by=lambda column: column.name)
    query: dict[str, Any] = {"source": source.name, "limit": draw(st.integers(1, 50))}
    query["filters"] = draw(st.lists(filters(columns), max_size=2))
    if draw(st.booleans()):
        query["columns"] = names = [column.name for column in draw(some)]
    else:
        groups = draw(some)
        times = [column for column in groups if column.kind in (Kind.DATE, Kind.MOMENT)][:1]
        query["groupBy"] = [
            {"column": column.name, "by": draw(st.sampled_from(["day", "month", "year"]))}
            if column in times
            else column.name
            for column in groups
        ]
        names = [each["by"] if isinstance(each, dict) else each for each in query["groupBy"]]
        query["measures"] = [{"function": "count", "as": "rowCount"}]
        for at, column in enumerate(draw(some)):
            able = ["count", "count_distinct"]
            if column.kind in (Kind.INTEGER, Kind.DECIMAL):
                able += ["sum", "avg"]
            if column.kind in (Kind.INTEGER, Kind.DECIMAL, Kind.DATE, Kind.MOMENT):
                able += ["min", "max"]
            measure = {"function": draw(st.sampled_from(able)), "column": column.name, "as": f"m{at}"}
            query["measures"].append(measure)
            names.append(f"m{at}")
    query["order"] = draw(
        st.lists(
            st.fixed_dictionaries(
                {"by": st.sampled_from(names), "direction": st.sampled_from(["asc", "desc"])}
            ),
            max_size=2,
        )
    )
    return query


async def two_firms(url: str) -> tuple[str, str]:
    """Store the same books for two firms, one with a mark in every text; their ids."""
    async with Database(url) as database, database.session() as session:
        firms = []
        for _ in range(2):
            firm, client, _ = await add_books(session)
            await worked(session, firm, await add_user(session, firm), "2026-01-01", 10)
            session.add(Contract(firm_id=firm.id, client_id=client.id, number="1", title="A contract"))
            await session.flush()
            firms.append(firm)
        own, other = firms
        for model in (each.class_ for each in Base.registry.mappers):
            if not hasattr(model, "firm_id") or model is Firm:
                continue
            for record in (await session.scalars(select(model).where(model.firm_id == other.id))).all():
                for name in ("notes", "description", "title", "name", "category"):
                    if hasattr(record, name):
                        setattr(record, name, MARK)
        return own.id, other.id


@pytest.fixture(scope="module", params=KINDS)
def books(request: pytest.FixtureRequest, databases: Databases) -> tuple[str, str, str]:
    """URL of a database with two firms, and their ids."""

    async def make() -> tuple[str, str, str]:
        url = await databases.fresh(request.param)
        return (url, *await two_firms(url))

    return asyncio.run(make())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries())
def test_every_query_works_and_tells_nothing_of_another_firm(
    query: dict[str, Any], books: tuple[str, str, str], tmp_path: Path
) -> None:
    url, own, other = books

    async def ask() -> dict[str, Any]:
        async with Database(url) as database:
            return await reports(database, tmp_path).process(
                ReportJob("custom", firmId=own, name="Made up", query=query)
            )

    try:
        result = asyncio.run(ask())
    except TorilError as error:
        raise AssertionError(f"{query} was refused: {error}") from error
    text = json.dumps(result["rows"])
    assert MARK not in text
    assert other not in text
    assert len(result["rows"]) <= query["limit"]
