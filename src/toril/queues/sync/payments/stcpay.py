"""STC Pay's own merchant interface, for firms that have a contract with it.

Every request carries the merchant's client certificate. Made from what is publicly known of version 4; compare it
with the merchant's specification before it goes live.
"""

from __future__ import annotations

import ssl
from typing import Any, Final
from zoneinfo import ZoneInfo

from toril.db.models.invoices import Payment, PaymentStatus
from toril.errors import (
    NotConfiguredError,
    RetryableError,
    TorilError,
    UnrecoverableError,
)
from toril.queues.sync.http import VendorClient
from toril.queues.sync.kept import kept
from toril.queues.sync.moments import moment_of
from toril.queues.sync.payments.gateway import GatewayPayment, from_major, text_or_none
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain, passing

LIVE_URL: Final = "https://b2b.stcpay.com.sa/B2B.DirectPayment.WebApi/DirectPayment/V4"
_SETTINGS: Final = "STCPAY_CLIENT_CODE, STCPAY_CERTIFICATE and STCPAY_PRIVATE_KEY"
_RIYADH: Final = ZoneInfo("Asia/Riyadh")  #: it writes times without a zone

_STATUSES: Final = {
    "pending": PaymentStatus.PENDING,
    "paid": PaymentStatus.COMPLETED,
    "cancelled": PaymentStatus.CANCELLED,
    "canceled": PaymentStatus.CANCELLED,
    "expired": PaymentStatus.FAILED,
}
_GENERAL_FAULT: Final = 2000


class StcPay:
    """STC Pay, with the merchant's code and certificate.

    Payments are looked up by our reference: ``provider_payment_id``, or the payment's own id without one.

    Args:
        tls: with the client certificate; see ``toril.queues.sync.certificates``.
    """

    name = "stcpay"

    def __init__(self, client_code: str, tls: ssl.SSLContext, *, base_url: str | None = None) -> None:
        self._code = client_code
        self._client = VendorClient(
            "STC Pay", base_url or LIVE_URL, read_timeout=20, total_timeout=30, verify=tls
        )

    async def fetch(self, payment: Payment) -> GatewayPayment:
        reference = payment.provider_payment_id or payment.id
        answer = await self._client.request(
            "POST",
            "/PaymentInquiry",
            operation=f"the question about payment {payment.id}",
            repeatable=True,  # it is a question
            secret_headers={"X-ClientCode": self._code},
            json={"PaymentInquiryV4RequestMessage": {"RefNum": reference}},
        )
        if not answer.content.strip() and answer.status < 500 and answer.status != 429:
            raise NotConfiguredError(f"{answer} and nothing else: it does not know us. Check {_SETTINGS}")
        if not answer.is_success:
            raise _refusal(answer)
        message = answer.object().get("PaymentInquiryV4ResponseMessage")
        listed = message.get("TransactionList") if isinstance(message, dict) else None
        if not isinstance(listed, list):
            raise RetryableError(f"{answer}, but without a list of payments; trying again later")
        ours = [row for row in listed if isinstance(row, dict) and row.get("RefNum") == reference]
        if not ours:
            raise UnrecoverableError(f"STC Pay knows no payment with the reference {reference!r}")
        return _read(answer, payment, max(ours, key=_is_paid))

    async def close(self) -> None:
        await self._client.close()


def _is_paid(row: dict[str, Any]) -> bool:
    return str(row.get("PaymentStatusDesc")).lower() == "paid"


def _read(answer: VendorAnswer, payment: Payment, row: dict[str, Any]) -> GatewayPayment:
    raw = str(row.get("PaymentStatusDesc"))
    status = _STATUSES.get(raw.lower())
    return GatewayPayment(
        status=status,
        raw_status=raw,
        amount=from_major(answer, row.get("Amount")),
        currency="SAR",  # it has no other
        # Asked for by this reference, so it is of this payment.
        reference=payment.id,
        paid_at=moment_of(row.get("PaymentDate"), zone=_RIYADH)
        if status is PaymentStatus.COMPLETED
        else None,
        review=None if status else f"STC Pay reports a state that is not known here: {answer.show(raw)}",
        answer=kept(row, secrets=answer.secrets),
    )


def _refusal(answer: VendorAnswer) -> TorilError:
    body = answer.json_or_none()
    code = body.get("Code") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(code, int) or answer.status in (401, 403, 429):
        return explain(answer, settings=_SETTINGS)
    if code == _GENERAL_FAULT:
        return passing(answer)
    said = text_or_none(body.get("Text")) or "no reason"
    return UnrecoverableError(f"STC Pay refuses {answer.operation}: {code}, {answer.show(said)}")
