"""What a job of the type ``custom`` carries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from toril.queues.base import Payload
from toril.queues.pdf.fields import CLEAN, LineText, RecordId
from toril.queues.pdf.options import CustomOptions, CustomOptionsField
from toril.queues.pdf.payloads.firm import Seller

MAX_HTML_CHARACTERS = 10_000_000


class CustomPayload(Payload):
    """Data of a job of type ``custom``: HTML of anybody's, rendered without scripts, files and network."""

    html: Annotated[str, StringConstraints(min_length=1, max_length=MAX_HTML_CHARACTERS), CLEAN]
    file_name: LineText = ""
    options: CustomOptionsField = Field(default_factory=CustomOptions)
    firm_id: RecordId

    @property
    def firm(self) -> Seller | None:
        """None: there is no letterhead."""
        return None
