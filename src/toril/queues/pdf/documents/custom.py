"""HTML of the sender's own, with what it says of itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from toril.queues.pdf.documents.base import Document
from toril.queues.pdf.page import Page
from toril.queues.pdf.payloads.custom import CustomPayload
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.renderers.base import RenderOptions

_LONGEST_TITLE = 300
_HEAD_CHARACTERS = 20_000  # of a document in which its title and language are looked for
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


def custom_document(payload: CustomPayload, _firm: Seller | None) -> Document:
    """The document of a job; it is not trusted."""
    options = payload.options
    head = _Head()
    head.feed(payload.html[:_HEAD_CHARACTERS])
    stem = re.sub(r"\.pdf$", "", payload.file_name, flags=re.IGNORECASE)
    title = options.title or " ".join(head.title.split())[:_LONGEST_TITLE] or stem or "Document"
    return Document(
        page=Page(html=payload.html, title=title, lang=options.language or head.lang or "ar"),
        file_name=stem or "document",
        facts={},
        options=RenderOptions(
            size=options.format,
            landscape=options.landscape,
            margins=options.margin,
            header=options.header,
            footer=options.footer,
            page_numbers=options.page_numbers,
        ),
    )


class _Head(HTMLParser):
    """Reads ``<title>`` and the language of ``<html>``; neither is needed, so nothing here is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.title = self.lang = ""
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "html" and not self.lang:
            lang = dict(attrs).get("lang") or ""
            self.lang = lang if _TAG.fullmatch(lang) else ""
        self._in_title = tag == "title" and not self.title

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
