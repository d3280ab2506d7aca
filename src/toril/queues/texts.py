"""Texts from payloads: what has no shape is dropped or refused, in time that a large text does not notice."""

from __future__ import annotations

import re
from typing import Final

#: Control characters but tabs and line ends, and halves of surrogate pairs: Unicode's categories Cc and Cs.
UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def without_control_characters(text: str) -> str:
    """The text with ``\\n`` for each line end, and without control characters and halves of characters."""
    return UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
