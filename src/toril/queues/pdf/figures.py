"""The arithmetic of an invoice: what its lines come to, and whether the figures sent with it agree.

All of it is exact decimals. Senders round to the smallest coin on each line, so sums over the lines may
differ by a hundredth for each line; the last sum, of two figures, may not be off by more than one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class VatGroup:
    """What is taxed at one rate."""

    rate: Decimal  #: percent
    taxable: Decimal
    vat: Decimal


def line_total(quantity: Decimal, unit_price: Decimal, discount: Decimal) -> Decimal:
    """What a line costs before VAT."""
    return quantity * unit_price - discount


def vat_groups(lines: Iterable[tuple[Decimal, Decimal]]) -> list[VatGroup]:
    """The lines, as (total before VAT, rate in percent), summed by rate; the highest rate first."""
    taxable: dict[Decimal, Decimal] = {}
    for total, rate in lines:
        taxable[rate] = taxable.get(rate, Decimal(0)) + total
    return [
        VatGroup(rate=rate, taxable=base, vat=base * rate / 100)
        for rate, base in sorted(taxable.items(), reverse=True)
    ]


def require_equal(given: Decimal, computed: Decimal, *, what: str, tolerance: Decimal) -> None:
    """Refuse a figure that does not follow from the others.

    Raises:
        ValueError: ``given`` is further than ``tolerance`` from ``computed``; the message has both.
    """
    if abs(given - computed) > tolerance:
        raise ValueError(f"{what} is {plain(computed)}, not {plain(given)}")


def plain(value: Decimal) -> str:
    """A number as a person writes it: no exponent, no zeros at the end beyond hundredths."""
    normal = value.normalize()
    places = max(2, -int(normal.as_tuple().exponent))
    return f"{normal:.{min(places, 6)}f}"
