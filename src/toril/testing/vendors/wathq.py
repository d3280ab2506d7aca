"""Wathq's commercial register: companies by number, and errors in all the shapes it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from toril.testing.vendors.server import Reply, VendorRequest

KEY = "wathq-consumer-key-1"
NATIONAL, LEGACY = "7001234567", "1010123456"

NOT_FOUND = Reply(404, {"code": "404.2.1", "message": "No Results Found"})
XML_NOT_FOUND = Reply(
    404,
    b"<error><code>404.2.1</code><message>No Results Found</message></error>",
    {"content-type": "text/xml"},
)


def company(**changes: Any) -> dict[str, Any]:
    """An active company."""
    return {
        "crNationalNumber": NATIONAL,
        "crNumber": LEGACY,
        "name": "شركة المثال للمحاماة",
        "isMain": True,
        "issueDateGregorian": "2015-04-01",
        "entityType": {"id": 1, "name": "شركة", "formId": 2, "formName": "ذات مسؤولية محدودة"},
        "status": {"id": 1, "name": "نشط"},
        "activities": [{"id": "691011", "name": "أنشطة المحاماة"}],
    } | changes


@dataclass
class Register:
    """What the register holds, by national number."""

    companies: dict[str, dict[str, Any]] = field(default_factory=lambda: {NATIONAL: company()})

    def answer(self, request: VendorRequest) -> Reply:
        if request.headers.get("apikey") != KEY:
            return Reply(401, {"code": "401.1.1", "message": f"Invalid key {request.headers.get('apikey')}"})
        if request.headers.get("accept") != "application/json":
            return XML_NOT_FOUND
        _, product, kind, number = request.path.split("/")
        if product != "commercial-registration":
            return Reply(403, {"code": "403.1.1", "message": "not subscribed"})
        if kind == "crNationalNumber":
            found = [each for each in self.companies.values() if each["crNumber"] == number]
            return Reply(200, {"crNationalNumber": found[0]["crNationalNumber"]}) if found else NOT_FOUND
        if kind == "info" and request.query.get("language") in ("ar", "en"):
            return Reply(200, self.companies[number]) if number in self.companies else NOT_FOUND
        return Reply(400, {"code": "400.1.1", "message": "Bad request"})
