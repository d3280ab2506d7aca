"""Counters of attempts on the queue server, for all web processes together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from limits.aio.storage import Storage

from toril.errors import TorilError

#: Sends one command to the queue server.
Ask = Callable[..., Awaitable[Any]]

#: Counts, and lets the counter live as long as the window that begins with it; never one without the other.
_COUNT: Final = """
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return count
"""


class ServerCounters(Storage):
    """What ``limits`` keeps its counters in: keys of ours beside a queue.

    Args:
        ask: sends a command; what it raises goes to who counts.
        key: the whole key of a counter.
    """

    STORAGE_SCHEME = None

    def __init__(self, ask: Ask, key: Callable[[str], str]) -> None:
        super().__init__()
        self._ask, self._key = ask, key

    @property
    def base_exceptions(self) -> type[Exception]:
        """Of a server that does not answer."""
        return TorilError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count ``amount`` more, in a window of ``expiry`` seconds that the first begins."""
        return int(await self._ask("EVAL", _COUNT, 1, self._key(key), amount, expiry))

    async def get(self, key: str) -> int:
        """How many were counted in this window."""
        return int(await self._ask("GET", self._key(key)) or 0)

    async def get_expiry(self, key: str) -> float:
        """When this window ends, in seconds since 1970 by the server's clock."""
        seconds, micros = await self._ask("TIME")
        left = int(await self._ask("PTTL", self._key(key)))
        return int(seconds) + int(micros) / 1e6 + max(left, 0) / 1000

    async def check(self) -> bool:
        """Whether the server answers."""
        return bool(await self._ask("PING"))

    async def reset(self) -> int | None:
        """Counters end by themselves; there is no way to forget all."""
        return None

    async def clear(self, key: str) -> None:
        """Forget one counter."""
        await self._ask("DEL", self._key(key))
