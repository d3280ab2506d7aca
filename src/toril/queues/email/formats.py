"""Amounts, days and counts as the templates print them, in Arabic and English.

Digits are 0-9 in both languages, as in business mail in the region.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from toril.queues.currencies import decimals_of

Language = Literal["ar", "en"]

_MONTHS: Mapping[Language, tuple[str, ...]] = {
    "ar": (
        *("يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو"),
        *("يوليو", "أغسطس", "سبتمبر", "أكتوبر", "نوفمبر", "ديسمبر"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}
_WEEKDAYS: Mapping[Language, tuple[str, ...]] = {
    "ar": ("الاثنين", "الثلاثاء", "الأربعاء", "الخميس", "الجمعة", "السبت", "الأحد"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}

#: What is counted: (one, two, few, many, other) in Arabic, as CLDR's plural rules name them; (one, other) in English.
_UNITS: Mapping[str, tuple[tuple[str, str, str, str, str], tuple[str, str]]] = {
    "minute": (("دقيقة واحدة", "دقيقتين", "دقائق", "دقيقة", "دقيقة"), ("minute", "minutes")),
    "hour": (("ساعة واحدة", "ساعتين", "ساعات", "ساعة", "ساعة"), ("hour", "hours")),
    "day": (("يوم واحد", "يومين", "أيام", "يومًا", "يوم"), ("day", "days")),
}


def money(amount: Decimal, currency: str, language: Language) -> str:
    """An amount with its currency, to the smallest coin, halves up."""
    number = amount.quantize(Decimal(1).scaleb(-decimals_of(currency)), ROUND_HALF_UP)
    if language == "en":
        return f"{currency} {number:,f}"
    return f"{number:,f} {'ر.س' if currency == 'SAR' else currency}"


def day(value: date | datetime, zone: tzinfo, language: Language, *, weekday: bool = False) -> str:
    """A day in words; of a moment, the day it is in ``zone``."""
    local = _local(value, zone) if isinstance(value, datetime) else value
    words = f"{local.day} {_MONTHS[language][local.month - 1]} {local.year}"
    if not weekday:
        return words
    return f"{_WEEKDAYS[language][local.weekday()]}{'،' if language == 'ar' else ','} {words}"


def clock(value: datetime, zone: tzinfo, language: Language) -> str:
    """The time of day in ``zone``, with the zone's offset, since the reader may be elsewhere."""
    local = _local(value, zone)
    hour, minute = (local.hour % 12) or 12, f"{local.minute:02d}"
    if language == "ar":
        half = "صباحًا" if local.hour < 12 else "مساءً"
        return f"{hour}:{minute} {half} ({_offset(local)})"
    return f"{hour}:{minute} {'AM' if local.hour < 12 else 'PM'} ({_offset(local)})"


def count(number: int, unit: str, language: Language) -> str:
    """``number`` of ``unit`` (minute, hour, day), with the form the number asks for."""
    (one, two, few, many, other), (single, plural) = _UNITS[unit]
    if language == "en":
        return f"{number:,} {single if number == 1 else plural}"
    if number in (1, 2):
        return one if number == 1 else two
    rest = number % 100
    return f"{number:,} {few if 3 <= rest <= 10 else many if rest > 10 else other}"


def span(minutes: int, language: Language) -> str:
    """A length of time in the largest unit that tells it exactly."""
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes >= size and minutes % size == 0:
            return count(minutes // size, unit, language)
    return count(minutes, "minute", language)


def _local(value: datetime, zone: tzinfo) -> datetime:
    """``value`` in ``zone``; without a zone of its own it is taken to be there already."""
    return value.astimezone(zone) if value.tzinfo else value.replace(tzinfo=zone)


def _offset(moment: datetime) -> str:
    offset = moment.utcoffset()
    total = int(offset.total_seconds() // 60) if offset else 0
    if not total:
        return "GMT"
    hours, minutes = divmod(abs(total), 60)
    return f"GMT{'+' if total > 0 else '-'}{hours}" + (f":{minutes:02d}" if minutes else "")
