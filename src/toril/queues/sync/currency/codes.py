"""The currencies that rates are kept for, and how many decimals money has."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

SUPPORTED: Final = (
    "SAR", "USD", "EUR", "GBP", "AED", "QAR", "KWD", "BHD", "OMR",
    "JOD", "EGP", "TRY", "JPY", "CNY", "INR", "PKR", "CAD", "AUD",
)  # fmt: skip

#: Decimals of currencies whose smallest unit is not a hundredth. Source: ISO 4217.
_DECIMALS: Final = {"JPY": 0, "KRW": 0, "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3}

#: Riyals for a dollar. Source: the Saudi Central Bank's peg since 1986.
RIYALS_PER_DOLLAR: Final = Decimal("3.75")


def decimals_of(currency: str) -> int:
    """Decimals of an amount in a currency, by its code of ISO 4217."""
    return _DECIMALS.get(currency, 2)
