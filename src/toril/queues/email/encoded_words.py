"""Text of any script in a header, as RFC 2047 has it: ``=?utf-8?b?…?=``.

``email.header.Header`` does the same in fifteen times the time, as it looks for the shortest way to write each
word and measures every line again; a header of a mail is a line or two.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

#: Bytes of a word, so that even the first one, behind ``Reply-To: ``, stands on a line of 76 characters.
_BYTES = 39


def encoded_words(text: str) -> str:
    """``text`` as encoded words, one a line, with what folds a header between them (``\\n`` and a space)."""
    return "\n ".join(f"=?utf-8?b?{base64.b64encode(piece).decode()}?=" for piece in _pieces(text))


def _pieces(text: str) -> Iterator[bytes]:
    """``text`` in UTF-8, cut between characters, as a reader may decode each word by itself."""
    content = text.encode()
    start = 0
    while start < len(content):
        end = min(start + _BYTES, len(content))
        while end < len(content) and content[end] & 0xC0 == 0x80:
            end -= 1
        yield content[start:end]
        start = end
