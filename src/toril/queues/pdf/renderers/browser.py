"""One headless Chromium: started, asked for fresh contexts, closed, and killed when it does not close."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import tempfile
from collections.abc import Awaitable
from pathlib import Path

from toril.errors import ConfigurationError
from toril.queues.pdf.renderers.base import RenderError
from toril.queues.pdf.renderers.fonts import write_font_config

try:
    from playwright.async_api import Browser as PlaywrightBrowser
    from playwright.async_api import BrowserContext, Playwright, async_playwright
    from playwright.async_api import Error as PlaywrightError
except ImportError as error:
    raise ConfigurationError(
        "the Chromium renderer needs the package playwright: pip install 'toril[chromium]'"
    ) from error

__all__ = ["LEAST_VERSION", "Browser", "PlaywrightError"]

log = logging.getLogger(__name__)

#: the first version that draws headers and footers from ``@page`` rules
LEAST_VERSION = 131

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH")
_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--disable-webrtc",
    # Documents get nothing from the network but what the renderer fetches for them. Should a request slip past
    # that, it meets a proxy that does not exist, for loopback too, and a resolver that knows no name.
    "--proxy-server=http://toril.invalid:1",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
_STARTS_WITHIN_S = 30.0
_CLOSES_WITHIN_S = 5.0


class Browser:
    """A running browser with a driver and a folder of its own, so that closing it leaves nothing behind.

    Attributes:
        pid: of its main process.
        taken: documents it was taken for so far.
        running: documents it is at work on.
    """

    def __init__(
        self,
        playwright: Playwright,
        browser: PlaywrightBrowser,
        folder: tempfile.TemporaryDirectory[str],
        pid: int,
    ) -> None:
        self._playwright, self._browser, self._folder = playwright, browser, folder
        self.pid = pid
        self.taken = self.running = 0
        self._gone = asyncio.Event()
        browser.on("disconnected", lambda _: self._gone.set())

    @classmethod
    async def start(cls, executable: Path, *, sandbox: bool) -> Browser:
        """Start a browser.

        Raises:
            ConfigurationError: it is too old, or cannot run its sandbox here.
            RenderError: it does not start.
        """
        # Named by our process: when it is killed, a cleanup sees that nobody uses the folder any more.
        prefix = f"toril-chromium-{os.getpid()}-"
        folder = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
        playwright: Playwright | None = None
        try:
            async with asyncio.timeout(_STARTS_WITHIN_S):
                playwright = await async_playwright().start()
                browser = await playwright.chromium.launch(
                    executable_path=executable,
                    args=_FLAGS,
                    chromium_sandbox=sandbox,
                    env=_environment(Path(folder.name)),  # none of our secrets
                    # Ctrl-C is for us, and we let documents that are being made finish.
                    handle_sigint=False,
                    handle_sigterm=False,
                    handle_sighup=False,
                )
                session = await browser.new_browser_cdp_session()
                processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
            pid = next(int(process["id"]) for process in processes if process["type"] == "browser")
            started = cls(playwright, browser, folder, pid)
        except BaseException as error:
            if playwright is not None:
                await _bounded(playwright.stop())
            folder.cleanup()
            if isinstance(error, (PlaywrightError, TimeoutError)):
                raise _start_error(executable, error) from error
            raise
        version = browser.version
        if int(version.partition(".")[0]) < LEAST_VERSION:
            await started.close()
            raise ConfigurationError(
                f"{executable} is Chromium {version}; PDF files need {LEAST_VERSION} or newer, for page numbers"
            )
        log.info("chromium_started", extra={"pid": pid, "version": version})
        return started

    @property
    def is_connected(self) -> bool:
        """Whether it still runs, as far as is known."""
        return self._browser.is_connected()

    async def is_lost(self) -> bool:
        """Whether it has ended, waiting a moment for the news of it."""
        await _bounded(self._gone.wait(), within_s=1.0)
        return not self._browser.is_connected()

    async def new_context(self) -> BrowserContext:
        """A fresh profile in memory, without scripts; pages of two contexts never share a process."""
        context = await self._browser.new_context(
            java_script_enabled=False, service_workers="block", accept_downloads=False
        )
        context.set_default_timeout(0)  # the caller limits the time
        return context

    async def close_context(self, context: BrowserContext) -> None:
        """Close a context, which ends its processes even when they hang; if that hangs, kill the browser."""
        if self.is_connected and not await _bounded(context.close()):
            log.warning("chromium_context_stuck", extra={"pid": self.pid})
            self.kill()

    def kill(self) -> None:
        """End the browser at once; everything it is at work on fails."""
        if self.is_connected:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    async def close(self) -> None:
        """End the browser and its driver; a browser that does not close in time is killed."""
        if self.is_connected and not await _bounded(self._browser.close()):
            self.kill()
        await _bounded(self._playwright.stop())
        self._folder.cleanup()
        log.info("chromium_closed", extra={"pid": self.pid, "documents": self.taken})


def _environment(folder: Path) -> dict[str, str | float | bool]:
    config = write_font_config(folder, beside="/etc/fonts/fonts.conf")
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed_on, "HOME": str(folder), "FONTCONFIG_FILE": str(config)}


def _start_error(executable: Path, error: Exception) -> Exception:
    text = str(error)
    if "No usable sandbox" in text:
        return ConfigurationError(
            f"{executable} cannot run its sandbox here, as in many containers: allow user namespaces, or give "
            "the renderer sandbox=False if the container is the sandbox"
        )
    told = text or f"nothing heard of it for {_STARTS_WITHIN_S:g} s"
    # The message ends with what the browser itself said last, after a long line of flags.
    shown = f"{told[:80]} … {told[-500:]}" if len(told) > 600 else told
    return RenderError(f"{executable} did not start: {shown}")


async def _bounded(work: Awaitable[object], *, within_s: float = _CLOSES_WITHIN_S) -> bool:
    """Wait for ``work`` for a limited time; whether it was done, with or without an error."""
    try:
        async with asyncio.timeout(within_s):
            await work
    except TimeoutError:
        return False
    except PlaywrightError:
        pass
    return True
