"""What a job of the type ``zatca-invoice`` carries."""

from __future__ import annotations

from toril.queues.base import Payload
from toril.queues.sync.fields import RecordId


class ZatcaInvoice(Payload):
    """An invoice of the firm, to be cleared or reported."""

    invoice_id: RecordId
    firm_id: RecordId


class ZatcaPending(Payload):
    """All documents that wait for a verdict; there is nothing to choose."""
