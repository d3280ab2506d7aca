"""PDF in this process, by PlutoPrint: HTML and CSS for paged media, a few milliseconds a page, no browser.

The engine lets other threads run while it works, but promises nothing about its own use from several, and
shares a cache of fonts between documents. So one thread renders everything in a process, one document after
the other; more throughput takes more worker processes. A document being rendered cannot be stopped half-way.
"""

from __future__ import annotations

import asyncio
import io
import logging
from concurrent.futures import ThreadPoolExecutor

from toril.errors import ConfigurationError
from toril.queues.pdf.renderers.base import RenderError, RenderOptions
from toril.queues.pdf.renderers.finish import finish
from toril.queues.pdf.renderers.fonts import FIGURE_FONT, TEXT_FONT, font_folders, known_fonts

try:
    import plutoprint
except ImportError as error:
    raise ConfigurationError(
        "PDF files need the package plutoprint: pip install 'toril[pdf]'. It has wheels for Linux on x86-64, "
        f"macOS on Apple silicon and Windows; elsewhere it is built from source ({error})"
    ) from error

log = logging.getLogger(__name__)

# Relative addresses lead here, and so to the fetcher, never to a folder of this machine.
_BASE_URL = "toril:/"

# A picture of nothing. Refused addresses get it, since for an error the engine prints to standard error.
_NOTHING = b'<svg xmlns="http://www.w3.org/2000/svg" width="0" height="0"/>'

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="toril-pdf")


class PlutoPrintRenderer:
    """Renders with PlutoPrint and fonts of its own for Arabic and Latin, so that no system font is needed.

    Raises:
        ConfigurationError: a font's package is not installed; or, when the first document is rendered, other
            code of the process has used plutoprint before, which fixes the fonts that it knows.
    """

    def __init__(self) -> None:
        font_folders()

    async def render(
        self, html: str, *, title: str, lang: str, options: RenderOptions | None = None
    ) -> bytes:
        """See ``PdfRenderer.render``. Only ``data:`` addresses are read."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_thread, _render, html, title, lang, options or RenderOptions())


class _Refusal(plutoprint.ResourceFetcher):
    """Reads no address; the engine takes ``data:`` addresses by itself and asks here for all others."""

    refused: list[str]

    def fetch_url(self, url: str) -> plutoprint.ResourceData:
        self.refused.append(url)
        return plutoprint.ResourceData(_NOTHING, "image/svg+xml")


def _render(html: str, title: str, lang: str, options: RenderOptions) -> bytes:
    _start()
    size = plutoprint.PAGE_SIZE_A4.landscape() if options.landscape else plutoprint.PAGE_SIZE_A4
    margin = options.margin * plutoprint.UNITS_MM
    book = plutoprint.Book(size, plutoprint.PageMargins(margin, margin, margin, margin))
    fetcher = _Refusal()
    fetcher.refused = []
    book.custom_resource_fetcher = fetcher
    output = io.BytesIO()
    try:
        book.load_html(html, base_url=_BASE_URL)
        book.set_metadata(plutoprint.PDF_METADATA_TITLE, title)
        book.set_metadata(plutoprint.PDF_METADATA_AUTHOR, options.author)
        book.write_to_pdf_stream(output)
        pdf = finish(output.getvalue(), lang=lang)
    except (plutoprint.Error, ValueError) as error:  # ValueError: a NUL character, or from finish
        raise RenderError(f"document {title!r} could not be rendered: {error}") from error
    if fetcher.refused:
        facts = {"refused": len(fetcher.refused), "first_address": fetcher.refused[0][:200]}
        log.warning("pdf_addresses_refused", extra=facts)
    return pdf


_started = False


def _start() -> None:
    """Have the engine read its fonts, which it does once in a process, at the first text it lays out."""
    global _started
    if _started:
        return
    fonts, output = (TEXT_FONT, FIGURE_FONT), io.BytesIO()
    with known_fonts():
        book = plutoprint.Book()
        book.load_html("".join(f'<p style="font-family: {family}">ا' for family in fonts))
        book.write_to_pdf_stream(output)
    for family in fonts:
        if family.replace(" ", "").encode() not in output.getvalue():
            raise ConfigurationError(
                f"plutoprint does not know the font {family}: other code of this process used it first, "
                "and it reads its fonts only once. Render with PlutoPrintRenderer before that code runs."
            )
    _started = True
