"""Letters of a PDF's text under the names that people type, so that it can be searched and copied.

Engines name glyphs by the font's character map, where a joined Arabic letter is a "presentation form" (U+FE91
for beh at the start of a word). Viewers then copy and search those, not the letters that people type. Here
each form of one letter is named by the letter. Forms of two (lam-alef) stay: viewers disagree on the order of
two letters under one glyph in right-to-left text, while all know the form.

The names stand in CMap streams (ISO 32000-1, 9.10.3), one by one in ``bfchar`` and in a row in ``bfrange``.
"""

from __future__ import annotations

import re
import unicodedata

_RANGES = re.compile(rb"(\d+) beginbfrange\n(.*?)endbfrange\n", re.DOTALL)
_RANGE = re.compile(rb"<([0-9a-fA-F]{4})> <([0-9a-fA-F]{4})> <([0-9a-fA-F]{4})>\n")
_NAME = re.compile(rb"<([0-9a-fA-F]{4})>(?=\n)")

_MOST_AT_ONCE = 100  # entries a bfchar block may have, by the CMap format


def is_naming(content: bytes) -> bool:
    """Whether a stream's content is one that names glyphs."""
    return content.startswith(b"/CIDInit")


def with_plain_letters(names: bytes) -> bytes:
    """The same names with letters in place of their forms."""
    return _NAME.sub(_plain_letter, _RANGES.sub(_one_by_one, names))


def _one_by_one(ranges: re.Match[bytes]) -> bytes:
    # Neighbouring forms are of different letters, or of one: as letters they are in no row any more.
    rows = [tuple(int(part, 16) for part in row.groups()) for row in _RANGE.finditer(ranges[2])]
    if len(rows) != int(ranges[1]):  # a way to write them that the engines here do not use
        return ranges[0]
    entries = [
        b"<%04X> <%04X>\n" % (glyph, name + glyph - first)
        for first, last, name in rows
        for glyph in range(first, last + 1)
    ]
    blocks = (entries[at : at + _MOST_AT_ONCE] for at in range(0, len(entries), _MOST_AT_ONCE))
    return b"".join(b"%d beginbfchar\n%sendbfchar\n" % (len(block), b"".join(block)) for block in blocks)


def _plain_letter(match: re.Match[bytes]) -> bytes:
    form = chr(int(match[1], 16))
    if not ("\ufb50" <= form <= "\ufdff" or "\ufe70" <= form <= "\ufefc"):
        return match[0]
    letter = unicodedata.normalize("NFKC", form).strip()  # a vowel's form is a space and the vowel
    return b"<%04x>" % ord(letter) if len(letter) == 1 else match[0]
