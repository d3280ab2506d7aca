"""Finishing touches on an engine's PDF: properties, language, and Arabic text that can be searched and copied.

All of them are niceties. A file that cannot be finished, because a new version of an engine writes something that
nobody foresaw, goes out as it is.

Beside the names of glyphs (see ``naming``) Chromium puts texts in place of them here and there (``ActualText``), in
which lam and alef are two letters; they are put as the one form, for the reason given for names.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from toril.queues.pdf.renderers.naming import is_naming, with_plain_letters

log = logging.getLogger(__name__)

_LAM_ALEF = {
    "\u0644\u0622": "\ufef5",
    "\u0644\u0623": "\ufef7",
    "\u0644\u0625": "\ufef9",
    "\u0644\u0627": "\ufefb",
}
_DATES = ("/CreationDate", "/ModDate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What the file says of itself, in place of what the document said."""

    title: str
    author: str
    producer: str


def finish(pdf: bytes, *, lang: str, properties: Properties | None = None) -> bytes:
    """The same file with its language set and its letters named plainly; or as it is, if that cannot be done.

    Args:
        lang: a BCP 47 tag.
        properties: unless the engine has set them.

    Raises:
        ValueError: it is no PDF file at all.
    """
    if not pdf.startswith(b"%PDF-"):
        raise ValueError("the engine made something that is no PDF file")
    try:
        return _finished(pdf, lang, properties)
    except Exception as error:  # of whatever kind: what is at stake is the document
        log.warning("pdf_not_finished", extra={"reason": f"{type(error).__name__}: {error}"[:500]})
        return pdf


def _finished(pdf: bytes, lang: str, properties: Properties | None) -> bytes:
    # It takes a while to import, and a file is worth more than its language where it is not installed.
    import pikepdf

    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as file:
        if re.fullmatch(r"[A-Za-z0-9-]{2,35}", lang):
            file.Root.Lang = pikepdf.String(lang)
        for names in _namings(file):
            content = names.read_bytes()
            if is_naming(content) and (plain := with_plain_letters(content)) != content:
                names.write(plain)
        for stream in _drawings(file):
            if b"/ActualText" in stream.read_bytes():
                _put_lam_alef_as_one(stream)
        if properties is not None:
            _set(file, properties)
        file.save(out)
    return out.getvalue()


def _namings(file: Any) -> Iterator[Any]:
    """The streams that name the glyphs of fonts."""
    import pikepdf

    for each in file.objects:
        if isinstance(each, pikepdf.Dictionary) and isinstance(each.get("/ToUnicode"), pikepdf.Stream):
            yield each["/ToUnicode"]


def _drawings(file: Any) -> Iterator[Any]:
    """The streams of pages, and of drawings that pages are put together from."""
    import pikepdf

    for page in file.pages:
        contents = page.obj.get("/Contents")
        yield from contents if isinstance(contents, pikepdf.Array) else [] if contents is None else [contents]
    for each in file.objects:
        if isinstance(each, pikepdf.Stream) and each.get("/Subtype") == "/Form":
            yield each


def _put_lam_alef_as_one(stream: Any) -> None:
    import pikepdf

    rows, changed = pikepdf.parse_content_stream(stream), False
    for row in rows:
        for operand in row.operands:
            if isinstance(operand, pikepdf.Dictionary) and "/ActualText" in operand:
                form = _LAM_ALEF.get(str(operand["/ActualText"]))
                if form is not None:
                    operand["/ActualText"] = pikepdf.String(form)
                    changed = True
    if changed:
        stream.write(pikepdf.unparse_content_stream(rows))


def _set(file: Any, properties: Properties) -> None:
    dates = {name: file.docinfo[name] for name in _DATES if name in file.docinfo}
    del file.docinfo
    texts = {
        "/Title": properties.title,
        "/Author": properties.author,
        "/Creator": "Toril",
        "/Producer": properties.producer,
    }
    for name, text in texts.items():
        if text:
            file.docinfo[name] = text.encode("utf-8", "replace").decode()
    for name, date in dates.items():
        file.docinfo[name] = date
