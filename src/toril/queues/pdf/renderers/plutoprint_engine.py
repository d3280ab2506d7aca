"""PlutoPrint itself: one document at a time, in the thread that calls, with the fonts of ours.

The engine lets other threads run while it works, but promises nothing about its own use from several, and
shares a cache of fonts between documents. A document being rendered cannot be stopped half-way, and there are
small ones that take for ever; so a document that is not trusted belongs in a process of its own.
"""

from __future__ import annotations

import io

from toril.errors import ConfigurationError
from toril.queues.pdf.renderers.addresses import AddressError, AllowedAddresses
from toril.queues.pdf.renderers.base import RenderError
from toril.queues.pdf.renderers.finish import finish
from toril.queues.pdf.renderers.fonts import FIGURE_FONT, TEXT_FONT, known_fonts

try:
    import plutoprint
except ImportError as error:
    raise ConfigurationError(
        "the PlutoPrint renderer needs the package plutoprint: pip install 'toril[pdf]'. It has wheels for Linux on "
        f"x86-64, macOS on Apple silicon and Windows; elsewhere use Chromium, or build it from source ({error})"
    ) from error

# Relative addresses lead here, and so to the fetcher, never to a folder of this machine.
_BASE_URL = "toril:/"

# A picture of nothing. Refused addresses get it, since for an error the engine prints to standard error.
_NOTHING = b'<svg xmlns="http://www.w3.org/2000/svg" width="0" height="0"/>'


def render(
    html: str, *, title: str, lang: str, author: str, allowed: AllowedAddresses
) -> tuple[bytes, list[str]]:
    """The PDF file, and the addresses that were asked for and refused.

    Raises:
        ConfigurationError: other code of the process has used plutoprint before, which fixes its fonts.
        RenderError: the engine could not make a PDF of it.
    """
    _start()
    book = plutoprint.Book()
    fetcher = _Fetcher()
    fetcher.allowed, fetcher.refused = allowed, []
    book.custom_resource_fetcher = fetcher
    output = io.BytesIO()
    try:
        book.load_html(html, base_url=_BASE_URL)
        book.set_metadata(plutoprint.PDF_METADATA_TITLE, title)
        book.set_metadata(plutoprint.PDF_METADATA_AUTHOR, author)
        book.write_to_pdf_stream(output)
        return finish(output.getvalue(), lang=lang), fetcher.refused
    except (plutoprint.Error, ValueError) as error:  # ValueError: a NUL character, or from finish
        raise RenderError(f"document {title!r} could not be rendered: {error}") from error


class _Fetcher(plutoprint.ResourceFetcher):
    """Reads allowed addresses only; the engine takes ``data:`` by itself and asks here for all others."""

    allowed: AllowedAddresses
    refused: list[str]

    def fetch_url(self, url: str) -> plutoprint.ResourceData:
        try:
            found = self.allowed.fetch(url)
        except AddressError:
            self.refused.append(url)
            return plutoprint.ResourceData(_NOTHING, "image/svg+xml")
        return plutoprint.ResourceData(found.content, found.mime_type)


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
