"""What jobs of the ``report`` queue carry, checked before anything is read: one model a type."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from toril.errors import PayloadError
from toril.queues.base import Payload
from toril.queues.days import Day, day_in
from toril.queues.report.catalogue import find_source, no_such_source
from toril.queues.report.fields import (
    NONE_IS_EMPTY,
    Currency,
    RecordId,
    problem,
    problems_at,
    storable,
)
from toril.queues.report.filters import (
    MAX_FILTERS,
    Condition,
    Filter,
    Problems,
    filters_of_object,
    read_filters,
)
from toril.queues.report.kinds import Source
from toril.queues.report.queries.calendar import Span
from toril.queues.report.query import Query

#: Bytes of JSON of a query or of filters: they are saved with the report, and reports are listed by the hundred.
MAX_ASKED: Final = 64 * 1024
MAX_DAYS: Final = 3660  #: of a period: ten years
MAX_STAFF: Final = 500
MAX_PDF_COLUMNS: Final = 12
MAX_PDF_ROWS: Final = 5000

#: Zone of the days in a payload while the firm's is not known.
_RIYADH: Final = ZoneInfo("Asia/Riyadh")

METRICS: Final = ("casesByStatus", "casesByType", "newClients", "hoursBilled")


def _default(default: str) -> BeforeValidator:
    """Null is not given."""
    return BeforeValidator(lambda value: default if value is None else value)


Format = Annotated[Literal["json", "pdf"], _default("json")]


class ReportRequest(Payload):
    """What every report is asked with.

    Attributes:
        report_id: the saved report that is waiting for this job, if there is one; else the job saves one.
    """

    firm_id: RecordId
    report_id: RecordId | None = None


class PeriodRequest(ReportRequest):
    """A report of a period. Both days belong to it, in the firm's time zone."""

    start_date: Day
    end_date: Day

    @field_validator("end_date")
    @classmethod
    def _in_order(cls, value: Any, info: ValidationInfo) -> Any:
        if "start_date" in info.data:
            days = day_in(value, _RIYADH) - day_in(info.data["start_date"], _RIYADH)
            if days < timedelta(0):
                raise problem("is before startDate")
            if days >= timedelta(days=MAX_DAYS):
                raise problem(f"is more than {MAX_DAYS:,} days after startDate")
        return value

    def span(self, zone: ZoneInfo) -> Span:
        """The days of the period.

        Raises:
            PayloadError: in this zone there are none.
        """
        span = Span(day_in(self.start_date, zone), day_in(self.end_date, zone))
        if span.last < span.first:
            raise PayloadError(f"endDate: is before startDate in {zone.key}", field="endDate")
        return span


class Financial(PeriodRequest):
    """Revenue, payments, expenses, net profit and what is outstanding; by month and by client."""

    format: Format = "json"
    currency: Annotated[Currency, _default("SAR")] = "SAR"


class Analytics(PeriodRequest):
    """Cases by status and type, new clients, hours billed."""

    format: Format = "json"
    metrics: Annotated[list[str], Field(max_length=20), NONE_IS_EMPTY] = Field(
        default_factory=lambda: [*METRICS]
    )

    @field_validator("metrics")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        known = {name.lower(): name for name in METRICS}
        found = []
        for given in value:
            name = known.get(re.sub(r"[-_\s]", "", given).lower())
            if name is None:
                raise problem(f"there is no metric {given[:40]!r} (there are {', '.join(METRICS)})")
            found.append(name)
        return list(dict.fromkeys(found)) or [*METRICS]


class TimeUtilization(PeriodRequest):
    """Minutes, billable and not, and utilisation, person by person."""

    format: Format = "json"
    staff_ids: Annotated[list[RecordId], Field(max_length=MAX_STAFF, fail_fast=True), NONE_IS_EMPTY] = Field(
        default_factory=list
    )


class ClientAging(ReportRequest):
    """Unpaid invoices by how long they are overdue, in all and by client."""

    format: Format = "json"
    currency: Annotated[Currency, _default("SAR")] = "SAR"


class Custom(ReportRequest):
    """The rows of a declarative query, sent as ``query`` or as ``aggregation``."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(storable)]
    query: Annotated[Query, Field(validation_alias=AliasChoices("query", "aggregation"))]
    format: Format = "json"

    @model_validator(mode="after")
    def _fits_a_page(self) -> Custom:
        if self.format == "pdf" and len(self.query.outputs) > MAX_PDF_COLUMNS:
            text = f"has {len(self.query.outputs)} columns, and a page has room for {MAX_PDF_COLUMNS}"
            raise problems_at([(text, ("query", "columns"))])
        if self.format == "pdf" and self.query.limit > MAX_PDF_ROWS:
            raise problems_at([(f"is more than the {MAX_PDF_ROWS:,} rows of a PDF", ("query", "limit"))])
        _keep_short(self.query.model_dump_json(exclude_unset=True), "query")
        return self


class DataExport(ReportRequest):
    """All records of a kind, in a file.

    Attributes:
        export_type: a source, such as ``invoices`` or ``time-entries``.
        filters: an object, see ``filters_of_object``, or a list of ``{column, operator, value}``.
    """

    export_type: Annotated[str, Field(max_length=40)]
    format: Literal["csv", "json", "xlsx", "parquet", "pdf"]
    filters: Annotated[dict[str, Any] | list[Any], NONE_IS_EMPTY] = Field(default_factory=list)

    _source: Source | None = PrivateAttr(default=None)
    _conditions: list[Condition] = PrivateAttr(default_factory=list)

    @property
    def of(self) -> Source:
        """What is exported."""
        assert self._source is not None
        return self._source

    @property
    def conditions(self) -> list[Condition]:
        """The filters, checked."""
        return self._conditions

    @model_validator(mode="after")
    def _fits_its_source(self) -> DataExport:
        source = find_source(self.export_type)
        if source is None:
            raise problems_at([(no_such_source(self.export_type), ("exportType",))])
        self._source = source
        problems: Problems = []
        self._conditions = read_filters(_filters(self.filters, source, problems), source, problems)
        if problems:
            raise problems_at(problems)
        _keep_short(self.model_dump_json(include={"filters"}), "filters")
        return self


def _keep_short(asked: str, field: str) -> None:
    if (size := len(asked.encode())) > MAX_ASKED:
        raise problems_at([(f"has {size:,} bytes of JSON; {MAX_ASKED:,} are allowed", (field,))])


def _filters(
    given: dict[str, Any] | list[Any], source: Source, problems: Problems
) -> list[tuple[tuple[str | int, ...], Filter]]:
    """Filters in either form, each with its path."""
    forms: list[tuple[tuple[str | int, ...], Any]] = (
        [(path, each) for path, each in filters_of_object(given, source)]
        if isinstance(given, dict)
        else [((at,), each) for at, each in enumerate(given)]
    )
    if len(forms) > MAX_FILTERS:
        problems.append((f"has {len(forms)} conditions, of which {MAX_FILTERS} are taken", ("filters",)))
        return []
    found: list[tuple[tuple[str | int, ...], Filter]] = []
    for path, each in forms:
        try:
            found.append((("filters", *path), Filter.model_validate(each)))
        except ValidationError as error:
            for one in error.errors(include_url=False, include_context=False, include_input=False):
                problems.append((one["msg"], ("filters", *path, *one["loc"])))
    return found
