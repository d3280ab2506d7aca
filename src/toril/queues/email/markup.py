"""HTML as a stream of tokens, for reading text out of it and for changing links in it.

Not ``html.parser``, which takes quadratic time for hostile input in some Python releases: this one is linear
however broken the HTML is, never raises, and tells where each token stands, so that what is not changed can be
copied as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Literal, NamedTuple

# A quoted value counts as one only after "=", and one that never ends is read as bare text, as browsers do.
_TAG = re.compile(r"""<(/?)([A-Za-z][^\s/>]*+)((?:=\s*+"[^"]*+"|=\s*+'[^']*+'|[^>])*+)>""")
ATTRIBUTE = re.compile(r"""([^\s"'<>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]++)))?""")
RAW_END = {tag: re.compile(rf"</{tag}\b[^>]*+>?", re.IGNORECASE) for tag in ("script", "style", "title")}


class Token(NamedTuple):
    """A piece of a document.

    Attributes:
        name: the tag's, in lower case; empty for text.
        content: as written: text with its character references, or the attributes of a start tag.
        at: where ``content`` begins in the document.
    """

    kind: Literal["text", "start", "end"]
    name: str
    content: str
    at: int


def tokens(html: str) -> Iterator[Token]:
    """Split ``html``.

    Comments, declarations and the content of scripts, styles and titles are passed over. Markup that is cut
    off at the end of the document is dropped with what follows, as the HTML standard has it.
    """
    at = 0
    while at < len(html):
        begin = html.find("<", at)
        if begin < 0:
            begin = len(html)
        if begin > at:
            yield Token("text", "", html[at:begin], at)
        follows = html[begin + 1 : begin + 2]
        if html.startswith("<!--", begin):
            end = html.find("-->", begin + 4)
            at = end + 3 if end >= 0 else len(html)
        elif tag := _TAG.match(html, begin):
            name = tag[2].lower()
            at = tag.end()
            yield Token("end" if tag[1] else "start", name, tag[3], tag.start(3))
            if not tag[1] and name in RAW_END:
                close = RAW_END[name].search(html, at)
                at = close.end() if close else len(html)
                yield Token("end", name, "", at)
        elif follows in ("!", "?", "/") or (follows.isascii() and follows.isalpha()):
            end = html.find(">", begin)
            at = end + 1 if end >= 0 else len(html)
        elif begin < len(html):
            yield Token("text", "", "<", begin)
            at = begin + 1
        else:
            at = begin


def attributes(source: str) -> dict[str, str]:
    """The attributes of a start tag; of one given twice, the first counts."""
    found = ATTRIBUTE.findall(source)
    return {name.lower(): unescape(one or two or bare) for name, one, two, bare in reversed(found)}
