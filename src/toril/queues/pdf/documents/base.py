"""A document that is laid out and waits to be rendered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from toril.queues.pdf.options import RendererName
from toril.queues.pdf.page import Page
from toril.queues.pdf.payloads.firm import Seller
from toril.queues.pdf.renderers.base import RenderOptions


class _Options(Protocol):
    @property
    def renderer(self) -> RendererName | None: ...


class DocumentPayload(Protocol):
    """What the payloads of all types have in common."""

    @property
    def firm_id(self) -> str: ...
    @property
    def firm(self) -> Seller | None: ...
    @property
    def options(self) -> _Options: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a type makes of its payload.

    Attributes:
        file_name: without the ending.
        facts: what the job's result says beside the file.
        remarks: for the job's log.
    """

    page: Page
    file_name: str
    facts: Mapping[str, Any]
    options: RenderOptions
    remarks: Sequence[str] = field(default=())


LayOut = Callable[[Any, Seller | None], Document]
"""Makes a document of a type's payload and the firm, if it is known."""
