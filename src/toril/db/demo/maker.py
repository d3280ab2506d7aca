"""Chance for made-up records: the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from toril.db.demo import words


@dataclass(slots=True)
class Maker:
    """Chance, and the days it may use.

    Attributes:
        today: the last day there is.
        days: how many before it.
    """

    seed: int
    today: date
    days: int
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - sample data

    def id(self) -> str:
        """An id that follows from the seed."""
        return f"{self.chance.getrandbits(96):024x}"

    def day(self, first: int = 0, last: int | None = None) -> date:
        """A day from ``first`` to ``last`` days ago."""
        return self.today - timedelta(days=self.chance.randint(first, self.days if last is None else last))

    def price(self, low: int, high: int) -> Decimal:
        """An amount of which 15 per cent are whole halalas: VAT is then the same for lines and invoices."""
        return Decimal(self.chance.randrange(low * 5, high * 5)) / 5

    def moment(self, day: date) -> datetime:
        """A time in the working hours of a day."""
        return datetime.combine(day, time(6 + self.chance.randrange(8), self.chance.randrange(60)), UTC)

    def person(self) -> tuple[str, str]:
        """A name in Arabic and English."""
        given, family = self.chance.choice(words.GIVEN_NAMES), self.chance.choice(words.FAMILY_NAMES)
        return f"{given[0]} {family[0]}", f"{given[1]} {family[1]}"
