"""Old failed jobs, of all queues of an installation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toril.engine.dead_letters import DEAD_LETTER
from toril.engine.discovery import find_queues
from toril.engine.queue import Queue

_STEP = 1000


class FailedJobs:
    """Counts and deletes old failed jobs, of every queue under the prefix: of the application's own, too, of which
    nobody has told us.

    Args:
        names: queues that are counted even if the server has none of that name yet.
        queue_options: of ``Queue``: url, prefix, node, home.
    """

    def __init__(self, names: Sequence[str], **queue_options: Any) -> None:
        self._names, self._queue_options = names, queue_options

    async def purge(self, older_than: float, dry_run: bool) -> dict[str, int]:
        """Delete jobs that failed more than ``older_than`` seconds ago, or only count them; queue → how many."""
        found = {}
        for name in await self._all():
            async with Queue(name, **self._queue_options) as queue:
                found[name] = await (_count(queue, older_than) if dry_run else _delete(queue, older_than))
        return found

    async def _all(self) -> list[str]:
        async with Queue(DEAD_LETTER, **self._queue_options) as any_queue:
            there = await find_queues(any_queue.connection, any_queue.keys.prefix)
        return [*self._names, *(name for name in there if name not in self._names)]


async def _count(queue: Queue, older_than: float) -> int:
    seconds, micros = await queue.connection.execute("TIME", repeat=True)
    edge = int(seconds) * 1000 + int(micros) // 1000 - older_than * 1000
    return int(
        await queue.connection.execute("ZCOUNT", queue.keys.of("failed"), "-inf", f"({edge}", repeat=True)
    )


async def _delete(queue: Queue, older_than: float) -> int:
    deleted = 0
    while batch := await queue.clean(older_than, "failed", _STEP):
        deleted += len(batch)
    return deleted
