"""The kinds of values in a document's payload: text, money, moments, numbers of accounts, pictures.

Each is an annotated type: what a JavaScript application sends goes in, a clean Python value comes out, and
what cannot be meant is refused with a message that says what is expected.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from toril.queues.pdf.renderers.base import Margins
from toril.queues.texts import without_control_characters

RIYADH = timezone(timedelta(hours=3), "Asia/Riyadh")  # no summer time, so a fixed offset is exact

_MAX_AMOUNT = Decimal(10) ** 12
_MAX_LOGO_BYTES = 512 * 1024
_MAX_LOGO_SIDE = 4096


def clean(value: Any) -> Any:
    """Drop characters without a shape (control codes, lone surrogates) that break a page; null is no text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    return without_control_characters(value)


def decimal(value: Any) -> Decimal:
    """An exact number.

    Raises:
        ValueError: it is not a number, or beyond any amount of money.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise ValueError("expected a number, or a string with a plain number such as 1234.50")
    try:
        # str() of a float is the shortest text that means it, so 0.1 stays 0.1.
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a plain number such as 1234.50") from None
    if not number.is_finite():
        raise ValueError("expected a finite number")
    if abs(number) >= _MAX_AMOUNT:
        raise ValueError(f"{value!r} is larger than {_MAX_AMOUNT:,}")
    if number.as_tuple().exponent < -30:  # type: ignore[operator]
        raise ValueError(f"{value!r} has more digits than any amount needs")
    return number


def _percent(value: Decimal) -> Decimal:
    if not 0 <= value <= 100:
        raise ValueError("expected a percentage from 0 to 100, such as 15")
    # No country has a rate below one percent, while 0.15 for 15 % is common in JavaScript.
    return value * 100 if 0 < value < 1 else value


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("must be above zero")
    return value


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError("must not be negative")
    return value


def moment(value: Any) -> datetime:
    """A point in time, in Riyadh.

    Raises:
        ValueError: it is none of the ways in which one is written.
    """
    try:
        if isinstance(value, datetime):
            read = value
        elif isinstance(value, date):
            read = datetime.combine(value, time())
        elif isinstance(value, int | float) and not isinstance(value, bool):
            read = datetime.fromtimestamp(value / 1000, RIYADH)
        elif isinstance(value, str):
            read = datetime.fromisoformat(value.strip())
        else:
            raise ValueError
        read = read.replace(tzinfo=RIYADH) if read.tzinfo is None else read.astimezone(RIYADH)
        if not 2000 <= read.year < 2100:  # most likely seconds where milliseconds are meant
            raise ValueError
        return read
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{value!r} is not a date such as 2025-01-31, an ISO 8601 date and time, or milliseconds since "
            "1970, in this century"
        ) from None


def _iban(value: str) -> str:
    compact = re.sub(r"\s", "", value).upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{10,30}", compact):
        raise ValueError("not an IBAN such as SA03 8000 0000 6080 1016 7519")
    # Check digits by ISO 13616: the number, turned around and written in digits, leaves 1 when divided by 97.
    digits = "".join(str(int(c, 36)) for c in compact[4:] + compact[:4])
    if int(digits) % 97 != 1:
        raise ValueError("the IBAN's check digits are wrong; look for a mistyped digit")
    return compact


def _logo(value: str) -> str:
    match = re.fullmatch(r"data:image/(png|jpeg);base64,([A-Za-z0-9+/=\s]+)", value)
    if match is None:
        raise ValueError("expected a data URI of a PNG or JPEG picture: data:image/png;base64,…")
    try:
        content = base64.b64decode(match[2], validate=False)
    except binascii.Error:
        raise ValueError("the data URI does not hold valid base64") from None
    if len(content) > _MAX_LOGO_BYTES:
        raise ValueError(f"the picture has {len(content)} bytes; at most {_MAX_LOGO_BYTES} are accepted")
    size = _png_size(content) or _jpeg_size(content)
    if size is None:
        raise ValueError("the data URI does not hold a PNG or JPEG picture")
    # A small file can unpack to gigabytes, so the sides are limited as well as the bytes.
    if not 0 < max(size) <= _MAX_LOGO_SIDE:
        raise ValueError(f"the picture is {size[0]} × {size[1]} pixels; at most {_MAX_LOGO_SIDE} a side")
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _png_size(content: bytes) -> tuple[int, int] | None:
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 24:
        return None
    return struct.unpack(">II", content[16:24])


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Width and height from the frame header, found by walking the segments (ITU-T T.81, annex B)."""
    if content[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + int(struct.unpack(">H", content[at + 2 : at + 4])[0])
    return None


_UNITS_MM = {"mm": 1.0, "cm": 10.0, "in": 25.4, "pt": 25.4 / 72, "px": 25.4 / 96}
_SIDES = ("top", "right", "bottom", "left")


def _margins(value: Any) -> Any:
    if value is None or isinstance(value, Margins):
        return value or Margins()
    if not isinstance(value, dict):
        return Margins(**dict.fromkeys(_SIDES, _millimetres(value)))
    if strange := sorted(map(str, value.keys() - set(_SIDES))):
        raise ValueError(f"has a side {strange[0]!r}; the sides are {', '.join(_SIDES)}")
    return Margins(**{side: _millimetres(length) for side, length in value.items()})


def _millimetres(value: Any) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(mm|cm|in|pt|px)?", str(value).strip())
    if isinstance(value, bool) or match is None:
        raise ValueError(f"{value!r} is not a margin such as 15, in millimetres, or 2cm")
    length = float(match[1]) * _UNITS_MM[match[2] or "mm"]
    if length > 80:
        raise ValueError(f"{value!r} is more than 80 mm")
    return length


CLEAN = BeforeValidator(clean)
ShortText = Annotated[str, StringConstraints(max_length=100), CLEAN]
LineText = Annotated[str, StringConstraints(max_length=300), CLEAN]
LongText = Annotated[str, StringConstraints(max_length=5000), CLEAN]
Amount = Annotated[Decimal, BeforeValidator(decimal)]
NaturalAmount = Annotated[Amount, AfterValidator(_not_negative)]
Quantity = Annotated[Amount, AfterValidator(_positive)]
Percent = Annotated[Amount, AfterValidator(_percent)]
Currency = Annotated[str, StringConstraints(to_upper=True, pattern=r"^[A-Za-z]{3}$")]
Moment = Annotated[datetime, BeforeValidator(moment)]
Iban = Annotated[str, StringConstraints(max_length=60), AfterValidator(_iban)]
Logo = Annotated[str, StringConstraints(max_length=_MAX_LOGO_BYTES * 2), AfterValidator(_logo)]
PageMargins = Annotated[Margins, BeforeValidator(_margins)]
RecordId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
SaudiVatNumber = Annotated[str, StringConstraints(pattern=r"^3[0-9]{13}3$")]
