"""Whether all is there that the application needs: the queue server, the database, and workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from sqlalchemy import text

from toril.errors import TorilError
from toril.installation import Installation

#: Seconds a part gets to show that it is there.
_WITHIN: Final = 2.0
#: Seconds for which an answer is good, as anybody may ask.
_KEPT: Final = 1.0

Checks = dict[str, dict[str, Any]]


class Readiness:
    """Looks at every part, at most once a second however often it is asked."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._looking = asyncio.Lock()
        self._found: Checks = {}
        self._good_until = 0.0

    async def look(self) -> Checks:
        """How each part is: ``{"queues": {"status": "ok" | "unavailable", …}, "database": …, "workers": …}``.

        Says what is missing, and neither addresses nor errors of servers.
        """
        async with self._looking:
            if time.monotonic() >= self._good_until:
                parts = {"queues": self._queues, "database": self._database, "workers": self._workers}
                found = await asyncio.gather(*(_checked(part) for part in parts.values()))
                self._found = dict(zip(parts, found, strict=True))
                self._good_until = time.monotonic() + _KEPT
            return self._found

    async def _queues(self) -> dict[str, Any]:
        queue = next(iter(self._installation.service.queues.values()))
        await queue.scripts.ask("PING")
        return {"server": queue.server.version}

    async def _database(self) -> dict[str, Any]:
        async with self._installation.database.reading() as session:
            await session.execute(text("SELECT 1"))
        return {}

    async def _workers(self) -> dict[str, Any]:
        queues = self._installation.service.queues.values()
        found = await asyncio.gather(*(queue.workers() for queue in queues))
        counts = {queue.name: len(workers) for queue, workers in zip(queues, found, strict=True)}
        without = [name for name, count in counts.items() if not count]
        return {"status": "unavailable" if len(without) == len(counts) else "ok", "without": without}


async def _checked(part: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_WITHIN):
            return {"status": "ok", **await part()}
    except TorilError as error:
        return {"status": "unavailable", "reason": error.code}
    except TimeoutError:
        return {"status": "unavailable", "reason": "no_answer"}
