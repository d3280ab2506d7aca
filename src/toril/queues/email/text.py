"""Plain text from HTML: the alternative part for readers, and filters, that do not show HTML."""

from __future__ import annotations

import re
from html import unescape

from toril.queues.email.markup import RAW_END, attributes, tokens

# Not \s: direction marks and joiners are no whitespace here, and a no-break space becomes a plain one.
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
#: Some of it, or a character reference, is in the attributes of every hidden element.
_PERHAPS_HIDDEN = ("hidden", "display", "mso-hide", "&")
_READ = {"a", "img", "ol"}  #: elements of which other attributes matter
_SCHEME = re.compile(r"^(?:https?://|mailto:|tel:)", re.IGNORECASE)

_MAX_DEPTH = 32  #: indents a line may have

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre", "hr"}
_TABLE = {"tbody", "tfoot", "thead", "tr"}
_PAGE = {"html", "body", "header", "footer", "nav", "main", "aside", "article", "section", "div", "center"}
_BLOCKS = _PARAGRAPHS | _TABLE | _PAGE | {"li", "dd", "dt", "figure", "figcaption", "address", "form"}


def html_to_text(html: str) -> str:
    """What a reader would see of ``html``, as plain text with ``\\n`` line ends.

    Paragraphs keep their blank line, lists their marks and nesting, links their target in parentheses unless
    the text already shows it, images their ``alt``, table rows a line each. Scripts, styles and elements
    hidden by ``hidden`` or ``display:none`` (such as preview lines) are left out. Text in any direction is
    kept in its logical order. Never raises, and takes time linear in the length, however broken or hostile
    the HTML is.
    """
    writer = _Writer()
    for kind, name, content, _ in tokens(html):
        if kind == "text":
            writer.data(content)
        elif kind == "start":
            writer.start(name, content)
        else:
            writer.end(name)
    return writer.text()


class _Writer:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []  # pieces; joined once, so that a long line costs linear time
        self._gap = False  # a blank line is due before the next text
        self._indents: list[tuple[str, str]] = []  # element and what its lines begin with
        self._mark = ""  # of a list item whose first line is not written yet
        self._lists: list[int | None] = []  # next number, None for bullets
        self._link: tuple[str, list[str]] | None = None  # target and the pieces of its text
        self._pre = 0
        self._skip = ""  # the element that is left out, and how deep we are in elements of its name
        self._skip_depth = 0

    def text(self) -> str:
        self._break()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")

    def start(self, tag: str, source: str) -> None:
        if self._skip:
            self._skip_depth += tag == self._skip
            return
        # Most tags say nothing that matters here, and are many.
        written = source.lower()
        matters = tag in _READ or any(part in written for part in _PERHAPS_HIDDEN)
        given = attributes(source) if matters else {}
        hidden = "hidden" in given or _HIDDEN.search(given.get("style", ""))
        if tag not in _VOID and (hidden or tag in RAW_END or tag == "template"):
            self._skip, self._skip_depth = tag, 1
            return
        if tag in _BLOCKS:
            self._block(paragraph=tag in _PARAGRAPHS and not (tag in ("ul", "ol") and self._lists))
        if tag == "br":
            self._break(keep_empty=True)
        elif tag == "hr":
            self._write("-" * 20)
            self._block(paragraph=True)
        elif tag == "img":
            self._inline(given.get("alt", ""))
        elif tag in ("td", "th") and self._line:
            self._write("  ")
        elif tag == "a":
            self._end_link()  # links do not nest: a browser closes the first one here
            self._link = (given.get("href", ""), [])
        elif tag == "pre":
            self._pre += 1
        elif tag == "blockquote":
            self._indent(tag, "> ")
        elif tag in ("ul", "ol"):
            start = re.fullmatch("[0-9]{1,9}", given.get("start", ""))
            first = int(start[0]) if start else 1
            self._lists.append(first if tag == "ol" else None)
        elif tag == "li":
            self._item()

    def end(self, tag: str) -> None:
        if self._skip:
            self._skip_depth -= tag == self._skip
            if self._skip_depth == 0:
                self._skip = ""
            return
        if tag in _BLOCKS:
            self._block(paragraph=tag in _PARAGRAPHS and not (tag in ("ul", "ol") and len(self._lists) > 1))
        if tag == "a":
            self._end_link()
        elif tag == "pre" and self._pre:
            self._pre -= 1
        elif tag in ("li", "blockquote"):
            self._dedent(tag)
        elif tag in ("ul", "ol") and self._lists:
            self._dedent("li")  # closed with its list where </li> was left out
            self._lists.pop()

    def data(self, data: str) -> None:
        if self._skip:
            return
        data = unescape(data)
        if not self._pre:
            self._inline(data)
            return
        first, *others = data.split("\n")
        self._write(first)
        for line in others:
            self._break(keep_empty=True)
            self._write(line)

    def _inline(self, data: str) -> None:
        piece = _SPACE.sub(" ", data)
        if not self._line or self._line[-1].endswith(" "):
            piece = piece.removeprefix(" ")
        self._write(piece)

    def _write(self, piece: str) -> None:
        if piece:
            self._line.append(piece)
            if self._link:
                self._link[1].append(piece)

    def _block(self, *, paragraph: bool) -> None:
        self._break()
        self._gap = self._gap or paragraph

    def _break(self, *, keep_empty: bool = False) -> None:
        line = "".join(self._line).rstrip(" ")
        self._line.clear()
        if not line and not keep_empty:
            return
        prefix = "".join(text for _, text in self._indents)
        if self._gap and self._lines:
            self._lines.append("")
        self._gap = False
        if self._mark:
            prefix, self._mark = prefix[: -len(self._mark)] + self._mark, ""
        self._lines.append((prefix + line).rstrip(" "))

    def _item(self) -> None:
        if self._lists and self._lists[-1] is not None:
            mark = f"{self._lists[-1]}. "
            self._lists[-1] += 1
        else:
            mark = "- "
        if sum(element == "li" for element, _ in self._indents) >= max(1, len(self._lists)):
            self._dedent("li")
        self._mark = mark
        self._indent("li", " " * len(mark))

    def _indent(self, tag: str, text: str) -> None:
        if len(self._indents) < _MAX_DEPTH:
            self._indents.append((tag, text))

    def _dedent(self, tag: str) -> None:
        for index in range(len(self._indents) - 1, -1, -1):
            if self._indents[index][0] == tag:
                del self._indents[index:]
                break
        self._mark = ""

    def _end_link(self) -> None:
        if self._link is None:
            return
        target, text = self._link[0].strip(), "".join(self._link[1])
        self._link = None
        bare = _SCHEME.sub("", target).rstrip("/")
        if _SCHEME.match(target) and bare and bare not in text:
            self._write(f" ({target})" if text.strip() else target)
