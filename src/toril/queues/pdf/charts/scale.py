"""Round numbers for an axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis from ``low`` to ``high`` with a mark at every ``step``; both ends are marks."""

    low: Decimal
    high: Decimal
    step: Decimal

    @property
    def marks(self) -> list[Decimal]:
        """Where the marks are."""
        return [self.low + self.step * at for at in range(int((self.high - self.low) / self.step) + 1)]

    def share(self, value: Decimal) -> float:
        """How far along the axis a value is, 0 to 1."""
        return float((value - self.low) / (self.high - self.low))


def scale_of(values: Iterable[Decimal | None], *, marks: int = 5) -> Scale:
    """A scale with zero and all the values on it, and about ``marks`` steps of 1, 2 or 5 times a power of ten.

    Source: P. Heckbert, "Nice numbers for graph labels", Graphics Gems, 1990.
    """
    known = [value for value in values if value is not None]
    low, high = min([Decimal(0), *known]), max([Decimal(0), *known])
    if low == high:
        high = Decimal(1)
    step = _round_step((high - low) / marks)
    return Scale(
        low=(low / step).to_integral_value(ROUND_FLOOR) * step,
        high=(high / step).to_integral_value(ROUND_CEILING) * step,
        step=step,
    )


def _round_step(rough: Decimal) -> Decimal:
    power = Decimal(1).scaleb(rough.adjusted())
    return next(power * factor for factor in (1, 2, 5, 10) if rough <= power * factor)
