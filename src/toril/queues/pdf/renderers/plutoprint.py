"""PDF by PlutoPrint: HTML and CSS for paged media, a few milliseconds a page, no browser.

Documents of our templates are rendered in this process, by one thread, one after the other. Large ones, and all
of others' making, go to child processes that are killed when a document takes too long or too much memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from toril.queues.pdf.renderers import plutoprint_engine
from toril.queues.pdf.renderers.addresses import AllowedAddresses
from toril.queues.pdf.renderers.base import RenderOptions
from toril.queues.pdf.renderers.children import ChildLimits, ChildPool
from toril.queues.pdf.renderers.fonts import font_folders
from toril.queues.pdf.renderers.page_rules import with_page_rules

log = logging.getLogger(__name__)

# Characters of HTML, about a second's work, for which other documents may wait.
_LARGEST_HERE = 500_000

# The engine has one cache of fonts in a process, so one thread for all renderers.
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="toril-pdf")


class PlutoPrintRenderer:
    """Renders with PlutoPrint and fonts of its own for Arabic and Latin, so that no system font is needed.

    Args:
        allow: origins that documents which are not trusted may take pictures, style sheets and fonts from.
        limits: of the child processes.
    Raises:
        ConfigurationError: a font's package is not installed; or, when the first document is rendered, other
            code of the process has used plutoprint before, which fixes the fonts that it knows.
        OptionError: an entry of ``allow`` is not an origin.
    """

    def __init__(self, *, allow: Iterable[str] = (), limits: ChildLimits | None = None) -> None:
        font_folders()
        self._allowed = AllowedAddresses(allow)
        self._children = ChildPool(limits or ChildLimits())

    async def render(
        self, html: str, *, title: str, lang: str, options: RenderOptions | None = None
    ) -> bytes:
        """See ``PdfRenderer.render``. Of a trusted document only ``data:`` addresses are read."""
        options = options or RenderOptions()
        html = with_page_rules(html, options, lang=lang)
        if options.trusted and len(html) <= _LARGEST_HERE:
            return await asyncio.get_running_loop().run_in_executor(
                _thread, _render_here, html, title, lang, options.author
            )
        pdf, answer = await self._children.render(
            {
                "html": html,
                "title": title,
                "lang": lang,
                "author": options.author,
                "allowed": self._allowed.origins,
            }
        )
        _log_refused(int(answer["refused"]), str(answer["first_address"]))
        return pdf

    async def close(self) -> None:
        """End the child processes."""
        await self._children.close()


def _render_here(html: str, title: str, lang: str, author: str) -> bytes:
    pdf, refused = plutoprint_engine.render(
        html, title=title, lang=lang, author=author, allowed=AllowedAddresses()
    )
    _log_refused(len(refused), "".join(refused[:1]))
    return pdf


def _log_refused(count: int, first: str) -> None:
    if count:
        log.warning("pdf_addresses_refused", extra={"refused": count, "first_address": first[:200]})
