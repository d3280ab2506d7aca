"""What a job may ask of its document's looks, and of what makes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from toril.queues.base import Payload
from toril.queues.pdf.fields import LineText, PageMargins
from toril.queues.pdf.renderers.base import Margins, PaperSize

RendererName = Literal["plutoprint", "chromium"]


class DocumentOptions(Payload):
    """How the page looks.

    Attributes:
        language: Arabic, English, or Arabic with English beside it.
        digits: of amounts, dates and page numbers: 1,234.50 or ١٬٢٣٤٫٥٠.
        color: of headings and lines, ``#rrggbb``.
        landscape: the paper turned on its side.
        renderer: what makes the file; the queue's own choice unless given.
    """

    language: Literal["ar", "en", "both"] = "both"
    digits: Literal["latin", "arabic"] = "latin"
    color: Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$")] = "#1f3a5f"
    landscape: bool = False
    renderer: RendererName | None = None


class CustomOptions(Payload):
    """How HTML of the sender's own is put on paper; its own ``@page`` rules win.

    Attributes:
        title: in the file's properties; what ``<title>`` says unless given.
        language: a BCP 47 tag; what ``<html lang>`` says unless given, else ``ar``.
        format: size of the paper.
        margin: millimetres, or a length with its unit, such as ``"2cm"``; one, or one a side.
        header, footer: a line at the head and the foot of every page.
        page_numbers: "Page 1 of 3" at the foot.
        renderer: what makes the file; the queue's own choice unless given.
    """

    title: LineText = ""
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")] | None = (
        None
    )
    format: PaperSize = "A4"
    landscape: bool = False
    margin: PageMargins = Margins()
    header: LineText = ""
    footer: LineText = ""
    page_numbers: bool = True
    renderer: RendererName | None = None


def _none_is_default(value: Any) -> Any:
    return {} if value is None else value


OptionsField = Annotated[DocumentOptions, BeforeValidator(_none_is_default)]
CustomOptionsField = Annotated[CustomOptions, BeforeValidator(_none_is_default)]
DEFAULT_OPTIONS = Field(default_factory=DocumentOptions)
