"""Waiting for a thing rather than for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(check: Callable[[], Awaitable[bool]], *, within_s: float = 60.0) -> None:
    """Return as soon as ``check`` holds; raise ``TimeoutError`` if it does not in time."""
    async with asyncio.timeout(within_s):
        while not await check():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


async def past(moment_ms: float) -> None:
    """Return when the clock shows a later millisecond than ``moment_ms``, since the epoch."""
    while int(time.time() * 1000) <= moment_ms:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
