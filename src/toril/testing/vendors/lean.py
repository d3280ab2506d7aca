"""Lean for Saudi Arabia: its tokens, and an account's transactions in pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from toril.testing.vendors.server import Reply, VendorRequest

CLIENT_ID, CLIENT_SECRET, APP_TOKEN = "client-1", "lean-secret-1", "app-token-1"
ACCOUNT, ENTITY = "aa11", "ent-1"


def transaction(number: int, **changes: Any) -> dict[str, Any]:
    """A settled payment by card of 18.50 riyals; each with an id of its own."""
    return {
        "account_id": ACCOUNT,
        "transaction_id": f"T-{number}",
        "transaction_information": "POS COFFEE",
        "transaction_reference": f"R-{number}",
        "credit_debit_indicator": "DEBIT",
        "amount": {"amount": 18.5, "currency": "SAR"},
        "transaction_mutability": "IMMUTABLE",
        "booking_date_time": "2026-02-28T22:11:12Z",
        "insights": {"description_cleansed": "Coffee", "category": "FOOD", "category_confidence": 0.9},
        "balance": {
            "type": "CLOSING_AVAILABLE",
            "credit_debit_indicator": "CREDIT",
            "amount": {"amount": 900.1, "currency": "SAR"},
        },
        "regional_data": {"type": "KSA", "data": {"status": "BOOKED", "merchant": {"name": "Cafe"}}},
    } | changes


@dataclass
class LeanBank:
    """The service, with one account. ``transactions`` are what the bank has; tokens in ``ended`` are refused."""

    transactions: list[dict[str, Any]] = field(default_factory=list)
    account: str = ACCOUNT
    entity: str = ENTITY
    secret: str = CLIENT_SECRET
    expires_in: int = 3599
    tokens: int = 0
    ended: set[str] = field(default_factory=set)
    results: dict[str, Reply] = field(default_factory=dict)

    def answer(self, request: VendorRequest) -> Reply:
        if request.path == "/oauth2/token":
            return self._token(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token.startswith("jwt-") or token in self.ended:
            return Reply(401, {"status": "UNAUTHORIZED", "message": f"invalid token {token}"})
        if request.headers.get("lean-app-token") != APP_TOKEN:
            return Reply(403, {"message": "unknown application"})
        if request.path.startswith("/data/v2/results/"):
            return self.results.get(
                request.path.rpartition("/")[2], Reply(404, {"message": "no such result"})
            )
        if request.path != f"/data/v2/accounts/{self.account}/transactions":
            return Reply(404, {"message": "no such account"})
        if request.query.get("entity_id") != self.entity:
            return Reply(404, {"message": "no such entity"})
        return self.page(int(request.query["page"]), int(request.query["size"]))

    def page(self, number: int, size: int = 100) -> Reply:
        """An answer with one page of what the bank has."""
        data = {
            "transactions": self.transactions[number * size : (number + 1) * size],
            "page": {
                "number": number,
                "size": size,
                "total_elements": len(self.transactions),
                "total_pages": -(-len(self.transactions) // size),
            },
            "type": "transactions",
        }
        return Reply(200, {"status": "OK", "results_id": "5b0f", "status_detail": None, "data": data})

    def _token(self, request: VendorRequest) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if (form.get("grant_type"), form.get("scope")) != ("client_credentials", "api"):
            return Reply(400, {"error": "invalid_scope"})
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, self.secret):
            description = f"wrong secret {form.get('client_secret')}"
            return Reply(401, {"error": "invalid_client", "error_description": description})
        self.tokens += 1
        body = {"access_token": f"jwt-{self.tokens}", "token_type": "bearer", "expires_in": self.expires_in}
        return Reply(200, body)


def failed(code: str, status: str = "FAILED") -> Reply:
    """A bank that could not be read; with HTTP 200, as Lean does."""
    return Reply(200, {"status": status, "status_detail": {"granular_status_code": code}, "data": None})
