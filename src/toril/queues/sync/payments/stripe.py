"""Stripe: payment intents."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from toril.db.models.invoices import Payment, PaymentStatus
from toril.errors import RetryableError
from toril.queues.sync.http import VendorClient
from toril.queues.sync.kept import kept
from toril.queues.sync.moments import moment_of
from toril.queues.sync.payments.gateway import GatewayPayment, from_minor, require_id, text_or_none
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain, passing

_VERSION: Final = "2024-06-20"  #: of the API; fields do not change under us

_STATUSES: Final = {
    "requires_payment_method": PaymentStatus.PENDING,
    "requires_confirmation": PaymentStatus.PENDING,
    "requires_action": PaymentStatus.PENDING,
    "processing": PaymentStatus.PROCESSING,
    "requires_capture": PaymentStatus.PROCESSING,
    "succeeded": PaymentStatus.COMPLETED,
    "canceled": PaymentStatus.CANCELLED,
}


class Stripe:
    """Stripe, with a secret key.

    Args:
        base_url: instead of Stripe's, for a proxy or a test.
    """

    name = "stripe"

    def __init__(self, secret_key: str, *, base_url: str | None = None) -> None:
        self._key = secret_key
        self._client = VendorClient(
            "Stripe",
            base_url or "https://api.stripe.com",
            headers={"Stripe-Version": _VERSION},
            read_timeout=20,
            total_timeout=30,
        )

    async def fetch(self, payment: Payment) -> GatewayPayment:
        intent_id = require_id(payment, "Stripe")
        answer = await self._client.request(
            "GET",
            f"/v1/payment_intents/{intent_id}",
            operation=f"the question about payment {payment.id}",
            repeatable=True,
            params={"expand[]": "latest_charge"},
            secret_headers={"Authorization": f"Bearer {self._key}"},
        )
        if answer.status == 409:  # somebody is changing it just now
            raise passing(answer)
        if not answer.is_success:
            raise explain(answer, settings="STRIPE_SECRET_KEY")
        intent = answer.object()
        if intent.get("id") != intent_id or not isinstance(intent.get("currency"), str):
            raise RetryableError(f"{answer}, but not with the payment that was asked for")
        return _read(answer, intent)

    async def close(self) -> None:
        await self._client.close()


def _read(answer: VendorAnswer, intent: dict[str, Any]) -> GatewayPayment:
    currency = intent["currency"].upper()
    charge = intent.get("latest_charge")
    charge = charge if isinstance(charge, dict) else {}
    raw = str(intent.get("status"))
    status, review = _STATUSES.get(raw), None
    if status is None:
        review = f"Stripe reports a state that is not known here: {answer.show(raw)}"
    if raw == "requires_payment_method" and intent.get("last_payment_error"):
        status = PaymentStatus.FAILED
    refunded = from_minor(answer, charge.get("amount_refunded", 0), currency)
    paid = status is PaymentStatus.COMPLETED
    if paid and charge.get("refunded") is True:
        status = PaymentStatus.REFUNDED
    if charge.get("disputed") is True:
        review = "the client disputes the charge at Stripe"
    metadata = intent.get("metadata")
    return GatewayPayment(
        status=status,
        raw_status=raw,
        amount=from_minor(answer, intent.get("amount_received" if paid else "amount"), currency),
        currency=currency,
        refunded=refunded if paid else Decimal(0),
        reference=text_or_none(metadata.get("payment_id")) if isinstance(metadata, dict) else None,
        paid_at=moment_of(charge.get("created")) if paid else None,
        review=review,
        answer=kept(intent, secrets=answer.secrets),
    )
