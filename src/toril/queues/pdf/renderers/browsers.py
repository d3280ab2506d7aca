"""The browsers of a renderer: one for new documents, and old ones that still finish theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from toril.queues.pdf.renderers.base import RenderError
from toril.queues.pdf.renderers.browser import Browser, PlaywrightError

T = TypeVar("T")


class BrowserPool:
    """Starts a browser when a document needs one, and replaces it when it is worn or lost.

    Args:
        pages: documents at once, over all browsers.
        documents: a browser is not taken for more than these.
    """

    def __init__(self, executable: Path, *, sandbox: bool, pages: int, documents: int) -> None:
        self._executable, self._sandbox, self._documents = executable, sandbox, documents
        self._slots = asyncio.Semaphore(pages)
        self._starting = asyncio.Lock()
        self._current: Browser | None = None

    async def run(self, work: Callable[[Browser], Awaitable[T]]) -> T:
        """Do ``work`` with a browser; once more with another one if the first is lost meanwhile.

        Raises:
            ConfigurationError, RenderError: no browser could be started, or two were lost.
        """
        async with self._slots:
            for _ in range(2):
                browser = await self._take()
                try:
                    return await work(browser)
                except PlaywrightError:
                    if not await browser.is_lost():
                        raise
                finally:
                    await self._give_back(browser)
        raise RenderError("two browsers in a row were lost while they rendered the document")

    async def close(self) -> None:
        """Close the browser that waits for work; one at work closes after its last document."""
        browser, self._current = self._current, None
        if browser is not None and not browser.running:
            await browser.close()

    async def _take(self) -> Browser:
        async with self._starting:
            worn = self._current
            if worn is not None and not (worn.is_connected and worn.taken < self._documents):
                self._current = None
                if not worn.running:
                    await worn.close()
            if self._current is None:
                self._current = await Browser.start(self._executable, sandbox=self._sandbox)
            self._current.taken += 1
            self._current.running += 1
            return self._current

    async def _give_back(self, browser: Browser) -> None:
        browser.running -= 1
        if browser is not self._current and not browser.running:
            await browser.close()
