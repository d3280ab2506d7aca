"""What a job of the type ``statement`` carries."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from toril.queues.base import Payload
from toril.queues.pdf import figures
from toril.queues.pdf.fields import (
    CLEAN,
    Amount,
    Currency,
    LineText,
    LongText,
    Moment,
    NaturalAmount,
    RecordId,
    ShortText,
)
from toril.queues.pdf.options import DEFAULT_OPTIONS, OptionsField
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.words import NONE, LineWords

MAX_ENTRIES = 5000

_Side = Annotated[NaturalAmount, BeforeValidator(lambda value: value or 0)]


class Entry(Payload):
    """One line of an account: what the client was charged (debit) or paid (credit).

    Attributes:
        kind: a word for it; ``description`` says more.
        balance: what was owed after it. Worked out when missing, checked when given.
    """

    date: Moment
    kind: Literal["invoice", "payment", "credit", "refund", "adjustment", "other"] = "other"
    reference: ShortText = ""
    description: LineWords = NONE
    debit: _Side = Decimal(0)
    credit: _Side = Field(Decimal(0), validate_default=True)
    balance: Amount | None = None

    @field_validator("credit")
    @classmethod
    def _on_one_side(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        if "debit" in info.data and (value > 0) == (info.data["debit"] > 0):
            raise ValueError("one of debit and credit must be above zero, and only one")
        return value


class Ageing(Payload):
    """What is owed by how long it has been due, in days.

    Attributes:
        unallocated: paid, but not yet set against an invoice; taken off the rest.
    """

    current: NaturalAmount = Decimal(0)
    days_30: NaturalAmount = Field(Decimal(0), alias="30")
    days_60: NaturalAmount = Field(Decimal(0), alias="60")
    days_90: NaturalAmount = Field(Decimal(0), alias="90")
    over_90: NaturalAmount = Field(Decimal(0), alias="90plus")
    unallocated: NaturalAmount = Decimal(0)

    @property
    def buckets(self) -> list[Decimal]:
        """The five amounts, the newest first."""
        return [self.current, self.days_30, self.days_60, self.days_90, self.over_90]


class StatementData(Payload):
    """The account of one client. Figures are checked against each other in the order they stand here.

    Attributes:
        date: the day it was drawn up.
        opening_balance: what was owed before the first entry; negative if the firm owed the client.
        closing_balance: what is owed after the last. Worked out when missing, checked when given.
        firm: the sender; looked up by ``firmId`` when missing, if the queue was given a way to.
    """

    statement_number: Annotated[str, StringConstraints(max_length=50), CLEAN] = ""
    date: Moment
    period_start: Moment | None = None
    period_end: Moment | None = None
    client_name: Annotated[str, StringConstraints(min_length=1, max_length=300), CLEAN]
    client_email: ShortText = ""
    client_phone: ShortText = ""
    client_address: LineText = ""
    client_vat_number: ShortText = ""
    reference: ShortText = ""
    currency: Currency = "SAR"
    opening_balance: Amount = Decimal(0)
    entries: list[Entry] = Field(default_factory=list, max_length=MAX_ENTRIES, fail_fast=True)
    closing_balance: Amount = Field(None, validate_default=True)
    ageing: Ageing | None = None
    notes: LongText = ""
    payment_terms: LongText = ""
    firm: Seller | None = None

    @property
    def total_debit(self) -> Decimal:
        """What was charged in all."""
        return sum((entry.debit for entry in self.entries), Decimal(0))

    @property
    def total_credit(self) -> Decimal:
        """What was paid in all."""
        return sum((entry.credit for entry in self.entries), Decimal(0))

    @property
    def balances(self) -> list[Decimal]:
        """What was owed after each entry."""
        return _balances(self.opening_balance, self.entries)

    @field_validator("period_end")
    @classmethod
    def _ends_after_its_start(cls, value: Moment | None, info: ValidationInfo) -> Moment | None:
        start = info.data.get("period_start")
        if value is not None and start is not None and value < start:
            raise ValueError("is before periodStart")
        return value

    @field_validator("entries")
    @classmethod
    def _entries_follow(cls, entries: list[Entry], info: ValidationInfo) -> list[Entry]:
        for at in range(1, len(entries)):
            if entries[at].date.date() < entries[at - 1].date.date():
                raise ValueError(f"entry {at} is of a day before that of the entry above it")
        if "opening_balance" in info.data:
            balances = _balances(info.data["opening_balance"], entries)
            for at, (entry, balance) in enumerate(zip(entries, balances, strict=True)):
                if entry.balance is not None:
                    what = f"entry {at}: the balance"
                    figures.require_equal(entry.balance, balance, what=what, tolerance=figures.CENT)
        return entries

    @field_validator("closing_balance", mode="before")
    @classmethod
    def _work_out_closing_balance(cls, value: Any, info: ValidationInfo) -> Any:
        return _closing(info.data) if value is None else value

    @field_validator("closing_balance")
    @classmethod
    def _closing_balance_follows(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        if {"opening_balance", "entries"} <= info.data.keys():
            what = "the opening balance with all entries"
            figures.require_equal(value, _closing(info.data), what=what, tolerance=figures.CENT)
        return value

    @field_validator("ageing")
    @classmethod
    def _ageing_adds_up(cls, value: Ageing | None, info: ValidationInfo) -> Ageing | None:
        if value is not None and "closing_balance" in info.data:
            figures.require_equal(
                info.data["closing_balance"],
                sum(value.buckets, Decimal(0)) - value.unallocated,
                what="the sum of the ageing, less what is unallocated,",
                tolerance=figures.CENT * 5,
            )
        return value


class StatementPayload(Payload):
    """Data of a job of type ``statement``."""

    statement_id: RecordId
    statement_data: StatementData
    options: OptionsField = DEFAULT_OPTIONS
    firm_id: RecordId

    @property
    def firm(self) -> Seller | None:
        """The firm as the job describes it."""
        return self.statement_data.firm


def _balances(opening: Decimal, entries: list[Entry]) -> list[Decimal]:
    balances, owed = [], opening
    for entry in entries:
        owed += entry.debit - entry.credit
        balances.append(owed)
    return balances


def _closing(known: dict[str, Any]) -> Decimal:
    if not {"opening_balance", "entries"} <= known.keys():
        return Decimal(0)  # a field before has its own error
    opening: Decimal = known["opening_balance"]
    return [opening, *_balances(opening, known["entries"])][-1]
