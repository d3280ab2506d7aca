"""Whether two names of a company are the same, for somebody who reads Arabic."""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from typing import Final

#: Letters that are written one for the other.
_ALIKE: Final = str.maketrans("أإآٱىةؤئ", "اااايهوي", "ـ")
#: Legal forms, as the fold leaves them; they say nothing about who it is.
_FORMS: Final = frozenset({
    "شركه", "موسسه", "مكتب", "فرع", "ذات", "محدوده", "المحدوده", "مسووليه", "المسووليه", "مسيوليه", "المسيوليه",
    "مساهمه", "المساهمه", "مهنيه", "المهنيه", "الشخص", "الواحد",
    "company", "co", "ltd", "llc", "limited", "est", "establishment", "inc",
})  # fmt: skip
_ALIKE_ENOUGH: Final = 0.85


def is_same_name(ours: str, theirs: str) -> bool:
    """Whether the names differ in spelling and legal form at most."""
    first, second = _words(ours), _words(theirs)
    if not first or not second:
        return False
    return SequenceMatcher(None, " ".join(first), " ".join(second), autojunk=False).ratio() >= _ALIKE_ENOUGH


def language_of(name: str) -> str:
    """``ar`` if there is an Arabic letter in it, else ``en``."""
    return "ar" if re.search(r"[\u0621-\u064a]", name) else "en"


def _words(name: str) -> list[str]:
    """Words without marks, in one spelling of each letter, less legal forms unless there is nothing else."""
    decomposed = unicodedata.normalize("NFKC", name).translate(_ALIKE)
    letters = "".join(
        letter if unicodedata.category(letter)[0] in "LN" else " "
        for letter in decomposed
        if unicodedata.category(letter) != "Mn"
    )
    words = letters.casefold().split()
    return [word for word in words if word not in _FORMS] or words
