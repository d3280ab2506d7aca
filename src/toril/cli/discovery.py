"""Whether there is a queue of a name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from toril.cli.command import PATIENCE
from toril.cli.exits import CommandError, ExitCode
from toril.engine.discovery import find_queues
from toril.engine.keys import SCRIPT_KEYS

if TYPE_CHECKING:
    from toril.cli.command import Call
    from toril.engine.queue import Queue


async def require_queue(call: Call, queue: Queue) -> None:
    """See to it that the server has such a queue.

    Raises:
        CommandError: it has not; names the one that was perhaps meant.
    """
    keys = (queue.keys.of(suffix) for suffix in SCRIPT_KEYS)
    if await queue.connection.execute("EXISTS", *keys, repeat=True, patience=PATIENCE):
        return
    names = await find_queues(queue.connection, call.settings.prefix)
    near = get_close_matches(queue.name, names, n=1)
    raise CommandError(
        f"there is no queue {queue.name!r} under the prefix {call.settings.prefix!r} on {queue.server}",
        exit=ExitCode.NOT_FOUND,
        code="queue_not_found",
        hint=f"did you mean {near[0]!r}?" if near else "toril queues lists them",
    )
