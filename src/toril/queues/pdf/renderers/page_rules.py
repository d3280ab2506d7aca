"""Size, margins, header and footer of pages as a style sheet, the way every engine takes them."""

from __future__ import annotations

import re
from dataclasses import astuple

from markupsafe import Markup

from toril.queues.pdf.labels import LABELS
from toril.queues.pdf.renderers.base import RenderOptions

_DOCTYPE = re.compile(r"\ufeff?(?:\s|<!--(?:(?!-->).)*-->)*<!doctype[^>]*>", re.IGNORECASE | re.DOTALL)
_RIGHT_TO_LEFT = frozenset(("ar", "fa", "he", "ur"))
_LONGEST_LINE = 80
_SMALL = "font: 7.5pt Almarai, sans-serif; color: #667085;"


def with_page_rules(html: str, options: RenderOptions, *, lang: str) -> str:
    """The document with a style sheet of ``options`` before its own, which therefore wins.

    It goes behind the doctype, where a parser opens the head for it and adds what ``<html>`` says later. The
    rules are those of CSS Paged Media 3; ``lang`` decides the side that things stand at.
    """
    doctype = _DOCTYPE.match(html)
    at = doctype.end() if doctype else 0
    return f"{html[:at]}<style>{_rules(options, lang)}</style>{html[at:]}"


def css_string(value: str) -> Markup:
    """``value`` as a string in a page's style sheet; all but letters and digits are written as codes."""
    return Markup('"' + re.sub(r"\W", lambda match: f"\\{ord(match[0]):x} ", value) + '"')  # noqa: S704


def one_line(text: str) -> str:
    """As much of a header or footer as fits beside the page's number."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1].rstrip() + "…"


def _rules(options: RenderOptions, lang: str) -> str:
    rtl = lang.partition("-")[0] in _RIGHT_TO_LEFT
    start, end = ("right", "left") if rtl else ("left", "right")
    boxes = {f"top-{start}": options.header, f"bottom-{start}": options.footer}
    contents = {place: str(css_string(one_line(text))) for place, text in boxes.items() if text}
    if options.page_numbers:
        page, of = (css_string(LABELS[key][0 if rtl else 1]) for key in ("page", "of"))
        contents[f"bottom-{end}"] = f'{page} " " counter(page) " " {of} " " counter(pages)'
    direction = "rtl" if rtl else "ltr"
    rules = "".join(
        f"@{place} {{ content: {content}; direction: {direction}; {_SMALL} }} "
        for place, content in contents.items()
    )
    margins = " ".join(f"{side:g}mm" for side in astuple(options.margins))
    size = f"{options.size}{' landscape' if options.landscape else ''}"
    return f"@page {{ size: {size}; margin: {margins}; {rules}}}"
