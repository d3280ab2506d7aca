"""The work of a job ``currency-rates``: ask the providers in turn, and keep the first rates that can be right."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from toril.db.repositories.banking import CurrencyRates as StoredRates
from toril.db.session import Database
from toril.errors import NotConfiguredError, RetryableError, TorilError, UnrecoverableError
from toril.queues.base import RunningJob
from toril.queues.sync.currency.checks import checked, moved_too_far
from toril.queues.sync.currency.codes import SUPPORTED
from toril.queues.sync.currency.providers import Quote, RateProvider
from toril.queues.sync.payloads import CurrencyRates

log = logging.getLogger("toril.queues.sync")


class RateKeeper:
    """Keeps today's exchange rates. What no provider published is never made up.

    Args:
        providers: in the order in which they are asked.
        clock: the present, aware.
        mono: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        database: Database,
        providers: Sequence[RateProvider],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._providers = tuple(providers)
        self._clock, self._mono = clock, mono
        self._blocked_until: dict[str, float] = {}  #: by provider that asked us to wait

    async def __call__(self, payload: CurrencyRates, job: RunningJob) -> dict[str, Any]:
        """Fetch and store the rates of one currency. A second run for the same day stores nothing twice.

        Returns:
            ``{"success": True, "baseCurrency", "ratesCount", "provider", "asOf", "missing", "held"}``: ``asOf`` is
            the newest day among the rates, ``missing`` are currencies without one, ``held`` those whose rate moved
            too far to be believed and was not stored.
        Raises:
            RetryableError: no provider has rates now.
            UnrecoverableError, NotConfiguredError: and none will have them later.
        """
        base = payload.base_currency
        provider, quotes = await self._fetch(base, job)
        await job.update_progress(60)
        now = self._clock()
        async with self._database.session() as session:
            rates = StoredRates(session)
            held = moved_too_far(quotes, await rates.latest(base), today=now.date())
            kept = {code: quote for code, quote in quotes.items() if code not in held}
            for as_of, of_day in _by_day(kept).items():
                await rates.save(base, of_day, as_of=as_of, source=provider, now=now)
        for sentence in held.values():
            log.warning("currency_rate_held", extra={"base": base, "provider": provider, "rate": sentence})
            await job.log(f"not stored, as it moved by more than a fifth: {sentence}")
        await job.update_progress(100)
        return {
            "success": True,
            "baseCurrency": base,
            "ratesCount": len(kept),
            "provider": provider,
            "asOf": max(quote.as_of for quote in quotes.values()).isoformat(),
            "missing": [code for code in SUPPORTED if code != base and code not in quotes],
            "held": sorted(held),
        }

    async def _fetch(self, base: str, job: RunningJob) -> tuple[str, Mapping[str, Quote]]:
        failures: list[TorilError] = []
        for provider in self._providers:
            wait = self._blocked_until.get(provider.name, 0.0) - self._mono()
            if wait > 0:
                failures.append(
                    RetryableError(f"{provider.name} asked us to wait {wait:.0f} s more", retry_after=wait)
                )
                continue
            try:
                return provider.name, checked(provider.name, base, await provider.fetch(base))
            except (RetryableError, UnrecoverableError) as error:
                failures.append(error)
                await job.log(str(error))
                if isinstance(error, RetryableError) and error.retry_after is not None:
                    self._blocked_until[provider.name] = self._mono() + error.retry_after
        raise _in_all(base, failures)


def _by_day(quotes: Mapping[str, Quote]) -> dict[date, dict[str, Decimal]]:
    found: dict[date, dict[str, Decimal]] = defaultdict(dict)
    for code, quote in quotes.items():
        found[quote.as_of][code] = quote.rate
    return found


def _in_all(base: str, failures: Sequence[TorilError]) -> TorilError:
    """One error for those of all providers: worth another try if one of them is."""
    if not failures:
        return NotConfiguredError("no provider of exchange rates is set up")
    text = f"nobody has the rates of {base} now; those stored before stay. " + "; ".join(map(str, failures))
    passing = [error for error in failures if isinstance(error, RetryableError)]
    if passing:
        waits = [error.retry_after for error in passing]
        # One without a time may be back at once.
        wait = min((each for each in waits if each is not None), default=None) if None not in waits else None
        return RetryableError(text, retry_after=wait)
    if all(isinstance(error, NotConfiguredError) for error in failures):
        return NotConfiguredError(text)
    return UnrecoverableError(text)
