"""HyperPay (OPPWA): what its result codes mean, and how a payment is looked up.

Source: the vendor's reference of result codes.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from toril.db.models.invoices import Payment, PaymentStatus
from toril.errors import NotConfiguredError, RetryableError, UnrecoverableError
from toril.queues.sync.http import VendorClient
from toril.queues.sync.kept import kept
from toril.queues.sync.moments import moment_of
from toril.queues.sync.payments.gateway import GatewayPayment, from_major, require_id, text_or_none
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain, jittered

LIVE_URL: Final = "https://eu-prod.oppwa.com"
_SETTINGS: Final = "HYPERPAY_ACCESS_TOKEN and HYPERPAY_MADA_ENTITY_ID"
_THROTTLED_FOR: Final = 30.0  #: seconds; two questions a minute are answered for each payment

_TEST_SUCCESS: Final = re.compile(r"000\.100\.11")
_SUCCESS: Final = re.compile(r"000\.000\.|000\.100\.1|000\.[36]|000\.400\.1[12]0")
_TO_BE_REVIEWED: Final = re.compile(r"000\.400\.0[^3]|000\.400\.100")
_WAITING: Final = re.compile(r"000\.200|800\.400\.5|100\.400\.500")
_THROTTLED: Final = re.compile(r"800\.120\.100")
_PASSING: Final = re.compile(r"900\.[1234]00|000\.400\.030|800\.[56]|999\.|600\.1|800\.800\.[84]")
_ACCESS: Final = re.compile(r"800\.900")
_REFUSED: Final = re.compile(r"600\.[23]|500\.[12]|800\.121|200\.|700\.400\.580")
#: Debit and capture; others give money back, or take none.
_TAKES_MONEY: Final = ("DB", "CP")
_CHARGEBACK: Final = re.compile(r"000\.100\.2")


class HyperPay:
    """HyperPay, with an access token and the entity of a card network; mada has one of its own.

    Args:
        base_url: of the live system, or of the test system, whose name has ``test`` in it.
    """

    name = "hyperpay"

    def __init__(self, access_token: str, entity_id: str, *, base_url: str | None = None) -> None:
        self._token, self._entity = access_token, entity_id
        url = base_url or LIVE_URL
        self._is_test = "test" in (urlsplit(url).hostname or "")
        self._client = VendorClient("HyperPay", url, read_timeout=20, total_timeout=30)

    async def fetch(self, payment: Payment) -> GatewayPayment:
        their_id = require_id(payment, "HyperPay")
        answer = await self._client.request(
            "GET",
            f"/v1/query/{their_id}",
            operation=f"the question about payment {payment.id}",
            repeatable=True,
            params={"entityId": self._entity},
            secret_headers={"Authorization": f"Bearer {self._token}"},
        )
        if answer.status in (401, 403, 429):
            raise explain(answer, settings=_SETTINGS)
        body = answer.json_or_none()
        result = body.get("result") if isinstance(body, dict) else None
        code = result.get("code") if isinstance(result, dict) else None
        if not isinstance(body, dict) or not isinstance(code, str):  # then the status is all there is
            if answer.is_success:
                raise RetryableError(f"{answer} and {answer.kind} instead of a result; trying again later")
            raise explain(answer, settings=_SETTINGS)
        _refuse(answer, code)
        if body.get("id") != their_id or not isinstance(body.get("currency"), str):
            raise RetryableError(f"{answer}, but not with the payment that was asked for (result {code})")
        return self._read(answer, body, code)

    async def close(self) -> None:
        await self._client.close()

    def _read(self, answer: VendorAnswer, body: dict[str, Any], code: str) -> GatewayPayment:
        status, review = self._judge(code, only_authorised=body.get("paymentType") == "PA")
        if status is PaymentStatus.COMPLETED and body.get("paymentType", "DB") not in _TAKES_MONEY:
            kind = answer.show(str(body["paymentType"]), limit=20)
            status, review = (
                None,
                f"HyperPay's id is not that of a payment, but of a transaction of the type {kind}",
            )
        return GatewayPayment(
            status=status,
            raw_status=code,
            amount=from_major(answer, body.get("amount")),
            currency=body["currency"].upper(),
            reference=text_or_none(body.get("merchantTransactionId")),
            paid_at=_moment(body.get("timestamp")) if status is PaymentStatus.COMPLETED else None,
            review=review,
            answer=kept(body, secrets=answer.secrets),
        )

    def _judge(self, code: str, *, only_authorised: bool) -> tuple[PaymentStatus | None, str | None]:
        if _CHARGEBACK.match(code):
            return None, f"HyperPay reports a chargeback ({code})"
        if _TEST_SUCCESS.match(code) and not self._is_test:
            return None, f"HyperPay reports success on its test system only ({code})"
        if _SUCCESS.match(code):
            return PaymentStatus.PROCESSING if only_authorised else PaymentStatus.COMPLETED, None
        if _TO_BE_REVIEWED.match(code):
            return PaymentStatus.PROCESSING, f"HyperPay wants the payment to be reviewed ({code})"
        if _WAITING.match(code):
            return PaymentStatus.PENDING, None
        return PaymentStatus.FAILED, None


def _refuse(answer: VendorAnswer, code: str) -> None:
    """Raise for codes that are about the question rather than about a payment."""
    if _THROTTLED.match(code):
        raise RetryableError(
            f"{answer}, result {code}: it was asked about the payment too often",
            retry_after=answer.retry_after or jittered(_THROTTLED_FOR),
        )
    if _PASSING.match(code):
        raise RetryableError(f"{answer}, result {code}: it does not know now; trying again later")
    if _ACCESS.match(code):
        raise NotConfiguredError(f"{answer}, result {code}: it refuses our access. Check {_SETTINGS}")
    if _REFUSED.match(code):
        raise UnrecoverableError(
            f"{answer}, result {code}: it refuses the question, or knows no such payment"
        )


def _moment(value: Any) -> datetime | None:
    """``2026-03-01 08:00:00.000+0000``."""
    return moment_of(re.sub(r"([+-]\d{2})(\d{2})$", r"\1:\2", value)) if isinstance(value, str) else None
