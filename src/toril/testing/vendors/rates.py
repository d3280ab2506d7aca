"""Publishers of exchange rates that answer as open.er-api.com, exchangerate-api.com and frankfurter.dev do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from toril.testing.vendors.server import Reply, VendorRequest

KEY = "0123456789abcdef01234567"
AS_OF = datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC)

#: For one riyal, as texts: JSON numbers with these very digits go out.
RATES = {
    "SAR": "1", "USD": "0.26666667", "EUR": "0.226012", "GBP": "0.198", "AED": "0.979333", "QAR": "0.970667",
    "KWD": "0.081934", "BHD": "0.100267", "OMR": "0.102533", "JOD": "0.189067", "EGP": "12.9", "TRY": "11.6",
    "JPY": "41.5", "CNY": "1.86", "INR": "24.1", "PKR": "74.6", "CAD": "0.365", "AUD": "0.3791", "XOF": "148.2",
}  # fmt: skip


class Rates:
    """One publisher of each kind; ``rates`` may be changed by a test.

    Args:
        as_of: when the rates were published.
    """

    def __init__(self, as_of: datetime = AS_OF) -> None:
        self.rates, self.as_of = dict(RATES), as_of

    def er_api(self, request: VendorRequest) -> Reply:
        _, version, *key, latest, base = request.path.split("/")
        if (version, latest) != ("v6", "latest") or len(key) > 1:
            return Reply(404, b"<html>not found</html>")
        if key and key != [KEY]:
            return Reply(403, {"result": "error", "error-type": "invalid-key"})
        if base != "SAR":
            return Reply(404, {"result": "error", "error-type": "unsupported-code"})
        head: dict[str, Any] = {
            "result": "success",
            "time_last_update_unix": int(self.as_of.timestamp()),
            "time_next_update_unix": int(self.as_of.timestamp()) + 86_400,
            "base_code": base,
        }
        numbers = ",".join(f'"{code}":{rate}' for code, rate in self.rates.items())
        name = "conversion_rates" if key else "rates"
        return Reply(200, f'{json.dumps(head)[:-1]},"{name}":{{{numbers}}}}}'.encode())

    def frankfurter(self, request: VendorRequest) -> Reply:
        if request.path != "/v2/rates":
            return Reply(404, {"message": "not found"})
        base = request.query["base"]
        if base != "SAR":
            return Reply(422, {"message": f"invalid base: {base}"})
        wanted = [code for code in request.query["quotes"].split(",") if code in self.rates]
        rows = ",".join(
            f'{{"date":"{"2026-02-27" if code == "TRY" else "2026-03-02"}","base":"{base}","quote":"{code}",'
            f'"rate":{self.rates[code]}}}'
            for code in wanted
        )
        return Reply(200, f"[{rows}]".encode())
