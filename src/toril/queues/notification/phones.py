"""Phone numbers as SMS takes them: from what people write to E.164."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from toril.errors import OptionError

_SEPARATORS = re.compile(r"[\s().\-/\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
_SAUDI: Final = "966"
_SAUDI_MOBILE = re.compile(r"5[0-9]{8}")
_E164 = re.compile(r"[1-9][0-9]{7,14}")


def to_e164(text: str) -> str:
    """A number for SMS, such as ``+966512345678``.

    Takes Saudi mobile numbers as they are written at home (``0512345678``, ``512345678``), and those of any country
    with ``+`` or ``00``; ``966`` alone will do. Digits may be Arabic, with spaces and dashes between them.

    Raises:
        OptionError: it is none, or a Saudi number that is no mobile's.
    """
    compact = _SEPARATORS.sub("", _western(text))
    digits = compact.removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        raise OptionError("a phone number has digits, and perhaps a + before them")
    international = compact.startswith("+")
    if not international and digits.startswith("00"):
        international, digits = True, digits[2:]
    if international or (digits.startswith(_SAUDI) and len(digits) >= 12):
        national = digits.removeprefix(_SAUDI) if digits.startswith(_SAUDI) else None
    else:
        national = digits
    if national is not None:
        mobile = national.removeprefix("0")
        if not _SAUDI_MOBILE.fullmatch(mobile):
            raise OptionError(
                "a Saudi mobile number looks like 0512345678 or +966512345678; write others with + and their country"
            )
        return f"+{_SAUDI}{mobile}"
    if not _E164.fullmatch(digits):
        raise OptionError("an international number has 8 to 15 digits after the +, the first of them not 0")
    return f"+{digits}"


def masked(number: str) -> str:
    """A number for messages and logs: its last four digits."""
    return f"…{number[-4:]}"


def _western(text: str) -> str:
    """``text`` with the digits of any script as 0 to 9."""
    return "".join(
        str(unicodedata.digit(char)) if unicodedata.category(char) == "Nd" else char for char in text.strip()
    )
