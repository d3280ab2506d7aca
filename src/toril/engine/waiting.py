"""Waiting for something with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
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
