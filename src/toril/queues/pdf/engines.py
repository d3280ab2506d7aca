"""The renderers of a queue: one by default, others when a job names them."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

from toril.errors import ConfigurationError, NotConfiguredError
from toril.queues.pdf.options import RendererName
from toril.queues.pdf.renderers.base import PdfRenderer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What renderers may take, and where they find what they need.

    Attributes:
        default: what makes files of jobs that do not say; Chromium where it is to be PlutoPrint and that is not
            installed, as on Linux on ARM.
        chromium: path of the browser; one found on PATH unless given.
        chromium_sandbox: whether it puts its own sandbox around pages; not for root, unless given.
        allow: origins that documents which are not trusted may take pictures, style sheets and fonts from,
            such as ``https://assets.example.com``.
        timeout: seconds for a document that can be stopped.
        memory_mib: of address space, for a child process that renders such documents with PlutoPrint.
        at_once: such documents at once, with each renderer.
    """

    default: RendererName = "plutoprint"
    chromium: Path | None = None
    chromium_sandbox: bool | None = None
    allow: tuple[str, ...] = ()
    timeout: float = 60.0
    memory_mib: int = 1024
    at_once: int = 2


class Engines:
    """Makes each renderer when it is first asked for, and closes them together.

    Args:
        default: a renderer of the application's own, for jobs that name none.
    Raises:
        ConfigurationError: what the default renderer needs is not installed, nor what stands in for it.
    """

    def __init__(self, options: EngineOptions, *, default: PdfRenderer | None = None) -> None:
        self._options = options
        self._made: dict[RendererName, PdfRenderer] = {}
        self._default = default or self._make_default()

    def get(self, name: RendererName | None = None) -> PdfRenderer:
        """The renderer with a name, or the default one.

        Raises:
            NotConfiguredError: it is not the default one, and what it needs is not installed.
        """
        if name is None:
            return self._default
        try:
            return self._make(name)
        except ConfigurationError as error:
            raise NotConfiguredError(f"the job asks for the renderer {name!r}: {error}") from error

    async def close(self) -> None:
        """End the processes of all renderers."""
        for renderer in {id(each): each for each in (self._default, *self._made.values())}.values():
            await renderer.close()

    def _make_default(self) -> PdfRenderer:
        name = self._options.default
        try:
            return self._make(name)
        except ConfigurationError as error:
            if name != "plutoprint" or importlib.util.find_spec("plutoprint") is not None:
                raise
            try:
                made = self._make("chromium")
            except ConfigurationError as other:
                raise ConfigurationError(f"{error}; and instead of it: {other}") from error
        log.warning("pdf_renderer_replaced", extra={"wanted": name, "renderer": "chromium"})
        return made

    def _make(self, name: RendererName) -> PdfRenderer:
        if name not in self._made:
            self._made[name] = self._plutoprint() if name == "plutoprint" else self._chromium()
        return self._made[name]

    def _plutoprint(self) -> PdfRenderer:
        from toril.queues.pdf.renderers.children import ChildLimits
        from toril.queues.pdf.renderers.plutoprint import PlutoPrintRenderer

        options = self._options
        limits = ChildLimits(slots=options.at_once, timeout=options.timeout, memory_mib=options.memory_mib)
        return PlutoPrintRenderer(allow=options.allow, limits=limits)

    def _chromium(self) -> PdfRenderer:
        from toril.queues.pdf.renderers.chromium import ChromiumRenderer

        options = self._options
        return ChromiumRenderer(
            executable=options.chromium,
            sandbox=options.chromium_sandbox,
            allow=options.allow,
            pages=options.at_once,
            timeout=options.timeout,
        )
