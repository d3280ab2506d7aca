"""Amounts, quantities and dates as they are printed."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

Digits = Literal["latin", "arabic"]

# Currencies whose smallest coin is not a hundredth (ISO 4217), as far as firms in the region bill in them.
_DECIMALS = {"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3, "JPY": 0, "KRW": 0}

# Arabic-Indic digits with their own thousands and decimal separators (Unicode CLDR, locale ar-SA).
_ARABIC = str.maketrans("0123456789,.", "٠١٢٣٤٥٦٧٨٩٬٫")
_ARABIC_DATE = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def rounded(value: Decimal, currency: str) -> Decimal:
    """``value`` to the currency's smallest coin, halves up."""
    return value.quantize(Decimal(1).scaleb(-_DECIMALS.get(currency, 2)), ROUND_HALF_UP)


def amount(value: Decimal, currency: str, digits: Digits) -> str:
    """An amount of money with thousands separators, without the currency."""
    return _in_digits(f"{rounded(value, currency):,f}", digits)


def number(value: Decimal, digits: Digits) -> str:
    """A quantity or a rate: no zeros at the end, at most six decimals."""
    text = f"{round(value, 6):,f}"
    return _in_digits(text.rstrip("0").rstrip(".") if "." in text else text, digits)


def percent(value: Decimal, digits: Digits) -> str:
    """A rate with its sign."""
    return number(value, digits) + ("٪" if digits == "arabic" else "%")


def day(moment: datetime, digits: Digits) -> str:
    """A date as year-month-day, which reads the same in both languages."""
    text = moment.strftime("%Y-%m-%d")
    return text.translate(_ARABIC_DATE) if digits == "arabic" else text


def _in_digits(text: str, digits: Digits) -> str:
    return text.translate(_ARABIC) if digits == "arabic" else text
