"""Values of reports, tables and charts as they are printed, by what they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from toril.queues.pdf import formats
from toril.queues.pdf.formats import Digits
from toril.queues.pdf.payloads.values import Kind, Measure, Value
from toril.queues.pdf.words import Words

DASH = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Printer:
    """Prints values for one page: in its digits, its currency and, where there are words, its language."""

    digits: Digits
    currency: str
    language: Literal["ar", "en"]

    def value(self, value: Value, kind: Kind) -> str | Words:
        """A value as it stands in a table; a dash for none."""
        if value is None:
            return DASH
        if isinstance(value, Words):
            return value or DASH
        if isinstance(value, datetime):
            return formats.day(value, self.digits)
        return self.measure(value, kind)

    def measure(self, value: Decimal, kind: Kind) -> str:
        """A number in full."""
        match kind:
            case "amount":
                return formats.amount(value, self.currency, self.digits)
            case "percent":
                return formats.percent(round(value, 1), self.digits)
            case "minutes":
                return formats.hours(value, self.digits)
            case _:
                return formats.number(value, self.digits)

    def short(self, value: Decimal, kind: Measure) -> str:
        """A number in the room that a chart has for it; of a length of time, in hours."""
        if kind == "percent":
            return formats.percent(round(value, 1), self.digits)
        return formats.compact(value, self.digits, self.language)
