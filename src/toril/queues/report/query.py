"""The declarative query of a ``custom`` report: rows of a source, or figures of its groups.

A query names what it wants from a list of what there is; nothing in it is ever part of an SQL text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator
from pydantic.alias_generators import to_camel

from toril.db.types import MONEY_SCALE
from toril.queues.base import Payload
from toril.queues.report.catalogue import find_source, no_such_column, no_such_source
from toril.queues.report.fields import NONE_IS_EMPTY, Name, problems_at
from toril.queues.report.filters import MAX_FILTERS, Condition, Filter, Problems, read_filters
from toril.queues.report.kinds import Column, Kind, Source

MAX_ROWS: Final = 10_000
DEFAULT_ROWS: Final = 1000

Function = Literal["count", "sum", "avg", "min", "max", "count_distinct"]
Part = Literal["day", "month", "year"]

_NUMBERS: Final = frozenset({Kind.INTEGER, Kind.DECIMAL})
_TIMES: Final = frozenset({Kind.DATE, Kind.MOMENT})
#: What each function can be asked of; the others take anything.
_TAKES: Final = {"sum": _NUMBERS, "avg": _NUMBERS, "min": _NUMBERS | _TIMES, "max": _NUMBERS | _TIMES}


class Group(Payload):
    """A column whose values make groups; ``by`` makes a date its day, month or year."""

    column: Name
    by: Part | None = None


class Measure(Payload):
    """A figure of each group. ``count`` without a column counts rows."""

    function: Function
    column: Name | None = None
    name: Annotated[Name | None, Field(alias="as")] = None


class Order(Payload):
    """What comes first; ``by`` is the name of something in the result."""

    by: Name
    direction: Literal["asc", "desc"] = "asc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One value of each row of the result.

    Attributes:
        name: what it is called in the result.
        column: where it comes from; None for the number of rows.
        kind, scale: what its values are.
        by: part of a date.
        function: None when it is no measure.
        is_named: whether the sender chose the name.
    """

    name: str
    column: Column | None
    kind: Kind
    scale: int = 0
    by: Part | None = None
    function: Function | None = None
    is_named: bool = False


def _named(key: str) -> BeforeValidator:
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


class Query(Payload):
    """What is wanted: ``columns`` of rows, or ``measures`` of groups.

    Attributes:
        columns: all of the source, unless given or something is measured.
        group_by: a column's name, or ``{column, by}``.
        order: names, or ``{by, direction}``.
    """

    source: Annotated[str, Field(max_length=40)]
    columns: Annotated[list[Name], Field(max_length=40), NONE_IS_EMPTY] = Field(default_factory=list)
    filters: Annotated[list[Filter], Field(max_length=MAX_FILTERS), NONE_IS_EMPTY] = Field(
        default_factory=list
    )
    group_by: Annotated[list[Annotated[Group, _named("column")]], Field(max_length=5), NONE_IS_EMPTY] = Field(
        default_factory=list
    )
    measures: Annotated[list[Measure], Field(max_length=20), NONE_IS_EMPTY] = Field(default_factory=list)
    order: Annotated[list[Annotated[Order, _named("by")]], Field(max_length=5), NONE_IS_EMPTY] = Field(
        default_factory=list
    )
    limit: Annotated[int, Field(ge=1, le=MAX_ROWS, strict=True)] = DEFAULT_ROWS

    _source: Source | None = PrivateAttr(default=None)
    _conditions: list[Condition] = PrivateAttr(default_factory=list)
    _outputs: list[Output] = PrivateAttr(default_factory=list)

    @property
    def of(self) -> Source:
        """The source."""
        assert self._source is not None
        return self._source

    @property
    def conditions(self) -> list[Condition]:
        """The filters, checked."""
        return self._conditions

    @property
    def outputs(self) -> list[Output]:
        """The values of each row, in order: groups first, then measures."""
        return self._outputs

    @property
    def is_grouped(self) -> bool:
        """Whether the rows are groups of the source's."""
        return bool(self.group_by or self.measures)

    @model_validator(mode="after")
    def _fits_its_source(self) -> Query:
        source = find_source(self.source)
        if source is None:
            raise problems_at([(no_such_source(self.source), ("source",))])
        problems: Problems = []
        if self.is_grouped and self.columns:
            problems.append(("is for queries that neither group nor measure", ("columns",)))
        self._source = source
        paths = [("filters", at) for at in range(len(self.filters))]
        self._conditions = read_filters(list(zip(paths, self.filters, strict=True)), source, problems)
        if self.is_grouped:
            outputs = [*_groups(self.group_by, source, problems), *_measures(self.measures, source, problems)]
        else:
            outputs = _plain(self.columns, source, problems)
        self._outputs = outputs
        names = [output.name for output in outputs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            path = "measures" if self.measures else "groupBy" if self.group_by else "columns"
            problems.append(
                (f"{twice!r} is in the result twice: give a measure another name with 'as'", (path,))
            )
        for at, order in enumerate(self.order):
            if order.by not in names and not problems:
                known = ", ".join(names)
                problems.append(
                    (f"{order.by!r} is not in the result, which has {known}", ("order", at, "by"))
                )
        if problems:
            raise problems_at(problems)
        return self


def _plain(names: list[str], source: Source, problems: Problems) -> list[Output]:
    outputs = []
    for at, name in enumerate(names or source.columns):
        if (column := source.columns.get(name)) is None:
            problems.append((no_such_column(source, name), ("columns", at)))
        else:
            outputs.append(Output(name=name, column=column, kind=column.kind, scale=column.scale))
    return outputs


def _groups(groups: list[Group], source: Source, problems: Problems) -> list[Output]:
    outputs = []
    for at, group in enumerate(groups):
        column = source.columns.get(group.column)
        if column is None:
            problems.append((no_such_column(source, group.column), ("groupBy", at, "column")))
        elif group.by and column.kind not in _TIMES:
            problems.append((f"{column.name} is no date", ("groupBy", at, "by")))
        else:
            kind = column.kind if not group.by else Kind.DATE if group.by == "day" else Kind.TEXT
            name = group.by if group.by else column.name
            outputs.append(Output(name=name, column=column, kind=kind, scale=column.scale, by=group.by))
    return outputs


def _measures(measures: list[Measure], source: Source, problems: Problems) -> list[Output]:
    outputs = []
    for at, measure in enumerate(measures):
        column = None
        if measure.column is not None:
            column = source.columns.get(measure.column)
            if column is None:
                problems.append((no_such_column(source, measure.column), ("measures", at, "column")))
                continue
        elif measure.function != "count":
            problems.append((f"{measure.function} needs a column", ("measures", at, "column")))
            continue
        if column and column.kind not in _TAKES.get(measure.function, frozenset(Kind)):
            problems.append(
                (
                    f"{column.name} is of the kind {column.kind}: no {measure.function} of it",
                    ("measures", at, "function"),
                )
            )
            continue
        outputs.append(_measured(measure, column))
    return outputs


def _measured(measure: Measure, column: Column | None) -> Output:
    name = measure.name or to_camel(f"{measure.function}_{column.name}" if column else "count")
    kind, scale = Kind.INTEGER, 0
    if column and measure.function in ("sum", "min", "max"):
        kind, scale = column.kind, column.scale
    elif column and measure.function == "avg":
        # Of money one more than the third that most currencies do not have.
        kind, scale = Kind.DECIMAL, column.scale + (1 if column.scale == MONEY_SCALE else 2)
    named = measure.name is not None
    return Output(name=name, column=column, kind=kind, scale=scale, function=measure.function, is_named=named)
