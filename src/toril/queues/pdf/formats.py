"""Amounts, quantities and dates as they are printed."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from toril.queues.currencies import decimals_of

Digits = Literal["latin", "arabic"]

_SIZES = (
    (Decimal(10) ** 9, ("مليار", "B")),
    (Decimal(10) ** 6, ("مليون", "M")),
    (Decimal(10) ** 3, ("ألف", "K")),
)

# Arabic-Indic digits with their own thousands and decimal separators (Unicode CLDR, locale ar-SA).
_ARABIC = str.maketrans("0123456789,.", "٠١٢٣٤٥٦٧٨٩٬٫")
_ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def rounded(value: Decimal, currency: str) -> Decimal:
    """``value`` to the currency's smallest coin, halves up."""
    return value.quantize(Decimal(1).scaleb(-decimals_of(currency)), ROUND_HALF_UP)


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
    return numerals(moment.strftime("%Y-%m-%d"), digits)


def hours(minutes: Decimal, digits: Digits) -> str:
    """A length of time as hours and minutes, such as 12:05."""
    whole = int(minutes.to_integral_value(ROUND_HALF_UP))
    return _in_digits(f"{'-' if whole < 0 else ''}{abs(whole) // 60:,}:{abs(whole) % 60:02}", digits)


def compact(value: Decimal, digits: Digits, language: Literal["ar", "en"]) -> str:
    """A number of two or three digits and a word for its size, for the axis of a chart."""
    for size, words in _SIZES:
        if abs(value) >= size:
            text = number(round(value / size, 1 if abs(value) < 100 * size else 0), digits)
            if language == "en":
                return f"{text}{words[1]}"
            # Left to right by itself, or the sign would go to the other side of the digits.
            return f"\u2066{text}\u2069 {words[0]}" if value < 0 else f"{text} {words[0]}"
    return number(round(value, 2), digits)


def numerals(text: str, digits: Digits) -> str:
    """A text with its digits as asked, and nothing else in it changed."""
    return text.translate(_ARABIC_DIGITS) if digits == "arabic" else text


def _in_digits(text: str, digits: Digits) -> str:
    return text.translate(_ARABIC) if digits == "arabic" else text
