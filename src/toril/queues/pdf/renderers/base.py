"""What a PDF renderer does, whichever engine is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from toril.errors import RetryableError


class RenderError(RetryableError):
    """The engine could not make a PDF of the document; the job's next attempt tries again."""

    code = "render_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """What HTML does not say. The page's own ``@page`` rules win over the sizes here.

    Attributes:
        landscape: A4 turned on its side.
        margin: on all sides, in millimetres.
        author: for the file's properties.
    """

    landscape: bool = False
    margin: float = 15.0
    author: str = ""


class PdfRenderer(Protocol):
    """Turns HTML into a PDF file. The HTML is untrusted: no local file and no network address is read."""

    async def render(
        self, html: str, *, title: str, lang: str, options: RenderOptions | None = None
    ) -> bytes:
        """The PDF file.

        Args:
            title: for the file's properties, and what viewers show in their window's title.
            lang: language of the document as a BCP 47 tag, such as ``ar``.
        Raises:
            RenderError: the engine could not make a PDF of it.
        """
        ...
