"""Templates of documents, compiled once, and the page that comes out of one."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from toril.queues.pdf.labels import LABELS, Labels
from toril.queues.pdf.options import DocumentOptions
from toril.queues.pdf.renderers.page_rules import css_string, one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A document ready for a renderer."""

    html: str
    title: str
    lang: str  #: BCP 47 tag of the main language
    author: str = ""


def render_page(
    template: str, *, title: str, author: str, options: DocumentOptions, footer: str, **content: Any
) -> Page:
    """Fill a template; ``footer`` stands at the foot of each page, across from the page's number."""
    language = options.language
    lang = "en" if language == "en" else "ar"
    at = 1 if lang == "en" else 0
    html = _environment.get_template(template).render(
        content,
        title=title,
        lang=lang,
        language=language,
        digits=options.digits,
        color=options.color,
        landscape=options.landscape,
        label=Labels(language),
        labels=LABELS,
        page_word=LABELS["page"][at],
        of_word=LABELS["of"][at],
        footer=one_line(footer),
    )
    return Page(html=html, title=title, lang=lang, author=author)


def page_width(options: DocumentOptions) -> float:
    """Width of a page between its margins, in points."""
    return 762.0 if options.landscape else 516.0


LONGEST_WORD = 24  #: characters a word may have without a place to break the line in it


def soft(value: str, longest: int = LONGEST_WORD) -> Markup:
    """``value`` with places to break a line in words longer than any real one, where engines do not break."""
    mark = "\u200b"  # zero-width space: a break
    marked = re.sub(rf"\S{{{longest}}}(?=\S)", lambda match: match[0] + mark, value)
    return escape(marked).replace(mark, Markup("<wbr>"))


def direction(line: str) -> str:
    """``rtl`` or ``ltr``, by the first letter that has a direction (Unicode annex 9, rule P2)."""
    for character in line:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return "ltr" if kind == "L" else "rtl"
    return "ltr"


_environment = Environment(
    loader=PackageLoader("toril.queues.pdf"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_environment.filters["css"] = css_string
_environment.filters["direction"] = direction
_environment.filters["soft"] = soft
