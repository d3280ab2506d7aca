"""What a payment gateway is to us, and what it says about a payment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from toril.db.models.invoices import Payment, PaymentStatus
from toril.errors import RetryableError, UnrecoverableError
from toril.queues.currencies import decimals_of
from toril.queues.sync.vendor_answer import VendorAnswer

_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPayment:
    """A payment as its gateway sees it.

    Attributes:
        status: ours; None when the gateway says nothing that moves it.
        raw_status: the gateway's own word or code.
        amount, refunded: in whole units of the currency (riyals).
        reference: the id of our payment, as far as the gateway was told it.
        review: why a person must look.
        answer: as it came.
    """

    status: PaymentStatus | None
    raw_status: str
    amount: Decimal
    currency: str
    refunded: Decimal = Decimal(0)
    reference: str | None = None
    paid_at: datetime | None = None
    review: str | None = None
    answer: dict[str, Any] = field(repr=False)


class PaymentGateway(Protocol):
    """Somebody who takes payments, and can be asked about one."""

    name: str  #: as a payment's ``provider`` has it

    async def fetch(self, payment: Payment) -> GatewayPayment:
        """What the gateway says about a payment; asking again does no harm.

        Raises:
            UnrecoverableError: there is no such payment, or our record does not say which.
            NotConfiguredError: it refuses our credentials.
            RetryableError: it is away, limits us or answers nonsense.
        """
        ...

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        ...


def require_id(payment: Payment, vendor: str) -> str:
    """The gateway's id of a payment, safe in a path.

    Raises:
        UnrecoverableError: there is none, or none that the gateway could have given.
    """
    found = payment.provider_payment_id
    if not found:
        raise UnrecoverableError(f"payment {payment.id} has no id of {vendor}: it cannot be looked up there")
    if _PLAIN_ID.fullmatch(found) is None:
        raise UnrecoverableError(f"payment {payment.id}: its id is none of {vendor}'s")
    return found


def from_minor(answer: VendorAnswer, amount: Any, currency: str) -> Decimal:
    """An amount in the currency's smallest unit (halalas) as whole units.

    Raises:
        RetryableError: it is no whole number, or less than nothing.
    """
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
        raise RetryableError(f"{answer}, but an amount is no whole number")
    return Decimal(amount).scaleb(-decimals_of(currency))


def from_major(answer: VendorAnswer, amount: Any) -> Decimal:
    """An amount in whole units, as a number or as text.

    Raises:
        RetryableError: it is neither.
    """
    text = str(amount) if isinstance(amount, str | int | Decimal) and not isinstance(amount, bool) else ""
    if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,4})?", text) is None:
        raise RetryableError(f"{answer}, but an amount is no number")
    return Decimal(text)


def text_or_none(value: Any) -> str | None:
    """``value`` if it is text that says something."""
    return value if isinstance(value, str) and value else None
