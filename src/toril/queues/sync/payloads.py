"""What jobs of the queue ``sync`` carry: one model a type. That of ``zatca-invoice`` is in ``zatca.payloads``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from toril.queues.base import Payload
from toril.queues.days import Day
from toril.queues.sync.currency.codes import SUPPORTED
from toril.queues.sync.fields import RecordId


class CurrencyRates(Payload):
    """Today's rates of a currency."""

    base_currency: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$", to_upper=True)] = "SAR"

    @field_validator("base_currency")
    @classmethod
    def _known(cls, value: str) -> Any:
        if value not in SUPPORTED:
            raise PydanticCustomError(
                "sync", "{text}", {"text": f"{value!r} is not one of {', '.join(SUPPORTED)}"}
            )
        return value


class WhatsAppSync(Payload):
    """A firm's number, by Meta's id of it."""

    firm_id: RecordId
    phone_number_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,64}$")]


class WhatsAppInboxes(Payload):
    """All numbers with deliveries that wait; there is nothing to choose."""


class PaymentCheck(Payload):
    """A payment of the firm, and by what it was made."""

    payment_id: RecordId
    payment_provider: Literal["stripe", "stcpay", "mada"]
    firm_id: RecordId


class BankSync(Payload):
    """An account of the firm, and which days to read, by the firm's calendar; both belong to them."""

    firm_id: RecordId
    bank_account_id: RecordId
    start_date: Day | None = None
    end_date: Day | None = None

    @field_validator("end_date")
    @classmethod
    def _in_order(cls, value: Any, info: ValidationInfo) -> Any:
        start = info.data.get("start_date")
        # A day and a moment are compared by whoever knows the firm's zone.
        if type(value) is type(start) and value is not None and value < start:
            raise PydanticCustomError("sync", "is before startDate")
        return value


class WathqCheck(Payload):
    """A contract of the firm."""

    contract_id: RecordId
    firm_id: RecordId


class MudadCheck(Payload):
    """A payment of the firm by a SADAD bill."""

    payment_id: RecordId
    firm_id: RecordId
