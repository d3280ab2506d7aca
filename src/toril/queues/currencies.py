"""How many decimals money has, by currency: one table for what is counted, printed and mailed."""

from __future__ import annotations

from typing import Final

#: Decimals of currencies whose smallest unit is not a hundredth. Source: ISO 4217.
_DECIMALS: Final = {"JPY": 0, "KRW": 0, "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3}


def decimals_of(currency: str) -> int:
    """Decimals of an amount in a currency, by its code of ISO 4217."""
    return _DECIMALS.get(currency, 2)
