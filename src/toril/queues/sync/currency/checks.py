"""Whether rates that somebody published can be right."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from toril.db.models.banking import CurrencyRate
from toril.errors import RetryableError
from toril.queues.sync.currency.codes import RIYALS_PER_DOLLAR
from toril.queues.sync.currency.providers import Quote

_STEP: Final = Decimal(1).scaleb(-12)  #: the decimals that are kept
_LARGEST: Final = 10**6
_PEG_MAY_DIFFER: Final = Decimal("0.005")
_MOST_MOVED: Final = Decimal("0.2")
#: A stored rate that is older says nothing about today's; so no rate is held back for ever.
_COMPARABLE: Final = timedelta(days=7)


def checked(provider: str, base: str, quotes: Mapping[str, Quote]) -> dict[str, Quote]:
    """The rates to twelve decimals, without the base itself.

    Raises:
        RetryableError: there are none, one cannot be a rate, or dollar and riyal are not at their peg. Then no rate
            of this answer can be trusted.
    """
    found = {}
    for code, quote in quotes.items():
        if not quote.rate.is_finite() or not 0 < quote.rate < _LARGEST:
            raise RetryableError(
                f"{provider}: 1 {base} = {quote.rate:.6g} {code} is no rate; none of its rates are kept"
            )
        rate = quote.rate.quantize(_STEP, ROUND_HALF_EVEN)
        if rate == 0:
            raise RetryableError(f"{provider}: 1 {base} = {quote.rate:.6g} {code} is too small to be kept")
        found[code] = Quote(rate, quote.as_of)
    if base in found and found[base].rate != 1:
        raise RetryableError(
            f"{provider}: 1 {base} = {found[base].rate:f} {base}; none of its rates are kept"
        )
    found.pop(base, None)
    if not found:
        raise RetryableError(f"{provider} has no rates of {base} now")
    known = {base: Decimal(1)} | {code: quote.rate for code, quote in found.items()}
    if "USD" in known and "SAR" in known:
        peg = known["SAR"] / known["USD"]
        if abs(peg / RIYALS_PER_DOLLAR - 1) > _PEG_MAY_DIFFER:
            raise RetryableError(
                f"{provider}: by its rates of {base} a dollar is {peg:.4f} riyals instead of {RIYALS_PER_DOLLAR}; "
                "none of them are kept"
            )
    return found


def moved_too_far(
    quotes: Mapping[str, Quote], stored: Mapping[str, CurrencyRate], *, today: date
) -> dict[str, str]:
    """The currencies whose rate differs by more than a fifth from the one stored last, each with a sentence."""
    found = {}
    for code, quote in quotes.items():
        last = stored.get(code)
        if last is None or today - last.as_of > _COMPARABLE:
            continue
        if abs(quote.rate / last.rate - 1) > _MOST_MOVED:
            found[code] = (
                f"{code}: {quote.rate.normalize():f} after {last.rate.normalize():f} on {last.as_of}"
            )
    return found
