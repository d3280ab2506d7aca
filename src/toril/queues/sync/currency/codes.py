"""The currencies that rates are kept for."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

SUPPORTED: Final = (
    "SAR", "USD", "EUR", "GBP", "AED", "QAR", "KWD", "BHD", "OMR",
    "JOD", "EGP", "TRY", "JPY", "CNY", "INR", "PKR", "CAD", "AUD",
)  # fmt: skip

#: Riyals for a dollar. Source: the Saudi Central Bank's peg since 1986.
RIYALS_PER_DOLLAR: Final = Decimal("3.75")
