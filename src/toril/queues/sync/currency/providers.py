"""Who publishes exchange rates: open.er-api.com, with a key exchangerate-api.com, and Frankfurter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal
from typing import Any, Final, Protocol

from toril.errors import NotConfiguredError, RetryableError, TorilError, UnrecoverableError
from toril.queues.sync.currency.codes import SUPPORTED
from toril.queues.sync.http import VendorClient
from toril.queues.sync.moments import day_of, moment_of
from toril.queues.sync.vendor_answer import VendorAnswer
from toril.queues.sync.vendor_errors import explain, passing

_BLOCKED_FOR: Final = 20 * 60.0  #: seconds; who asked too often is turned away for so long


@dataclass(frozen=True, slots=True)
class Quote:
    """``1 base = rate currency`` on a day."""

    rate: Decimal
    as_of: date


class RateProvider(Protocol):
    """Somebody who publishes rates."""

    name: str  #: as kept with each rate, at most 32 characters

    async def fetch(self, base: str) -> Mapping[str, Quote]:
        """The latest rates of the supported currencies, as far as it has them; the base itself may be missing.

        Raises:
            RetryableError: it is not there now, limits us, or answers nonsense.
            UnrecoverableError: it does not have this base.
            NotConfiguredError: it refuses the key.
        """
        ...

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        ...


class ErApi:
    """open.er-api.com, which needs no key; with one, exchangerate-api.com, which is the same vendor.

    Its terms ask for a link to it wherever the rates of the free service are shown.

    Args:
        base_url: instead of the vendor's, for a proxy or a test.
    """

    def __init__(self, key: str | None = None, *, base_url: str | None = None) -> None:
        self._key = key
        self.name = "exchangerate-api.com" if key else "open.er-api.com"
        host = "https://v6.exchangerate-api.com" if key else "https://open.er-api.com"
        self._client = VendorClient(self.name, base_url or host, read_timeout=10, total_timeout=15)

    async def fetch(self, base: str) -> Mapping[str, Quote]:
        answer = await self._client.request(
            "GET",
            f"/v6/{self._key}/latest/{base}" if self._key else f"/v6/latest/{base}",
            operation=f"reading the rates of {base}",
            repeatable=True,
            secrets=(self._key,) if self._key else (),
        )
        if answer.status == 429:
            raise passing(answer, wait=_BLOCKED_FOR)
        body = answer.json_or_none()
        if isinstance(body, dict) and body.get("result") == "error":  # with HTTP 200 at times
            raise _refused(answer, str(body.get("error-type", "")))
        if not answer.is_success:
            raise explain(answer, settings="EXCHANGE_RATE_API_KEY")
        body = answer.object()
        rates = body.get("conversion_rates" if self._key else "rates")
        if body.get("result") != "success" or body.get("base_code") != base or not isinstance(rates, dict):
            raise RetryableError(f"{answer}, but without the rates of {base}")
        updated = moment_of(body.get("time_last_update_unix"))
        if updated is None:
            raise RetryableError(f"{answer}, but does not say of which day the rates are")
        as_of = updated.astimezone(UTC).date()
        return {code: Quote(_number(answer, rates[code]), as_of) for code in SUPPORTED if code in rates}

    async def close(self) -> None:
        await self._client.close()


class Frankfurter:
    """frankfurter.dev: reference rates of central banks; needs no key.

    Args:
        base_url: instead of the vendor's, for a proxy or a test.
    """

    name = "frankfurter.dev"

    def __init__(self, *, base_url: str | None = None) -> None:
        self._client = VendorClient(
            self.name, base_url or "https://api.frankfurter.dev", read_timeout=10, total_timeout=15
        )

    async def fetch(self, base: str) -> Mapping[str, Quote]:
        answer = await self._client.request(
            "GET",
            "/v2/rates",
            operation=f"reading the rates of {base}",
            repeatable=True,
            params={"base": base, "quotes": ",".join(code for code in SUPPORTED if code != base)},
        )
        if answer.status == 429:
            raise passing(answer, wait=_BLOCKED_FOR)
        if not answer.is_success:
            raise explain(answer, settings="the base URL")
        body = answer.json()
        if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
            raise RetryableError(f"{answer}, but not with a list of rates")
        found = {}
        for row in body:
            if row.get("base") != base:
                raise RetryableError(f"{answer}, but with rates of another currency than {base}")
            if row.get("quote") in SUPPORTED:
                found[row["quote"]] = Quote(_number(answer, row.get("rate")), _day(answer, row.get("date")))
        return found

    async def close(self) -> None:
        await self._client.close()


def _refused(answer: VendorAnswer, kind: str) -> TorilError:
    said = f"{answer.vendor} answered {answer.operation} with {answer.show(kind) or 'an error'}"
    if kind in ("invalid-key", "inactive-account"):
        return NotConfiguredError(f"{said}: check EXCHANGE_RATE_API_KEY")
    if kind in ("unsupported-code", "malformed-request"):
        return UnrecoverableError(said)
    return RetryableError(f"{said}; trying again later", retry_after=answer.retry_after)


def _number(answer: VendorAnswer, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise RetryableError(f"{answer}, but a rate is no number")
    return Decimal(value)


def _day(answer: VendorAnswer, value: Any) -> date:
    if (found := day_of(value)) is None:
        raise RetryableError(f"{answer}, but does not say of which day a rate is")
    return found
