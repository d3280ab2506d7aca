"""What a PDF renderer does, whichever engine is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from toril.errors import RetryableError

PaperSize = Literal["A3", "A4", "A5", "Letter", "Legal"]


class RenderError(RetryableError):
    """The engine could not make a PDF of the document; the job's next attempt tries again."""

    code = "render_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """White space around the page's content, in millimetres."""

    top: float = 15.0
    right: float = 15.0
    bottom: float = 15.0
    left: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """What HTML does not say. The page's own ``@page`` rules win over size, margins, header and footer here.

    Attributes:
        landscape: the paper turned on its side.
        header, footer: one line each, at the head and the foot of every page.
        page_numbers: "Page 1 of 3" at the foot, across from ``footer``.
        author: for the file's properties.
        trusted: the HTML comes from a template of ours, with all text in it escaped. It may then be rendered
            where it cannot be stopped half-way, which is faster.
    """

    size: PaperSize = "A4"
    landscape: bool = False
    margins: Margins = Margins()
    header: str = ""
    footer: str = ""
    page_numbers: bool = False
    author: str = ""
    trusted: bool = False


class PdfRenderer(Protocol):
    """Turns HTML into a PDF file.

    The HTML is untrusted: no local file is read, no script runs, and no address on the network is asked, save
    those the renderer was told to allow.
    """

    async def render(
        self, html: str, *, title: str, lang: str, options: RenderOptions | None = None
    ) -> bytes:
        """The PDF file.

        Args:
            title: for the file's properties, and what viewers show in their window's title.
            lang: language of the document as a BCP 47 tag, such as ``ar``.
        Raises:
            RenderError: the engine could not make a PDF of it, or not in time.
        """
        ...

    async def close(self) -> None:
        """End the processes and free the memory it holds; may be called twice, and used again after."""
        ...
