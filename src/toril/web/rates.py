"""How often strangers may do what costs a write: counted on the queue server, for all web processes."""

from __future__ import annotations

import hashlib
import logging
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from toril.engine.queue import Queue
from toril.errors import TorilError
from toril.web.auth.counters import ServerCounters
from toril.web.errors import TooManyRequests

log = logging.getLogger("toril.web")


class Rates:
    """Counts in windows of a minute. While the server is away each process counts for itself.

    Args:
        queue: beside whose keys the counters are.
    """

    def __init__(self, queue: Queue) -> None:
        counters = ServerCounters(queue.scripts.ask, lambda key: queue.keys.of(f"toril:rates:{key}"))
        self._shared, self._own = FixedWindowRateLimiter(counters), FixedWindowRateLimiter(MemoryStorage())

    async def count(self, what: str, who: str, *, per_minute: int) -> None:
        """Count one.

        Args:
            what: is done.
            who: does it: an address, or anything that tells one from another.

        Raises:
            TooManyRequests: there were ``per_minute`` of this already; says when there may be more.
        """
        limit = RateLimitItemPerMinute(per_minute)
        key = hashlib.sha256(f"{what}:{who}".encode()).hexdigest()
        limiter = self._shared
        try:
            fits = await limiter.hit(limit, key)
        except TorilError as error:
            log.info("requests_counted_here: %s", error)
            limiter = self._own
            fits = await limiter.hit(limit, key)
        if fits:
            return
        reset, _ = await limiter.get_window_stats(limit, key)
        wait = min(max(reset - time.time(), 1), 60)
        raise TooManyRequests(f"too many requests: try again in {wait:.0f} seconds", retry_after=wait)
