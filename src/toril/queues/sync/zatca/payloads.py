"""What a job of the type ``zatca-invoice`` carries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from toril.queues.base import Payload

RecordId = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{24}$")]


class ZatcaInvoice(Payload):
    """An invoice to be cleared or reported."""

    invoice_id: RecordId
    firm_id: RecordId
