"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["ok", "note", "warning", "wrong"]

#: From good to bad; ``wrong`` makes the doctor fail.
LEVELS: Final[tuple[Level, ...]] = ("ok", "note", "warning", "wrong")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding.

    Attributes:
        about: the thing, in a word or two.
        text: how it is.
        hint: what to do, or what it means.
    """

    level: Level
    about: str
    text: str
    hint: str = ""
