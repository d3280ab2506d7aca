"""Moyasar: cards of the mada network, Apple Pay and STC Pay."""

from __future__ import annotations

from typing import Any, Final

from toril.db.models.invoices import Payment, PaymentStatus
from toril.errors import RetryableError
from toril.queues.sync.http import VendorClient
from toril.queues.sync.kept import kept
from toril.queues.sync.moments import moment_of
from toril.queues.sync.payments.gateway import GatewayPayment, from_minor, require_id, text_or_none
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain

_STATUSES: Final = {
    "initiated": PaymentStatus.PENDING,
    "authorized": PaymentStatus.PROCESSING,
    "paid": PaymentStatus.COMPLETED,
    "captured": PaymentStatus.COMPLETED,
    "failed": PaymentStatus.FAILED,
    "voided": PaymentStatus.CANCELLED,
    "refunded": PaymentStatus.COMPLETED,  # until all of it is
}
_MONEY_CAME: Final = (PaymentStatus.COMPLETED, PaymentStatus.REFUNDED)


class Moyasar:
    """Moyasar, with a secret key.

    Args:
        base_url: instead of Moyasar's, for a proxy or a test.
    """

    name = "moyasar"

    def __init__(self, secret_key: str, *, base_url: str | None = None) -> None:
        self._key = secret_key
        self._client = VendorClient(
            "Moyasar", base_url or "https://api.moyasar.com/v1", read_timeout=20, total_timeout=30
        )

    async def fetch(self, payment: Payment) -> GatewayPayment:
        their_id = require_id(payment, "Moyasar")
        answer = await self._client.request(
            "GET",
            f"/payments/{their_id}",
            operation=f"the question about payment {payment.id}",
            repeatable=True,
            auth=(self._key, ""),
        )
        if not answer.is_success:
            raise explain(answer, settings="MOYASAR_SECRET_KEY")
        found = answer.object()
        if found.get("id") != their_id or not isinstance(found.get("currency"), str):
            raise RetryableError(f"{answer}, but not with the payment that was asked for")
        return _read(answer, found)

    async def close(self) -> None:
        await self._client.close()


def _read(answer: VendorAnswer, found: dict[str, Any]) -> GatewayPayment:
    currency = found["currency"].upper()
    raw = str(found.get("status"))
    status, review = _STATUSES.get(raw), None
    if status is None:
        review = f"Moyasar reports a state that is none of a payment: {answer.show(raw)}"
    amount = from_minor(answer, found.get("amount"), currency)
    if status is PaymentStatus.COMPLETED and found.get("captured"):
        amount = from_minor(answer, found["captured"], currency)  # of what was authorised, this was taken
    refunded = from_minor(answer, found.get("refunded") or 0, currency)
    if status is PaymentStatus.COMPLETED and refunded and refunded >= amount:
        status = PaymentStatus.REFUNDED
    metadata = found.get("metadata")
    return GatewayPayment(
        status=status,
        raw_status=raw,
        amount=amount,
        currency=currency,
        refunded=refunded,
        reference=text_or_none(metadata.get("payment_id")) if isinstance(metadata, dict) else None,
        paid_at=moment_of(found.get("created_at")) if status in _MONEY_CAME else None,
        review=review,
        answer=kept(found, secrets=answer.secrets),
    )
