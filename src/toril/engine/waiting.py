"""Waiting for something with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any


async def comes_within(awaited: Awaitable[Any], seconds: float | None) -> bool:
    """Wait at most so many seconds (None: for ever); whether it came.

    Not ``asyncio.wait_for``: before Python 3.12 that swallows a cancellation in the moment in which what is waited
    for comes, and whoever cancelled would wait for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            await awaited
    except TimeoutError:
        return False
    return True


async def end_within(tasks: Collection[asyncio.Future[Any]], seconds: float) -> bool:
    """Wait until all have ended, for so many seconds in which the event loop turns; whether they did.

    A loop that is blocked, or a process that is stopped, for longer than that is no reason to give up what would have
    ended meanwhile.
    """
    steps = 20
    left = set(tasks)
    for _ in range(steps):
        if not left:
            break
        _, left = await asyncio.wait(left, timeout=seconds / steps)
    return not left
