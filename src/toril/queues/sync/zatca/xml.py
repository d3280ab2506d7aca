"""XML written as text, byte for byte the same for the same content.

The hash of an invoice covers its white space, and the digest of its signed properties depends on indentation and on
where namespaces are declared. So nothing is left to a library's taste: four blanks a level, attributes in the order
given, an element with text on one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

INDENT = "    "

#: What XML 1.0 has no place for.
_IMPOSSIBLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Element:
    """An element with either text or children; ``level`` is its own indentation, whatever stands around it."""

    name: str
    content: str | tuple[Element, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    level: int | None = None

    def write(self, depth: int = 0) -> str:
        """The element's lines, the first indented by ``depth`` levels, without a line end."""
        depth = depth if self.level is None else self.level
        pad = INDENT * depth
        tag = self.name + "".join(
            f' {name}="{_escape(value, quotes=True)}"' for name, value in self.attributes.items()
        )
        if isinstance(self.content, str):
            return f"{pad}<{tag}>{_escape(self.content)}</{self.name}>"
        if not self.content:
            return f"{pad}<{tag}/>"
        inner = "\n".join(child.write(depth + 1) for child in self.content)
        return f"{pad}<{tag}>\n{inner}\n{pad}</{self.name}>"


def element(name: str, /, *children: Element | None, **attributes: str) -> Element:
    """An element with children, those that are ``None`` left out."""
    return Element(name, tuple(child for child in children if child is not None), attributes)


def leaf(name: str, text: str, /, **attributes: str) -> Element:
    """An element with text."""
    return Element(name, text, attributes)


def one_line(text: str) -> str:
    """``text`` fit for an element: without characters that XML has no place for, white space as single blanks."""
    return " ".join(_IMPOSSIBLE.sub(" ", text).split())


def parse(document: bytes) -> Any:
    """The root of a document from outside: no entities, no network, no DTD, of any size.

    Raises:
        lxml.etree.XMLSyntaxError: it is not well-formed.
    """
    return etree.fromstring(document, _parser())


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def without(root: Any, elements: Iterable[Any]) -> None:
    """Take elements out of ``root``; the white space that follows them stays."""
    for found in elements:
        parent, before = found.getparent(), found.getprevious()
        tail = found.tail or ""
        if before is not None:
            before.tail = (before.tail or "") + tail
        else:
            parent.text = (parent.text or "") + tail
        parent.remove(found)


def _escape(text: str, *, quotes: bool = False) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;") if quotes else text
