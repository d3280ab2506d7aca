"""From a template and its data to a mail: subject, HTML and text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from toril.queues.email import formats
from toril.queues.email.template_data import TEMPLATES, TemplateData
from toril.queues.email.text import html_to_text

_FONTS = {
    "ar": "font-family:'Segoe UI',Tahoma,'Noto Sans Arabic','Geeza Pro',Arial,sans-serif",
    "en": "font-family:-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif",
}

#: Invisible characters behind the preview line, so that programs do not fill it up with the mail's own text.
_PADDING = Markup("&#847;&zwnj;&nbsp;" * 70)  # noqa: S704 - a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What a template made of its data."""

    subject: str
    html: str
    text: str


def render(data: TemplateData, *, firm_name: str, zone: tzinfo, takes_replies: bool = True) -> Rendered:
    """Fill the template of ``data``'s kind, in its language.

    Args:
        firm_name: who writes, unless the data say so.
        zone: the time zone that days and times are shown in.
        takes_replies: whether somebody reads what is written back; else the mail does not invite it.
    """
    arabic = data.language == "ar"
    values: dict[str, Any] = {name: getattr(data, name) for name in type(data).model_fields}
    values |= {
        "firm_name": data.firm_name or firm_name,
        "zone": zone,
        "takes_replies": takes_replies,
        "direction": "rtl" if arabic else "ltr",
        "start": "right" if arabic else "left",
        "end": "left" if arabic else "right",
        "font": Markup(_FONTS[data.language]),  # noqa: S704 - a constant
        "padding": _PADDING,
    }
    values["ui"] = _environment.get_template("parts.html").make_module(values)
    template = _environment.get_template(f"{data.language}/{_names[type(data)]}.html")
    subject = "".join(template.blocks["subject"](template.new_context(values)))
    html = template.render(values)
    # The subject is escaped like all blocks, and no HTML: undo it.
    return Rendered(subject=" ".join(Markup(subject).unescape().split()), html=html, text=html_to_text(html))  # noqa: S704


@pass_context
def _money(context: Context, amount: Decimal, currency: str) -> str:
    return formats.money(amount, currency, context["language"])


@pass_context
def _day(context: Context, value: date | datetime, weekday: bool = False) -> str:
    return formats.day(value, context["zone"], context["language"], weekday=weekday)


@pass_context
def _clock(context: Context, value: datetime) -> str:
    return formats.clock(value, context["zone"], context["language"])


@pass_context
def _counted(context: Context, number: int, unit: str) -> str:
    return formats.count(number, unit, context["language"])


@pass_context
def _duration(context: Context, minutes: int) -> str:
    return formats.span(minutes, context["language"])


def _lines(text: str) -> Markup:
    """Text with its line breaks; each line in the direction of its first letter."""
    return Markup("<br>").join(
        Markup('<span dir="auto">{}</span>').format(line) for line in text.splitlines()
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


_names = {model: name for name, model in TEMPLATES.items()}
_environment = Environment(
    loader=PackageLoader("toril.queues.email"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_environment.filters |= {
    "money": _money,
    "day": _day,
    "clock": _clock,
    "counted": _counted,
    "duration": _duration,
    "lines": _lines,
    "host": _host,
}
