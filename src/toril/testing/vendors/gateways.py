"""Payment gateways that answer as Stripe, Moyasar, HyperPay and STC Pay document it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from toril.testing.vendors.server import Reply, VendorRequest

STRIPE_KEY = "sk_live_51Hstripe"
MOYASAR_KEY = "sk_live_moyasar"
HYPERPAY_TOKEN, HYPERPAY_ENTITY = "OGE4Mjk0hyperpay", "8ac7a4ca6db97ef1016dbe4a"
STCPAY_CODE = "61240300247"


@dataclass
class Gateways:
    """All four on one server; ``payments`` are what they know, by their own ids (STC Pay: a list by reference)."""

    payments: dict[str, Any] = field(default_factory=dict)

    def answer(self, request: VendorRequest) -> Reply:
        if request.path.startswith("/v1/payment_intents/"):
            return self._stripe(request)
        if request.path.startswith("/payments/"):
            return self._moyasar(request)
        if request.path.startswith("/v1/query/"):
            return self._hyperpay(request)
        if request.path == "/PaymentInquiry":
            return self._stc_pay(request)
        return Reply(404, b"<html>no such page</html>")

    def _stripe(self, request: VendorRequest) -> Reply:
        key = request.headers.get("authorization", "")
        if key != f"Bearer {STRIPE_KEY}":
            error = {"type": "invalid_request_error", "message": f"Expired API Key provided: {key[7:]}"}
            return Reply(401, {"error": error})
        intent = self.payments.get(request.path.rpartition("/")[2])
        if intent is None:
            error = {"type": "invalid_request_error", "code": "resource_missing", "message": "No such intent"}
            return Reply(404, {"error": error})
        if request.query.get("expand[]") != "latest_charge":
            intent = intent | {"latest_charge": "ch_1"}
        return Reply(200, intent)

    def _moyasar(self, request: VendorRequest) -> Reply:
        expected = base64.b64encode(f"{MOYASAR_KEY}:".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return Reply(
                401, {"type": "authentication_error", "message": "Invalid authorization credentials"}
            )
        payment = self.payments.get(request.path.rpartition("/")[2])
        if payment is None:
            return Reply(
                404, {"type": "record_not_found_error", "message": "Object not found", "errors": None}
            )
        return Reply(200, payment)

    def _hyperpay(self, request: VendorRequest) -> Reply:
        if request.headers.get("authorization") != f"Bearer {HYPERPAY_TOKEN}":
            return Reply(401, _result("800.900.300", "invalid authentication information"))
        if request.query.get("entityId") != HYPERPAY_ENTITY:
            return Reply(403, _result("800.900.300", "invalid entity"))
        payment = self.payments.get(request.path.rpartition("/")[2])
        return Reply(200, payment or _result("700.400.580", "cannot find transaction"))

    def _stc_pay(self, request: VendorRequest) -> Reply:
        if request.headers.get("x-clientcode") != STCPAY_CODE:
            return Reply(200)
        asked = request.json["PaymentInquiryV4RequestMessage"]["RefNum"]
        rows = self.payments.get(asked)
        if rows is None:
            return Reply(400, {"Code": 2006, "Text": "No payment with this reference"})
        return Reply(200, {"PaymentInquiryV4ResponseMessage": {"TransactionList": rows}})


def intent(id: str = "pi_1", **changes: Any) -> dict[str, Any]:
    """A payment of 115 riyals that succeeded at Stripe."""
    charge = {"id": "ch_1", "created": 1772355600, "refunded": False, "amount_refunded": 0, "disputed": False}
    return {
        "id": id,
        "object": "payment_intent",
        "status": "succeeded",
        "amount": 11500,
        "amount_received": 11500,
        "currency": "sar",
        "last_payment_error": None,
        "latest_charge": charge | changes.pop("charge", {}),
        "metadata": {},
    } | changes


def moyasar_payment(id: str = "3f0c", **changes: Any) -> dict[str, Any]:
    """A payment of 115 riyals by mada that was paid."""
    return {
        "id": id,
        "status": "paid",
        "amount": 11500,
        "fee": 230,
        "currency": "SAR",
        "refunded": 0,
        "captured": 0,
        "voided_at": None,
        "description": "INV-204",
        "metadata": None,
        "created_at": "2026-03-01T09:00:00.000Z",
        "source": {"type": "creditcard", "company": "mada", "number": "XXXX-XXXX-XXXX-0001"},
    } | changes


def hyperpay_payment(code: str = "000.000.000", id: str = "8ac7a4a1", **changes: Any) -> dict[str, Any]:
    """A payment of 115 riyals by mada, with this result."""
    return {
        "id": id,
        "paymentType": "DB",
        "paymentBrand": "MADA",
        "amount": "115.00",
        "currency": "SAR",
        "merchantTransactionId": None,
        "timestamp": "2026-03-01 09:00:00.000+0000",
        **_result(code, "as documented"),
    } | changes


def stc_row(reference: str, status: str = "Paid", **changes: Any) -> dict[str, Any]:
    """One of STC Pay's rows for a reference, of 115 riyals."""
    return {
        "MerchantID": STCPAY_CODE,
        "RefNum": reference,
        "STCPayRefNum": "1234567890",
        "Amount": 115.00,
        "PaymentDate": "2026-03-01T12:00:00",
        "PaymentStatus": {"Pending": 1, "Paid": 2}.get(status, 5),
        "PaymentStatusDesc": status,
    } | changes


def _result(code: str, description: str) -> dict[str, Any]:
    return {"result": {"code": code, "description": description}}
