"""What a job of the type ``report`` carries."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from toril.queues.base import Payload
from toril.queues.pdf.fields import Currency, Moment, RecordId
from toril.queues.pdf.options import DEFAULT_OPTIONS, OptionsField
from toril.queues.pdf.payloads.chart import Chart
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.payloads.table import MAX_ROWS, Table
from toril.queues.pdf.payloads.values import Kind, KindValue
from toril.queues.pdf.words import NONE, Heading, LongWords, ShortWords


class Figure(Payload):
    """One of the figures at the head of a report, with a remark such as "12 % more than in 2024" under it."""

    label: Heading
    kind: Kind = "amount"
    value: KindValue
    note: ShortWords = NONE


class Section(Payload):
    """A part of a report: its text, then its charts, then its table. Two charts stand side by side."""

    title: ShortWords = NONE
    text: LongWords = NONE
    charts: list[Chart] = Field(default_factory=list, max_length=6)
    table: Table | None = None


class ReportData(Payload):
    """The report itself.

    Attributes:
        period_start, period_end: the days it covers, both included.
        generated_at: when the figures were taken; left out unless given.
        currency: of all amounts.
        firm: whose report it is; looked up by ``firmId`` when missing, if the queue was given a way to.
    """

    title: Heading
    subtitle: ShortWords = NONE
    period_start: Moment | None = None
    period_end: Moment | None = None
    generated_at: Moment | None = None
    currency: Currency = "SAR"
    firm: Seller | None = None
    summary: list[Figure] = Field(default_factory=list, max_length=12)
    sections: list[Section] = Field(default_factory=list, max_length=40)
    notes: LongWords = NONE

    @field_validator("period_end")
    @classmethod
    def _ends_after_its_start(cls, value: Moment | None, info: ValidationInfo) -> Moment | None:
        start = info.data.get("period_start")
        if value is not None and start is not None and value < start:
            raise ValueError("is before periodStart")
        return value

    @field_validator("sections")
    @classmethod
    def _not_too_long(cls, sections: list[Section]) -> list[Section]:
        rows = sum(len(section.table.rows) for section in sections if section.table)
        if rows > MAX_ROWS:
            raise ValueError(f"has {rows} rows in all its tables; at most {MAX_ROWS:,} are printed")
        return sections


class ReportPayload(Payload):
    """Data of a job of type ``report``. ``report_type`` is the sender's word for it, such as ``financial``."""

    report_id: RecordId
    report_type: RecordId
    report_data: ReportData
    options: OptionsField = DEFAULT_OPTIONS
    firm_id: RecordId

    @property
    def firm(self) -> Seller | None:
        """The firm as the job describes it."""
        return self.report_data.firm
