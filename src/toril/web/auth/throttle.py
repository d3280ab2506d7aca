"""Keeps guessers of passwords out, without letting them keep others out."""

from __future__ import annotations

import hashlib
import logging
import time
from ipaddress import IPv6Address, ip_address
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from toril.engine.queue import Queue
from toril.errors import TorilError
from toril.web.auth.counters import ServerCounters
from toril.web.errors import TooManyRequests

log = logging.getLogger("toril.web")

#: Attempts in one window: from one address, from one address to one account, and from all addresses to one account.
PER_ADDRESS: Final = 60
PER_ACCOUNT: Final = 10
PER_ACCOUNT_IN_ALL: Final = 200
#: Minutes of a window, which begins with the first attempt.
WINDOW: Final = 15


class Throttle:
    """Counts attempts before the password is looked at, so that many at once get no further than one by one.

    What is refused for the address counts for no account, and ten wrong passwords keep out only the address they came
    from: who knows somebody's e-mail address cannot lock them out. The counters are on the queue server, for all web
    processes; while it is away each process counts for itself.

    Args:
        queue: beside whose keys the counters are.
    """

    def __init__(self, queue: Queue) -> None:
        counters = ServerCounters(queue.scripts.ask, lambda key: queue.keys.of(f"toril:attempts:{key}"))
        self._shared, self._own = FixedWindowRateLimiter(counters), FixedWindowRateLimiter(MemoryStorage())

    async def attempt(self, account: str, address: str | None) -> None:
        """Count one attempt.

        Args:
            account: whose password is tried, whether or not there is such a user.
            address: where from; None when that is not known.

        Raises:
            TooManyRequests: there were too many; says when there may be more.
        """
        try:
            await self._count(self._shared, account, address)
        except TooManyRequests:
            raise
        except TorilError as error:
            log.info("attempts_counted_here: %s", error)
            await self._count(self._own, account, address)

    async def succeeded(self, account: str, address: str | None) -> None:
        """Begin anew for this account, and take the attempt from this address back: an office shares one."""
        of_address, *of_account = _limits(account, address)
        for limiter in (self._shared, self._own):
            try:
                for limit, key in of_account:
                    await limiter.clear(limit, key)
                if await limiter.storage.get(of_address[0].key_for(of_address[1])) > 0:
                    await limiter.storage.incr(of_address[0].key_for(of_address[1]), WINDOW * 60, amount=-1)
            except TorilError as error:
                log.info("attempts_counted_here: %s", error)

    async def _count(self, limiter: FixedWindowRateLimiter, account: str, address: str | None) -> None:
        for limit, key in _limits(account, address):
            if not await limiter.hit(limit, key):
                reset, _ = await limiter.get_window_stats(limit, key)
                wait = min(max(reset - time.time(), 1), WINDOW * 60)
                raise TooManyRequests(
                    f"too many attempts to sign in: try again in {wait:.0f} seconds", retry_after=wait
                )


def _limits(account: str, address: str | None) -> list[tuple[RateLimitItem, str]]:
    """What is counted, in this order: what one refuses does not count for the next."""
    network = "unknown" if address is None else network_of(address)
    return [
        (RateLimitItemPerMinute(PER_ADDRESS, WINDOW), _key("address", network)),
        (RateLimitItemPerMinute(PER_ACCOUNT, WINDOW), _key("account at address", f"{account} {network}")),
        (RateLimitItemPerMinute(PER_ACCOUNT_IN_ALL, WINDOW), _key("account", account)),
    ]


def _key(kind: str, what: str) -> str:
    return hashlib.sha256(f"{kind}:{what.strip().lower()}".encode()).hexdigest()


def network_of(address: str) -> str:
    """An address, or for IPv6 the network of 64 bits that one customer has for themselves."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
    return str(found)
