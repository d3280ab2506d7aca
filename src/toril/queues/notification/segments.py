"""How many messages an SMS is paid for as: its alphabet and its segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

#: The alphabet of plain SMS, without its escape. Source: 3GPP TS 23.038, 6.2.1.
_GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: Those that take two places, an escape and a letter. Source: 6.2.1.1.
_GSM_DOUBLE: Final = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text is sent as. One Arabic letter makes all of it UCS-2."""

    alphabet: Literal["GSM-7", "UCS-2"]
    count: int


def count_segments(text: str) -> Segments:
    """How a text is split: 160 places alone or 153 in each part, with UCS-2 70 or 67.

    A character of two places stands in one part whole, so that its first place can stay empty at a part's end.
    """
    if all(char in _GSM or char in _GSM_DOUBLE for char in text):
        return Segments("GSM-7", _parts([2 if char in _GSM_DOUBLE else 1 for char in text], 160, 153))
    return Segments("UCS-2", _parts([2 if ord(char) > 0xFFFF else 1 for char in text], 70, 67))


def _parts(widths: list[int], alone: int, together: int) -> int:
    if sum(widths) <= alone:
        return 1
    parts, used = 1, 0
    for width in widths:
        if used + width > together:
            parts, used = parts + 1, 0
        used += width
    return parts
