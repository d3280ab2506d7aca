"""Finds queues by their keys: which there are under a prefix, and whether one of that name is among them."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from toril.cli.command import PATIENCE
from toril.cli.exits import CommandError, ExitCode
from toril.engine.codec import to_text
from toril.engine.connection import Connection
from toril.engine.keys import RESERVED_IDS, SCRIPT_KEYS

if TYPE_CHECKING:
    from toril.cli.command import Call
    from toril.engine.queue import Queue

#: Keys the server looks at in one step, which holds it up for less than a millisecond.
_STEP = 1000

#: By which keys a queue shows, with their type; a job whose own id ends like this is a hash.
_SIGNS = {"id": "string", "meta-paused": "string", "toril:workers": "zset"}


async def find_queues(
    connection: Connection, prefix: str, *, seen: Callable[[int], None] = lambda _: None
) -> list[str]:
    """Names of all queues under a prefix, by a walk over the database in short steps.

    Args:
        seen: called after each step with the number of keys the server looked at.
    """
    names: set[str] = set()
    for suffix, kind in _SIGNS.items():
        cursor = b"0"
        while True:
            cursor, keys = await connection.execute(
                "SCAN", cursor, "MATCH", f"{prefix}:*:{suffix}", "COUNT", _STEP, "TYPE", kind, repeat=True
            )
            names.update(to_text(key)[len(prefix) + 1 : -len(suffix) - 1] for key in keys)
            seen(_STEP)
            if cursor == b"0":
                break
    return sorted(name for name in names if not _is_inside(name, names))


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


def _is_inside(name: str, names: set[str]) -> bool:
    """Whether a key inside of another queue, such as a debounce marker for something called "id", looks so."""
    outer, _, last = name.rpartition(":")
    return outer in names and last in RESERVED_IDS
