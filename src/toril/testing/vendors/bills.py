"""A bank that tells of SADAD bills, in a shape of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from toril.testing.vendors.server import Reply, VendorRequest

CLIENT_ID, CLIENT_SECRET = "firm-7", "bank-secret-7"
BILL = "0042/7"
SHAPE = {
    "path": "/v1/bills/{bill}/status",
    "fields": "status=/bill/0/state amount=/bill/0/total paid_at=/bill/0/at currency=/bill/0/currency",
    "paid": "PAID, settled",
    "unpaid": "NEW",
}


def bill(state: Any = "PAID", **changes: Any) -> dict[str, Any]:
    """A bill of 115 riyals."""
    made = {"state": state, "total": "115.00", "currency": "SAR", "at": "2026-03-01T12:00:00+03:00"}
    return {"bill": [made | changes]}


@dataclass
class BillBank:
    """The bank, and its bills by number."""

    bills: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0
    ended: set[str] = field(default_factory=set)

    def answer(self, request: VendorRequest) -> Reply:
        if request.path == "/oauth2/token":
            form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
            if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
                return Reply(400, {"error": "invalid_client", "error_description": form.get("client_secret")})
            self.tokens += 1
            return Reply(200, {"access_token": f"jwt-{self.tokens}", "expires_in": 3600})
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token.startswith("jwt-") or token in self.ended:
            return Reply(401, {"code": "E000401"})
        number = request.path.removeprefix("/v1/bills/").removesuffix("/status")
        found = self.bills.get(number)
        return Reply(200, found) if found else Reply(400, {"code": "E620003", "message": "no such bill"})
