"""Notes of what cannot be undone: written again and again for a while, when the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from toril.db.errors import DatabaseUnavailableError

#: Seconds between attempts.
_WAITS: Final = (0.2, 1.0, 3.0, 6.0)


async def insist(write: Callable[[], Awaitable[None]]) -> None:
    """Await ``write()`` until the database has taken it, five times at most.

    For what is noted of something that left: giving up means that it may leave again. Whoever is told that the
    database is away does not know whether it took the note, so doing it twice must be doing it once.

    Raises:
        DatabaseUnavailableError: it is away for longer.
    """
    for wait_s in _WAITS:
        try:
            return await write()
        except DatabaseUnavailableError:
            await asyncio.sleep(wait_s)
    await write()
