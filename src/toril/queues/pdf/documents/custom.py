"""HTML of the sender's own, with what it says of itself."""

from __future__ import annotations

import re
from html import unescape

from toril.queues.pdf.documents.base import Document
from toril.queues.pdf.page import Page
from toril.queues.pdf.payloads.custom import CustomPayload
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.renderers.base import RenderOptions
from toril.queues.storage import safe_name

_LONGEST_TITLE = 300
_HEAD_CHARACTERS = 20_000  # of a document in which its title and language are looked for
_TITLE = re.compile(r"<title[^>]*>([^<]*(?:<(?!/title)[^<]*)*)", re.IGNORECASE)
_LANG = re.compile(
    r"""<html\b[^>]*\slang\s*=\s*(["']?)([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3})\1(?=[\s>/])""",
    re.IGNORECASE,
)


def custom_document(payload: CustomPayload, _firm: Seller | None) -> Document:
    """The document of a job; it is not trusted."""
    options = payload.options
    head = payload.html[:_HEAD_CHARACTERS]
    named, lang = _TITLE.search(head), _LANG.search(head)
    stem = re.sub(r"\.pdf$", "", payload.file_name, flags=re.IGNORECASE)
    title = options.title or (" ".join(unescape(named[1]).split())[:_LONGEST_TITLE] if named else "")
    return Document(
        page=Page(
            html=payload.html,
            title=title or stem or "Document",
            lang=options.language or (lang[2] if lang else "ar"),
        ),
        file_name=stem if safe_name(stem) else "document",
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
