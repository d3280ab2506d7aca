"""What a job of the type ``contract`` carries."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, ValidationInfo, field_validator

from toril.queues.base import Payload
from toril.queues.pdf.fields import Currency, Moment, RecordId, ShortText
from toril.queues.pdf.options import DEFAULT_OPTIONS, OptionsField
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.payloads.table import MAX_ROWS, Table
from toril.queues.pdf.words import NONE, ClauseWords, Heading, LineWords, LongWords, ShortWords

MAX_CLAUSES = 1000
MAX_DEPTH = 4


class Party(Payload):
    """One side of a contract.

    Attributes:
        role: what the contract calls it, such as "First party".
        identification: of what kind its number is, such as "C.R. no."
        representative: who signs for it, as what.
    """

    role: Heading
    name: Heading
    identification: ShortWords = NONE
    id_number: ShortText = ""
    address: LineWords = NONE
    phone: ShortText = ""
    email: ShortText = ""
    representative: ShortWords = NONE
    representative_title: ShortWords = NONE


class Clause(Payload):
    """A numbered clause with a heading, a text or both, and clauses under it, up to four deep."""

    title: ShortWords = NONE
    text: ClauseWords = NONE
    clauses: list[Clause] = Field(
        default_factory=list, validate_default=True, max_length=MAX_CLAUSES, fail_fast=True
    )

    @field_validator("clauses")
    @classmethod
    def _says_something(cls, value: list[Clause], info: ValidationInfo) -> list[Clause]:
        if {"title", "text"} <= info.data.keys() and not (info.data["title"] or info.data["text"] or value):
            raise ValueError("a clause needs a title, a text or clauses under it")
        return value


class Schedule(Payload):
    """An annex, on a page of its own, with clauses numbered from 1."""

    title: Heading
    text: ClauseWords = NONE
    clauses: list[Clause] = Field(default_factory=list, max_length=MAX_CLAUSES, fail_fast=True)
    table: Table | None = None


class Witness(Payload):
    """Who signs as a witness."""

    name: Heading
    id_number: ShortText = ""


class ContractData(Payload):
    """The contract itself.

    Attributes:
        date, place: of signing; a line to fill in is left for what is missing.
        preamble: what stands before the clauses.
        currency: of amounts in schedules.
        firm: the firm at the head of the first page; looked up by ``firmId`` when missing, if the queue was
            given a way to.
        letterhead: whether the firm stands there at all.
    """

    title: Heading
    contract_number: ShortText = ""
    date: Moment | None = None
    place: ShortWords = NONE
    reference: ShortText = ""
    parties: list[Party] = Field(min_length=1, max_length=12)
    preamble: LongWords = NONE
    clauses: list[Clause] = Field(min_length=1, max_length=MAX_CLAUSES, fail_fast=True)
    schedules: list[Schedule] = Field(default_factory=list, max_length=30)
    witnesses: list[Witness] = Field(default_factory=list, max_length=8)
    currency: Currency = "SAR"
    firm: Seller | None = None
    letterhead: bool = True

    @field_validator("clauses")
    @classmethod
    def _clauses_fit(cls, value: list[Clause]) -> list[Clause]:
        return _checked(value)

    @field_validator("schedules")
    @classmethod
    def _schedules_fit(cls, value: list[Schedule]) -> list[Schedule]:
        _checked([clause for schedule in value for clause in schedule.clauses])
        rows = sum(len(schedule.table.rows) for schedule in value if schedule.table)
        if rows > MAX_ROWS:
            raise ValueError(f"has {rows} rows in all its tables; at most {MAX_ROWS:,} are printed")
        return value


class ContractPayload(Payload):
    """Data of a job of type ``contract``."""

    contract_id: RecordId
    contract_data: ContractData
    options: OptionsField = DEFAULT_OPTIONS
    firm_id: RecordId

    @property
    def firm(self) -> Seller | None:
        """The firm as the job describes it."""
        return self.contract_data.firm


def _checked(clauses: list[Clause]) -> list[Clause]:
    level: Sequence[Clause] = clauses
    count = depth = 0
    while level:
        depth += 1
        count += len(level)
        if depth > MAX_DEPTH:
            raise ValueError(f"has clauses more than {MAX_DEPTH} deep")
        level = [child for clause in level for child in clause.clauses]
    if count > MAX_CLAUSES:
        raise ValueError(f"has {count} clauses; at most {MAX_CLAUSES:,} are printed")
    return clauses
