"""PDF by headless Chromium, for documents that need a browser's layout.

Every document gets a fresh context of a shared browser, in which scripts are off. The page is not loaded from
anywhere: we answer its request with the document and a content security policy, and every other request with
what is on the list of allowed addresses, or not at all.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from toril.errors import ConfigurationError
from toril.queues.pdf.renderers.addresses import AddressError, AllowedAddresses
from toril.queues.pdf.renderers.base import RenderError, RenderOptions
from toril.queues.pdf.renderers.browser import Browser, PlaywrightError
from toril.queues.pdf.renderers.browsers import BrowserPool
from toril.queues.pdf.renderers.finish import Properties, finish
from toril.queues.pdf.renderers.page_rules import with_page_rules

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Route

log = logging.getLogger(__name__)

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_ADDRESS = "http://document.invalid/"  # not https, in which allowed addresses of http would be mixed content
_KINDS = ("image", "stylesheet", "font")


class ChromiumRenderer:
    """Renders with a pool of pages of headless Chromium.

    A browser is started for the first document, replaced after a number of documents, and started anew when it
    crashed or was killed; the documents it was at work on are then made once more. Belongs to one event loop.

    Args:
        executable: the browser; one found on PATH unless given.
        allow: origins that documents may take pictures, style sheets and fonts from.
        pages: documents at once.
        timeout: seconds for a document.
        documents: a browser is replaced after so many.
        sandbox: whether Chromium puts its own sandbox around each page; not for root, unless given.
    Raises:
        ConfigurationError: there is no such executable, or none is found.
        OptionError: an entry of ``allow`` is not an origin.
    """

    def __init__(
        self,
        *,
        executable: Path | None = None,
        allow: Iterable[str] = (),
        pages: int = 2,
        timeout: float = 60.0,
        documents: int = 200,
        sandbox: bool | None = None,
    ) -> None:
        self.executable = find_chromium(executable)
        self._allowed = AllowedAddresses(allow)
        self._timeout = timeout
        self._policy = _policy(self._allowed)
        self._browsers = BrowserPool(
            self.executable,
            sandbox=os.geteuid() != 0 if sandbox is None else sandbox,
            pages=pages,
            documents=documents,
        )

    async def render(
        self, html: str, *, title: str, lang: str, options: RenderOptions | None = None
    ) -> bytes:
        """See ``PdfRenderer.render``."""
        options = options or RenderOptions()
        body = with_page_rules(html, options, lang=lang).encode("utf-8", "replace")
        try:
            pdf = await self._browsers.run(lambda browser: self._print(browser, body))
        except TimeoutError:
            raise RenderError(
                f"document {title!r} was not rendered within {self._timeout:g} s and was stopped"
            ) from None
        except PlaywrightError as error:
            raise RenderError(f"document {title!r} could not be rendered: {error.message[:500]}") from error
        try:
            said = Properties(title=title, author=options.author, producer="Chromium, Skia/PDF")
            return await asyncio.to_thread(finish, pdf, lang=lang, properties=said)
        except ValueError as error:
            raise RenderError(f"document {title!r} could not be rendered: {error}") from error

    async def close(self) -> None:
        """Close the browsers."""
        await self._browsers.close()

    async def _print(self, browser: Browser, body: bytes) -> bytes:
        async with asyncio.timeout(self._timeout):
            context = await browser.new_context()
        refused: list[str] = []
        try:
            async with asyncio.timeout(self._timeout):
                return await self._print_in(context, body, refused)
        finally:
            await browser.close_context(context)
            if refused:
                facts = {"refused": len(refused), "first_address": refused[0][:200]}
                log.warning("pdf_addresses_refused", extra=facts)

    async def _print_in(self, context: BrowserContext, body: bytes, refused: list[str]) -> bytes:
        served = False

        async def answer(route: Route) -> None:
            nonlocal served
            request = route.request
            if request.url == _ADDRESS and request.is_navigation_request() and not served:
                served = True
                headers = {
                    "Content-Type": "text/html; charset=utf-8",
                    "Content-Security-Policy": self._policy,
                }
                await route.fulfill(body=body, headers=headers)
            else:
                await self._answer_for_page(route, refused)

        await context.route("**/*", answer)
        page = await context.new_page()
        await page.goto(_ADDRESS, wait_until="load")
        return await page.pdf(prefer_css_page_size=True, print_background=True, tagged=True)

    async def _answer_for_page(self, route: Route, refused: list[str]) -> None:
        url = route.request.url
        if route.request.resource_type in _KINDS and self._allowed.allows(url):
            try:
                found = await asyncio.to_thread(self._allowed.fetch, url)
            except AddressError:
                pass
            else:
                # The page has no origin, and fonts are only for pages of origins that are told they may.
                headers = {"Content-Type": found.mime_type, "Access-Control-Allow-Origin": "*"}
                await route.fulfill(body=found.content, headers=headers)
                return
        refused.append(url)
        await route.abort("blockedbyclient")


def find_chromium(executable: Path | None = None) -> Path:
    """The executable that is given, or the first on PATH that bears one of Chromium's names.

    Raises:
        ConfigurationError: it is not there, or none is found.
    """
    if executable is not None:
        if not os.access(executable, os.X_OK) or executable.is_dir():
            raise ConfigurationError(f"{executable} is not an executable: give the path of Chromium")
        return executable
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise ConfigurationError(
        f"no Chromium was found on PATH (looked for {', '.join(_NAMES)}): install it, or give its path"
    )


def _policy(allowed: AllowedAddresses) -> str:
    """What the browser itself lets the page do: nothing but show what is in it or on the list."""
    origins = " ".join(("data:", *allowed.origins))
    return (
        f"default-src 'none'; style-src 'unsafe-inline' {origins}; img-src {origins}; font-src {origins}; "
        "base-uri 'none'; form-action 'none'; sandbox"
    )
